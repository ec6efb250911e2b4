public import DispatcherCore

/// Answers ARP for addresses that the kernel does not own (architecture.md, "Addresses"): a value that is handed packets and says
/// what to send.
public struct ARPResponder: Sendable {
    /// One interface and the addresses that it answers for.
    public struct Link: Sendable {
        public var hardwareAddress: HardwareAddress
        public var addresses: [IPAddress]

        public init(hardwareAddress: HardwareAddress, addresses: [IPAddress]) {
            self.hardwareAddress = hardwareAddress
            self.addresses = addresses
        }
    }

    /// Figures by side.
    public struct Counters: Equatable, Sendable {
        public var requestsAnswered: UInt64 = 0
        /// Packets in which another host claims an address of ours.
        public var conflicts: UInt64 = 0
        /// Packets about other addresses, and replies.
        public var ignored: UInt64 = 0
    }

    /// A host that was seen to claim one of our addresses.
    public struct Conflict: Equatable, Sendable {
        public var address: IPAddress
        public var hardwareAddress: HardwareAddress

        public init(address: IPAddress, hardwareAddress: HardwareAddress) {
            self.address = address
            self.hardwareAddress = hardwareAddress
        }
    }

    private let client: Link
    private let server: Link
    public private(set) var counters = [Counters](repeating: Counters(), count: Side.allCases.count)
    /// The last conflict.
    public private(set) var lastConflict: Conflict?

    /// Both links are equal when both sides share one interface; each then carries the addresses of both.
    public init(client: Link, server: Link) {
        self.client = client
        self.server = server
    }

    /// What it answers for.
    public func link(_ side: Side) -> Link { side == .client ? client : server }

    /// - Returns: the answer, to be sent to its target; nil = none.
    public mutating func receive(_ packet: ARPPacket, on side: Side) -> ARPPacket? {
        let link = link(side)
        let own = link.hardwareAddress
        // Our own announcement, come back over a bridge.
        guard packet.senderHardware != own else {
            counters[Int(side.rawValue)].ignored += 1
            return nil
        }
        if link.addresses.contains(packet.senderAddress) {
            counters[Int(side.rawValue)].conflicts += 1
            lastConflict = Conflict(address: packet.senderAddress, hardwareAddress: packet.senderHardware)
            return nil
        }
        guard packet.operation == .request, link.addresses.contains(packet.targetAddress) else {
            counters[Int(side.rawValue)].ignored += 1
            return nil
        }
        counters[Int(side.rawValue)].requestsAnswered += 1
        return ARPPacket(
            operation: .reply, senderHardware: own, senderAddress: packet.targetAddress, targetHardware: packet.senderHardware,
            targetAddress: packet.senderAddress)
    }

    /// What is broadcast at the start, one a address: a request for itself, as RFC 5227 2.3 has it.
    public func announcements(on side: Side) -> [ARPPacket] {
        let link = link(side)
        return link.addresses.filter(\.isIPv4).map { address in
            ARPPacket(
                operation: .request, senderHardware: link.hardwareAddress, senderAddress: address, targetHardware: .none,
                targetAddress: address)
        }
    }
}
