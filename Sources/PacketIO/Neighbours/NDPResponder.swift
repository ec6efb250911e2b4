public import DispatcherCore

/// Answers neighbour solicitations (RFC 4861) for IPv6 addresses that the kernel does not own, beside `ARPResponder` and for the same
/// links: a value that is handed messages and says what to send.
public struct NDPResponder: Sendable {
    /// Figures by side.
    public struct Counters: Equatable, Sendable {
        public var solicitationsAnswered: UInt64 = 0
        /// Messages in which another host claims an address of ours.
        public var conflicts: UInt64 = 0
        /// Messages about other addresses, others' advertisements, routers' messages.
        public var ignored: UInt64 = 0
        /// Messages that no receiver may heed (RFC 4861 7.1).
        public var malformed: UInt64 = 0
    }

    /// A message to be sent, and the hardware address that it goes to.
    public struct Reply: Equatable, Sendable {
        public var message: NeighbourMessage
        public var hardware: HardwareAddress
    }

    private let client: ARPResponder.Link
    private let server: ARPResponder.Link
    public private(set) var counters = [Counters](repeating: Counters(), count: Side.allCases.count)
    /// The last conflict.
    public private(set) var lastConflict: ARPResponder.Conflict?

    /// - Parameter other: whose links it answers for; of their addresses the IPv6 ones.
    public init(beside other: ARPResponder) {
        client = other.link(.client)
        server = other.link(.server)
    }

    private func link(_ side: Side) -> ARPResponder.Link { side == .client ? client : server }

    /// Reads a frame and counts what cannot be heeded.
    /// - Returns: nil for what is no solicitation or advertisement.
    public mutating func read(_ frame: RawSpan, on side: Side) -> NeighbourMessage? {
        switch NeighbourMessage.parse(frame) {
        case .message(let message): return message
        case .other: counters[Int(side.rawValue)].ignored += 1
        case .malformed: counters[Int(side.rawValue)].malformed += 1
        }
        return nil
    }

    /// - Returns: the answer; nil = none.
    public mutating func receive(_ message: NeighbourMessage, on side: Side) -> Reply? {
        let link = link(side)
        let own = link.hardwareAddress
        let index = Int(side.rawValue)
        if let conflict = message.conflict(with: link) {
            // A host that only asks whether it may have the address learns below that it may not.
            if message.source != .unspecified {
                counters[index].conflicts += 1
                lastConflict = conflict
                return nil
            }
        }
        let asker = message.hardware ?? message.sender
        guard message.kind == .solicitation, message.sender != own, link.addresses.contains(message.target), asker.isStation else {
            counters[index].ignored += 1
            return nil
        }
        counters[index].solicitationsAnswered += 1
        return Reply(message: message.answer(at: own), hardware: asker)
    }

    /// What is sent to all nodes at the start, one an address (RFC 4861 7.2.6).
    public func announcements(on side: Side) -> [NeighbourMessage] {
        let link = link(side)
        return link.addresses.filter { !$0.isIPv4 }.map { .announcement(of: $0, at: link.hardwareAddress) }
    }
}

extension NeighbourMessage {
    /// Whether another host has an address of this link or is about to take it (RFC 4862 5.4.3, 5.4.4): it advertises the address, sends
    /// from it, or asks for it without having a source. One that asks from an address of its own looks for us.
    func conflict(with link: ARPResponder.Link) -> ARPResponder.Conflict? {
        // Our own message, come back over a bridge.
        guard sender != link.hardwareAddress else { return nil }
        let host = hardware ?? sender
        if link.addresses.contains(source) { return .init(address: source, hardwareAddress: sender) }
        guard link.addresses.contains(target), host != link.hardwareAddress else { return nil }
        return kind == .advertisement || source == .unspecified ? .init(address: target, hardwareAddress: host) : nil
    }
}
