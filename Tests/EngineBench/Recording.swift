import DispatcherCore

/// An engine with peers at both of its ends, and a tape of what it was handed. Played to another engine of the same seed it gives the same
/// again, and what that engine does is all that is measured.
struct Recording: ~Copyable {
    private(set) var engine: Dispatcher
    private var egress: Egress
    private(set) var peers: Peers
    private(set) var tape: Tape
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    /// Frames that the engine was handed.
    private(set) var frames = 0
    private var random = SeededRandom(seed: 7)

    static let seed: UInt64 = 0x5EED
    /// Frames of one turn; nanoseconds from one frame to the next.
    static let turn = 64
    static let step: Int64 = 2_000

    init(_ exchange: Exchange, _ seat: Seat = Seat(), tapeBytes: Int = 48 << 20, tapeEntries: Int = 1 << 16) {
        engine = Self.engine(exchange, seat)
        egress = Self.egress()
        peers = Peers(exchange)
        tape = Tape(bytes: tapeBytes, entries: tapeEntries)
    }

    static func engine(_ exchange: Exchange, _ seat: Seat = Seat()) -> Dispatcher {
        Dispatcher(
            configuration: exchange.configuration.part(seat.shard), seed: seed &+ UInt64(seat.shard.index), shared: seat.shared)
    }

    /// As the dispatcher's loop has it with packet sockets.
    static func egress() -> Egress { Egress(leavesChecksums: true, gathers: true) }

    /// One turn of the dispatcher's loop: frames, timers, and everything out.
    mutating func turn() {
        if tape.waiting == 0 {
            // Nothing comes until a timer fires.
            _ = tape.append(0, on: .client)
            if engine.nextDeadline < .distantFuture { now = max(now, engine.nextDeadline) }
        }
        let count = min(tape.waiting, Self.turn)
        for index in 1...count {
            now = Instant(nanoseconds: now.nanoseconds + Self.step)
            let entry = tape.next(at: now, endsTurn: index == count)
            guard entry.length > 0 else { continue }
            frames += 1
            engine.receive(tape.frame(entry).bytes, on: entry.side, at: now, into: &egress)
            if egress.wantsFlush { deliver() }
        }
        while engine.nextDeadline <= now {
            let before = engine.nextDeadline
            engine.advance(to: now, into: &egress)
            let wasFull = egress.wantsFlush
            if wasFull { deliver() }
            if !wasFull && engine.nextDeadline <= before { break }
        }
        deliver()
        engine.drainRecords { _ in }
        engine.drainEvents { _ in }
    }

    private mutating func deliver() {
        for index in 0..<egress.count {
            let packet = egress[index]
            peers.receive(packet, egress.bytes(of: packet), on: &tape)
        }
        egress.removeAll()
    }

    // MARK: What happens

    mutating func begin() {
        for place in 0..<peers.exchange.concurrency { peers.open(place, on: &tape) }
    }

    /// Turns until the tape should be played, or so many exchanges are finished.
    mutating func talk(until finished: Int) {
        while peers.finished < finished, !tape.isNearlyFull { turn() }
    }

    /// Opens connections one after another, a turn's worth at a time, until so many are open, or the tape should be played.
    mutating func hold(_ count: Int, opened: inout Int) {
        while peers.connected < count, !tape.isNearlyFull {
            while peers.busy < peers.exchange.concurrency, opened < count {
                peers.open(opened, on: &tape)
                opened += 1
            }
            turn()
        }
    }

    /// Lets random ones of the connections that are held talk, a turn's worth at a time.
    mutating func converse(until finished: Int) {
        while peers.finished < finished, !tape.isNearlyFull {
            while peers.busy < peers.exchange.concurrency {
                let place = Int(random.next() % UInt64(peers.exchange.held))
                _ = peers.speak(place, on: &tape)
            }
            turn()
        }
    }

    mutating func rewind() { tape.rewind() }
}
