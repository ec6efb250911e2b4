extension CaptureFilters {
    /// `Filters/client-side.filter`.
    static let builtInClient = """
        # What the dispatcher takes in on the client side.
        #
        # ARP, whole: the kernel does not own the service addresses, so the dispatcher answers for them itself, and it must see a host that
        # claims one of them.
        #
        # Everything to a service address, whole, not only TCP to its port: the dispatcher answers echo requests, resets what goes to a port
        # without service, says "port unreachable" to UDP, heeds ICMP errors about what it sent, and counts fragments, whose later parts have
        # no port that a filter could see.
        #
        # Of an address that the kernel owns too (owned-by-kernel) only TCP to the services' ports and ICMP: the rest is the kernel's, and nothing
        # to look at.
        #
        # Frames that this host sends are left out by the capture itself, not here: libpcap's word for it loses ARP replies on bridges.
        arp or $SERVICE_HOSTS

        """

    /// `Filters/server-side.filter`.
    static let builtInServer = """
        # What the dispatcher takes in on the server side.
        #
        # ARP, whole: the kernel does not own the source addresses either.
        #
        # Everything to a source address, whole: what servers answer, ICMP errors about it, and what must be refused or counted, such as
        # segments to a port without connection, UDP and fragments.
        #
        # Of an address that the kernel owns too (kernel-addresses) only TCP to the dispatcher's ports and ICMP.
        #
        # Frames that this host sends are left out by the capture itself, not here: libpcap's word for it loses ARP replies on bridges.
        arp or $SOURCE_HOSTS

        """
}
