extension CaptureFilters {
    /// `Filters/client-side.filter`.
    static let builtInClient = """
        # What the dispatcher takes in on the client side.
        #
        # ARP, whole: the kernel does not own the service addresses, so the dispatcher answers for them itself, and it must see a host that
        # claims one of them.
        #
        # Neighbour discovery, what there is of ARP in it: to a service address itself (a probe of a neighbour's cache, the answer to a question of
        # ours) it passes with everything else; solicitations for one go to its solicited-node group, and a host that takes an address or has a
        # new hardware address tells all nodes. Redirects and what routers tell all nodes are the kernel's: its routing table is used.
        #
        # Everything to a service address, whole, not only TCP to its port: the dispatcher answers echo requests, resets what goes to a port
        # without service, says "port unreachable" to UDP, heeds ICMP errors about what it sent, and counts fragments, whose later parts have
        # no port that a filter could see.
        #
        # Of an address that the kernel owns too (owned-by-kernel) only TCP to the services' ports and ICMP: the rest is the kernel's, and nothing
        # to look at.
        #
        # Frames that this host sends are left out by the capture itself, not here: libpcap's word for it loses ARP replies on bridges.
        arp or $SERVICE_HOSTS or (icmp6 and (ip6[40] == 135 or ip6[40] == 136) and $SERVICE_GROUPS)

        """

    /// `Filters/server-side.filter`.
    static let builtInServer = """
        # What the dispatcher takes in on the server side.
        #
        # ARP, whole: the kernel does not own the source addresses either.
        #
        # Neighbour discovery, what there is of ARP in it: to a source address itself (a probe of a neighbour's cache, the answer to a question of
        # ours) it passes with everything else; solicitations for one go to its solicited-node group, and a host that takes an address or has a
        # new hardware address tells all nodes. Redirects and what routers tell all nodes are the kernel's: its routing table is used.
        #
        # Everything to a source address, whole: what servers answer, ICMP errors about it, and what must be refused or counted, such as
        # segments to a port without connection, UDP and fragments.
        #
        # Of an address that the kernel owns too (kernel-addresses) only TCP to the dispatcher's ports and ICMP.
        #
        # A server that sees its clients' own addresses (l4.source: keep) sends to those: what comes from its port, and what it says by ICMP.
        #
        # Frames that this host sends are left out by the capture itself, not here: libpcap's word for it loses ARP replies on bridges.
        arp or $SOURCE_HOSTS or (icmp6 and (ip6[40] == 135 or ip6[40] == 136) and $SOURCE_GROUPS)

        """
}
