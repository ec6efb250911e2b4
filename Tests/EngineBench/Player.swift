import CallCounts
import DispatcherCore

/// The engine that is measured: it is handed what a recording's engine was handed, at the same times.
struct Player: ~Copyable {
    private(set) var engine: Dispatcher
    private var egress: Egress
    /// Packets that it sent.
    private(set) var sent = 0

    init(_ exchange: Exchange, _ seat: Seat = Seat()) {
        engine = Recording.engine(exchange, seat)
        egress = Recording.egress()
    }

    /// Everything on the tape that was played to its own engine.
    mutating func play(_ tape: borrowing Tape) {
        for index in 0..<tape.played {
            let entry = tape.entry(index)
            if entry.length > 0 {
                engine.receive(tape.frame(entry).bytes, on: entry.side, at: entry.at, into: &egress)
                if egress.wantsFlush { flush() }
            }
            if entry.endsTurn { finishTurn(at: entry.at) }
        }
    }

    /// The same, and each step timed: a frame, or the end of a turn; nanoseconds of this thread's time, in order.
    mutating func play(_ tape: borrowing Tape, _ note: (Int64) -> Void) {
        var begun = sluice_thread_nanoseconds()
        func step() {
            let now = sluice_thread_nanoseconds()
            note(now - begun)
            begun = sluice_thread_nanoseconds()
        }
        for index in 0..<tape.played {
            let entry = tape.entry(index)
            if entry.length > 0 {
                engine.receive(tape.frame(entry).bytes, on: entry.side, at: entry.at, into: &egress)
                if egress.wantsFlush { flush() }
                step()
            }
            if entry.endsTurn {
                finishTurn(at: entry.at)
                step()
            }
        }
    }

    private mutating func finishTurn(at now: Instant) {
        while engine.nextDeadline <= now {
            let before = engine.nextDeadline
            engine.advance(to: now, into: &egress)
            let wasFull = egress.wantsFlush
            if wasFull { flush() }
            if !wasFull && engine.nextDeadline <= before { break }
        }
        flush()
        engine.drainRecords { _ in }
        engine.drainEvents { _ in }
    }

    private mutating func flush() {
        sent += egress.count
        egress.removeAll()
    }

    /// Whether it has counted what the recording's engine has: then it did the same.
    func agrees(with other: borrowing Dispatcher, at now: Instant) -> Bool {
        let mine = engine.snapshot(at: now).counters
        let theirs = other.snapshot(at: now).counters
        return mine.framesIn == theirs.framesIn && mine.emitted == theirs.emitted && mine.dropped == theirs.dropped
    }
}
