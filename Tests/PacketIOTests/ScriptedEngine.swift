import PacketIO
import Synchronization

@testable import DispatcherCore

/// An engine that writes down what it is told and echoes the length of each frame as a packet; one timer.
struct ScriptedEngine: PacketEngine, ~Copyable {
    final class Journal: Sendable {
        let lines = Mutex<[String]>([])

        func note(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    let journal: Journal
    var nextDeadline: Instant
    /// Packets that each frame causes.
    var echoes = 1
    /// Packets that an abort still has to cause; at most 1,500 of them in one call.
    var toReset = 0
    private var pending: [RequestRecord] = []
    private var isStopped = false

    init(_ journal: Journal, deadline: Instant = .distantFuture, echoes: Int = 1) {
        self.journal = journal
        nextDeadline = deadline
        self.echoes = echoes
    }

    mutating func receive(_ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress) {
        journal.note("\(side) \(frame.byteCount)")
        for _ in 0..<echoes { TestFrames.append(side.other, frame.byteCount, 0, 65_000, &egress) }
        var record = RequestRecord()
        record.status = UInt16(frame.byteCount)
        pending.append(record)
    }

    mutating func advance(to now: Instant, into egress: inout Egress) {
        journal.note("timer")
        nextDeadline = .distantFuture
        TestFrames.append(.client, 1, 0, 1_460, &egress)
    }

    mutating func apply(_ command: EngineCommand, at now: Instant, into egress: inout Egress) {
        journal.note("\(command)")
        isStopped = true
        guard case .abort = command else { return }
        for _ in 0..<min(toReset, 1_500) { TestFrames.append(.client, 1, 0, 1_460, &egress) }
        toReset -= min(toReset, 1_500)
    }

    /// Says that it cannot be when there is no pool.
    mutating func reconfigure(_ other: EngineConfiguration, at now: Instant, into egress: inout Egress) -> String? {
        journal.note("reconfigure \(other.pools.map(\.name))")
        if other.pools.isEmpty { return "no pool" }
        TestFrames.append(.server, 2, 0, 1_460, &egress)
        return nil
    }

    mutating func drainRecords(_ body: (borrowing RequestRecord) -> Void) {
        for record in pending { body(record) }
        pending = []
    }

    mutating func drainEvents(_ body: (borrowing EngineEvent) -> Void) {}

    func snapshot(at now: Instant) -> Snapshot {
        var snapshot = Snapshot()
        snapshot.timers = 42
        return snapshot
    }

    var isDrained: Bool { isStopped }
}

/// A sink that notes the lengths of what it is given.
struct NotingSink: PacketSink, ~Copyable {
    let journal: ScriptedEngine.Journal
    private var sent = TransmitStatistics()

    init(_ journal: ScriptedEngine.Journal) { self.journal = journal }

    mutating func send(_ egress: borrowing Egress, at now: Instant) {
        for index in 0..<egress.count { journal.note("sent \(egress[index].side) \(egress[index].length)") }
        sent.packets += UInt64(egress.count)
        sent.calls += 1
    }

    func statistics(of side: Side) -> TransmitStatistics { side == .client ? sent : TransmitStatistics() }
}
