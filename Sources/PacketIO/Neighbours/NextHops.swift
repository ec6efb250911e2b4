import DispatcherCore

/// Who gets the packets of one side: its routes, its neighbours, and the ARP between (RFC 826). A value that is told the time and is
/// handed packets. For IPv6, neighbour solicitations would be made and read here; routes and neighbours hold either family already.
struct NextHops: ~Copyable {
    /// Our own addresses on the link: what neighbours are asked from.
    let ownAddresses: [IPAddress]
    /// Ours on the link.
    var hardwareAddress: HardwareAddress
    var routes: RouteTable
    var neighbours: NeighbourTable

    init(ownAddresses: [IPAddress], hardwareAddress: HardwareAddress, gateway: IPAddress?, key: SipKey) {
        self.ownAddresses = ownAddresses
        self.hardwareAddress = hardwareAddress
        routes = RouteTable(gateway: gateway)
        neighbours = NeighbourTable(key: key)
    }

    /// Where a packet goes; nil = there is no route.
    mutating func find(_ destination: IPAddress, at now: Instant) -> NeighbourTable.Resolution? {
        guard let hop = routes.nextHop(to: destination) else { return nil }
        return neighbours.find(hop, at: now)
    }

    /// Learns from an ARP packet that came in on the link.
    /// - Parameter asksUs: whether it asks for an address of ours.
    mutating func receive(_ packet: ARPPacket, asksUs: Bool, at now: Instant) {
        guard packet.senderAddress.isUnicastSource, packet.senderHardware.isStation, packet.senderHardware != hardwareAddress,
            !ownAddresses.contains(packet.senderAddress)
        else { return }
        let answersUs = packet.operation == .reply && packet.targetHardware == hardwareAddress
        if asksUs || answersUs {
            neighbours.confirm(packet.senderAddress, packet.senderHardware, isNew: asksUs, at: now)
        } else {
            neighbours.overhear(packet.senderAddress, packet.senderHardware, at: now)
        }
    }

    /// The question for a neighbour's hardware address; nil when we have no address of its family.
    func request(for neighbour: IPAddress) -> ARPPacket? {
        guard neighbour.isIPv4, let source = routes.source(toward: neighbour, among: ownAddresses) else { return nil }
        return ARPPacket(
            operation: .request, senderHardware: hardwareAddress, senderAddress: source, targetHardware: .none, targetAddress: neighbour)
    }
}

extension HardwareAddress {
    /// Whether it is one host's: not a group's, and not nothing.
    @inline(__always) var isStation: Bool { bits != 0 && bits >> 40 & 1 == 0 }
}
