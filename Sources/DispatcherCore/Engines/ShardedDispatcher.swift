/// Several shards on one thread, as one engine: for tests and replays, in which all that happens between shards happens in a fixed order
/// (tcp.md, "Determinism"). In the running dispatcher each shard has a thread of its own.
public struct ShardedDispatcher: ~Copyable {
    private let shards: UnsafeMutablePointer<Dispatcher>
    private let count: Int
    private var rule: FrameShard
    public let shared: SharedLoad
    private var waking: UInt64 = 0

    /// - Parameters:
    ///   - configuration: of all shards together.
    ///   - seed: everything random follows from it.
    public init(configuration: EngineConfiguration, seed: UInt64, count: Int) {
        let shared = SharedLoad(shards: count)
        let shards = UnsafeMutablePointer<Dispatcher>.allocate(capacity: count)
        for index in 0..<count {
            let part = configuration.part(Shard(index, of: count))
            (shards + index).initialize(
                to: Dispatcher(configuration: part, seed: seed &+ UInt64(index) &* 0x9E37_79B9, shared: count == 1 ? nil : shared))
        }
        self.shards = shards
        self.count = count
        self.shared = shared
        rule = FrameShard(configuration, count: count)
    }

    deinit {
        shards.deinitialize(count: count)
        shards.deallocate()
    }

    public mutating func receive(_ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress) {
        shards[rule.index(of: frame, on: side)].receive(frame, on: side, at: now, into: &egress)
        collect(at: now, into: &egress)
    }

    public var looksAhead: Bool { (0..<count).contains { shards[$0].looksAhead } }

    public mutating func lookAhead(_ frame: RawSpan, on side: Side) {
        shards[rule.index(of: frame, on: side)].lookAhead(frame, on: side)
    }

    public mutating func advance(to now: Instant, into egress: inout Egress) {
        let woken = waking
        waking = 0
        for index in 0..<count {
            if woken >> UInt64(index) & 1 == 1 { shards[index].wake(at: now, into: &egress) }
            if shards[index].nextDeadline <= now { shards[index].advance(to: now, into: &egress) }
        }
        collect(at: now, into: &egress)
    }

    /// Who must be woken is woken at the next turn, as it is between threads.
    private mutating func collect(at now: Instant, into egress: inout Egress) {
        guard count > 1 else { return }
        for index in 0..<count {
            waking |= shards[index].takeWakes()
            for command in shards[index].takeAnnouncements() {
                for other in 0..<count where other != index { shards[other].apply(command, at: now, into: &egress) }
            }
        }
    }

    public var nextDeadline: Instant {
        guard waking == 0 else { return .distantPast }
        var deadline = Instant.distantFuture
        for index in 0..<count { deadline = min(deadline, shards[index].nextDeadline) }
        return deadline
    }

    public mutating func apply(_ command: EngineCommand, at now: Instant, into egress: inout Egress) {
        for index in 0..<count { shards[index].apply(command, at: now, into: &egress) }
        collect(at: now, into: &egress)
    }

    /// - Returns: why it cannot be; then nothing has changed in any shard.
    public mutating func reconfigure(_ other: EngineConfiguration, at now: Instant, into egress: inout Egress) -> String? {
        if let fault = fault(of: other) { return fault }
        for index in 0..<count {
            if let fault = shards[index].reconfigure(other.part(Shard(index, of: count)), at: now, into: &egress) {
                preconditionFailure("a shard takes no longer what it took: \(fault)")
            }
        }
        rule = rule.succeeded(by: other)
        collect(at: now, into: &egress)
        return nil
    }

    /// Why another configuration cannot be taken; nil = it can.
    public func fault(of other: EngineConfiguration) -> String? {
        for index in 0..<count {
            if let fault = shards[index].fault(of: other.part(Shard(index, of: count))) { return fault }
        }
        return nil
    }

    public mutating func drainRecords(_ body: (borrowing RequestRecord) -> Void) {
        for index in 0..<count { shards[index].drainRecords(body) }
    }

    public mutating func drainEvents(_ body: (borrowing EngineEvent) -> Void) {
        for index in 0..<count { shards[index].drainEvents(body) }
    }

    public func snapshot(at now: Instant) -> Snapshot { .merged((0..<count).map { shards[$0].snapshot(at: now) }) }

    public var isDrained: Bool { (0..<count).allSatisfy { shards[$0].isDrained } }
}
