import CallCounts
import DispatcherCore

/// The engine that is measured: it is handed what a recording's engine was handed, at the same times.
struct Player: ~Copyable {
    private(set) var engine: Dispatcher
    private var egress: Egress
    /// Packets that it sent.
    private(set) var sent = 0
    /// The longest that one frame, or the end of a turn, took of this thread's time; nanoseconds.
    private(set) var longest: Int64 = 0
    /// Which it was: the frame's number, and whether it was the end of the turn behind it. And the longest others, by powers of two.
    private(set) var longestAt = 0
    private(set) var longestEndsTurn = false
    private var timed = 0
    /// Steps that took at least 2^n microseconds.
    private(set) var steps = [Int](repeating: 0, count: 16)

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

    /// The same, and each step timed.
    mutating func playTimed(_ tape: borrowing Tape) {
        var begun = sluice_thread_nanoseconds()
        func step(endsTurn: Bool) {
            let now = sluice_thread_nanoseconds()
            if now - begun > longest { (longest, longestAt, longestEndsTurn) = (now - begun, timed, endsTurn) }
            var (least, place) = (Int64(1_000), 0)
            while now - begun >= least, place < steps.count {
                steps[place] += 1
                (least, place) = (least * 2, place + 1)
            }
            begun = now
        }
        for index in 0..<tape.played {
            let entry = tape.entry(index)
            if entry.length > 0 {
                engine.receive(tape.frame(entry).bytes, on: entry.side, at: entry.at, into: &egress)
                if egress.wantsFlush { flush() }
                timed += 1
                step(endsTurn: false)
            }
            if entry.endsTurn {
                finishTurn(at: entry.at)
                step(endsTurn: true)
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
