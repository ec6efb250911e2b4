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
        var seen = 0
        for index in 0..<tape.played {
            let entry = tape.entry(index)
            lookAhead(tape, from: index, &seen)
            if entry.length > 0 {
                engine.receive(tape.frame(entry).bytes, on: entry.side, at: entry.at, into: &egress)
                if egress.wantsFlush { flush() }
            }
            if entry.endsTurn { finishTurn(at: entry.at) }
        }
    }

    /// As a loop does that sees what the capture has ready: the frames of this turn.
    private mutating func lookAhead(_ tape: borrowing Tape, from index: Int, _ seen: inout Int) {
        guard engine.looksAhead else { return }
        if seen <= index { seen = index + 1 }
        while seen < tape.played, seen <= index + Dispatcher.lookAheadDistance, !tape.entry(seen - 1).endsTurn {
            let entry = tape.entry(seen)
            if entry.length > 0 { engine.lookAhead(tape.frame(entry).bytes, on: entry.side) }
            seen += 1
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
