public import DispatcherCore

/// What a loop or a replay drives: the interface that the engines of DispatcherCore share.
public protocol PacketEngine: ~Copyable {
    /// One captured frame, from its Ethernet header on.
    mutating func receive(_ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress)
    /// Whether frames should be announced before they are handed over.
    var looksAhead: Bool { get }
    /// A frame that is soon handed to `receive`, after others: what it needs is fetched into the caches, and nothing else happens.
    mutating func lookAhead(_ frame: RawSpan, on side: Side)
    /// Lets time pass; stops early when `egress` wants a flush, and then `nextDeadline` is not later than `now`.
    mutating func advance(to now: Instant, into egress: inout Egress)
    var nextDeadline: Instant { get }
    mutating func apply(_ command: EngineCommand, at now: Instant, into egress: inout Egress)
    /// Another configuration while it runs.
    /// - Returns: why it cannot be; then nothing has changed.
    mutating func reconfigure(_ other: EngineConfiguration, at now: Instant, into egress: inout Egress) -> String?
    /// Hands out the records since the last call, oldest first.
    mutating func drainRecords(_ body: (borrowing RequestRecord) -> Void)
    /// Hands out what happened to the servers since the last call, oldest first.
    mutating func drainEvents(_ body: (borrowing EngineEvent) -> Void)
    /// Why another configuration cannot be taken; nil = it can.
    func fault(of other: EngineConfiguration) -> String?
    /// Another shard has freed something, or has something for the leader.
    mutating func wake(at now: Instant, into egress: inout Egress)
    /// The shards that must be woken since the last call: a bit for each.
    mutating func takeWakes() -> UInt64
    /// What the other shards must be told since the last call, in order.
    mutating func takeAnnouncements() -> [EngineCommand]
    func snapshot(at now: Instant) -> Snapshot
    /// After `stop`: whether no front-end connection is left.
    var isDrained: Bool { get }
}

/// An engine that is no shard of several, and has too few connections for looks ahead.
extension PacketEngine where Self: ~Copyable {
    public var looksAhead: Bool { false }
    public mutating func lookAhead(_ frame: RawSpan, on side: Side) {}
    public func fault(of other: EngineConfiguration) -> String? { nil }
    public mutating func wake(at now: Instant, into egress: inout Egress) {}
    public mutating func takeWakes() -> UInt64 { 0 }
    public mutating func takeAnnouncements() -> [EngineCommand] { [] }
}

extension L73Dispatcher: PacketEngine {}
extension L43Dispatcher: PacketEngine {}
extension ShardedDispatcher: PacketEngine {}
extension Dispatcher: PacketEngine {}
