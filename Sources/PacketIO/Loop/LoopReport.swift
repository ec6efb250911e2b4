public import DispatcherCore

/// The figures of a packet thread at one instant.
public struct LoopReport: Sendable {
    public var at = Instant.distantPast
    public var snapshot = Snapshot()
    public var isDrained = false
    /// By side; when both share one interface, everything stands at the client side.
    public var captures = [CaptureStatistics](repeating: CaptureStatistics(), count: Side.allCases.count)
    public var transmits = [TransmitStatistics](repeating: TransmitStatistics(), count: Side.allCases.count)
    public var arp = [ARPResponder.Counters](repeating: ARPResponder.Counters(), count: Side.allCases.count)
    public var ndp = [NDPResponder.Counters](repeating: NDPResponder.Counters(), count: Side.allCases.count)
    /// Seen by ARP, and by neighbour discovery.
    public var lastConflict: ARPResponder.Conflict?
    public var lastConflictOfNDP: ARPResponder.Conflict?
    /// Records lost because the log thread was behind.
    public var recordsLost: UInt64 = 0
    /// The same for events.
    public var eventsLost: UInt64 = 0
    /// Turns of the loop: polls.
    public var turns: UInt64 = 0

    public init() {}
}
