/// The dispatcher in mode l7/3: a value driven by frames, instants and commands, with one seed as its only randomness ([0028]-[0064]).
public struct L73Dispatcher: ~Copyable {
    /// - Parameter seed: everything random follows from it; equal seeds and inputs give equal outputs, byte for byte.
    public init(configuration: EngineConfiguration, seed: UInt64) {
    }

    /// One captured frame, from its Ethernet header on.
    /// - Parameter side: the interface it came from; when both sides share one, either.
    public mutating func receive(_ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress) {
    }

    /// Lets time pass: every deadline up to `now` fires. Stops early when `egress` wants a flush; then `nextDeadline` is not later than `now`.
    public mutating func advance(to now: Instant, into egress: inout Egress) {
    }

    /// When `advance` must be called next, if nothing comes in before; `distantFuture` = no need.
    public var nextDeadline: Instant { .distantFuture }

    public mutating func apply(_ command: EngineCommand, at now: Instant, into egress: inout Egress) {
    }

    /// Hands out the records since the last call, oldest first.
    public mutating func drainRecords(_ body: (borrowing RequestRecord) -> Void) {
    }

    public func snapshot(at now: Instant) -> Snapshot { Snapshot() }

    /// After `stop`: whether no front-end connection is left.
    public var isDrained: Bool { true }
}
