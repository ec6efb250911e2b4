public import DispatcherCore

/// Where an engine's packets go. The owner empties the egress afterwards.
public protocol PacketSink: ~Copyable {
    /// Whether TCP checksums may be left unfinished in the egress.
    static var finishesChecksums: Bool { get }
    /// Whether a payload may lie outside the egress.
    static var gathersPayloads: Bool { get }
    mutating func send(_ egress: borrowing Egress, at now: Instant)
    /// An ARP packet came in. It need not be answered here.
    /// - Parameter asksUs: whether it asks for an address of ours.
    mutating func receive(_ packet: ARPPacket, asksUs: Bool, on side: Side, at now: Instant)
    /// The same for a message of neighbour discovery.
    mutating func receive(_ message: NeighbourMessage, asksUs: Bool, on side: Side, at now: Instant)
    /// What a poll waits on besides; -1 = nothing.
    var descriptor: Int32 { get }
    /// The descriptor is readable.
    mutating func readNotices(at now: Instant)
    /// When `advance` has something to do.
    var nextDeadline: Instant { get }
    mutating func advance(to now: Instant)
    /// Figures by side.
    func statistics(of side: Side) -> TransmitStatistics
}

/// For a sink that leaves next hops to the kernel.
extension PacketSink where Self: ~Copyable {
    public static var finishesChecksums: Bool { false }
    public static var gathersPayloads: Bool { false }
    public mutating func receive(_ packet: ARPPacket, asksUs: Bool, on side: Side, at now: Instant) {}
    public mutating func receive(_ message: NeighbourMessage, asksUs: Bool, on side: Side, at now: Instant) {}
    public var descriptor: Int32 { -1 }
    public mutating func readNotices(at now: Instant) {}
    public var nextDeadline: Instant { .distantFuture }
    public mutating func advance(to now: Instant) {}
}

/// Figures of a transmitter since it was opened.
public struct TransmitStatistics: Equatable, Sendable {
    /// Packets handed to the kernel; pieces of a split segment count each, and so do our own questions for hardware addresses.
    public var packets: UInt64 = 0
    /// Calls into the kernel.
    public var calls: UInt64 = 0
    /// Packets that the kernel did not take, by errno; only those that occurred.
    public var errors: [(code: Int32, count: UInt64)] = []
    /// nil: the kernel finds the next hops.
    public var nextHops: NextHopStatistics?

    public init() {}

    public var failed: UInt64 { errors.reduce(0) { $0 + $1.count } }

    public static func == (a: TransmitStatistics, b: TransmitStatistics) -> Bool {
        a.packets == b.packets && a.calls == b.calls && a.nextHops == b.nextHops
            && a.errors.elementsEqual(b.errors) { $0 == $1 }
    }
}

/// Figures of one side's next hops.
public struct NextHopStatistics: Equatable, Sendable {
    /// Why a packet was dropped before it was sent.
    public enum Drop: UInt8, CaseIterable, Sendable {
        /// The routing table has no route to its destination.
        case noRoute
        /// The neighbour did not tell its hardware address.
        case unresolved
        /// Newer packets took its place while it waited for the neighbour, or all places were taken.
        case waitingFull
        /// There are too many neighbours.
        case neighboursFull

        /// The value of the metric's label `reason`.
        public var label: String {
            switch self {
            case .noRoute: "no-route"
            case .unresolved: "unresolved"
            case .waitingFull: "waiting-full"
            case .neighboursFull: "neighbours-full"
            }
        }
    }

    public var dropped = [UInt64](repeating: 0, count: Drop.allCases.count)
    /// Neighbours in the table now.
    public var neighbours = 0
    /// Packets that wait for one now.
    public var waiting = 0
    /// Questions for hardware addresses that were sent.
    public var asked: UInt64 = 0
    /// Neighbours that did not answer, each time.
    public var failures: UInt64 = 0
    /// The last one of them.
    public var lastFailure: IPAddress?
    /// Routes of the interface, and those beyond what is kept.
    public var routes = 0
    public var routesLeftOut = 0
    /// Whether what is sent passes the device's queueing discipline by.
    public var bypassesQueue = false

    public init() {}

    public func dropped(_ reason: Drop) -> UInt64 { dropped[Int(reason.rawValue)] }
}
