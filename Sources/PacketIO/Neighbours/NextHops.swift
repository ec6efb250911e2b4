import DispatcherCore

/// Who gets the packets of one side: its routes, its neighbours, and the ARP (RFC 826) and neighbour discovery (RFC 4861) between. A
/// value that is told the time and is handed packets; routes and neighbours hold either family.
struct NextHops: ~Copyable {
    /// Our own addresses on the link: what neighbours are asked from.
    let ownAddresses: [IPAddress]
    /// Ours on the link.
    var hardwareAddress: HardwareAddress
    var routes: RouteTable
    var neighbours: NeighbourTable

    init(ownAddresses: [IPAddress], hardwareAddress: HardwareAddress, gateways: [IPAddress] = [], key: SipKey) {
        self.ownAddresses = ownAddresses
        self.hardwareAddress = hardwareAddress
        routes = RouteTable(gateways: gateways)
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

    /// Learns from a message of neighbour discovery that came in on the link.
    /// - Parameter asksUs: whether it asks for an address of ours.
    mutating func receive(_ message: NeighbourMessage, asksUs: Bool, at now: Instant) {
        guard message.sender != hardwareAddress, message.hardware?.isStation ?? true else { return }
        switch message.kind {
        case .solicitation:
            // As with ARP, who asks us is about to be answered; one without a source or an option tells nothing (RFC 4861 7.2.3).
            guard let hardware = message.hardware, message.source.isUnicastSource, !ownAddresses.contains(message.source) else { return }
            if asksUs {
                neighbours.confirm(message.source, hardware, isNew: true, at: now)
            } else {
                neighbours.overhear(message.source, hardware, at: now)
            }
        case .advertisement:
            guard !ownAddresses.contains(message.target) else { return }
            neighbours.hearAdvertisement(
                message.target, message.hardware, isSolicited: message.isSolicited, overrides: message.overrides, at: now)
        }
    }

    /// The question for the hardware address of an IPv4 neighbour; nil when we have no address of its family.
    func request(for neighbour: IPAddress) -> ARPPacket? {
        guard neighbour.isIPv4, let source = routes.source(toward: neighbour, among: ownAddresses) else { return nil }
        return ARPPacket(
            operation: .request, senderHardware: hardwareAddress, senderAddress: source, targetHardware: .none, targetAddress: neighbour)
    }

    /// The same for an IPv6 neighbour.
    /// - Parameter isProbe: whether only the neighbour itself is asked.
    func solicitation(for neighbour: IPAddress, isProbe: Bool) -> NeighbourMessage? {
        guard !neighbour.isIPv4, let source = routes.source(toward: neighbour, among: ownAddresses) else { return nil }
        return .solicitation(for: neighbour, from: source, at: hardwareAddress, isProbe: isProbe)
    }
}

extension HardwareAddress {
    /// Whether it is one host's: not a group's, and not nothing.
    @inline(__always) var isStation: Bool { bits != 0 && bits >> 40 & 1 == 0 }
}
