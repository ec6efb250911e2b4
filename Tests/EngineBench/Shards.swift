import CallCounts
import DispatcherCore

/// Which shard an engine is, and what it shares with the others.
struct Seat {
    var shard = Shard()
    var shared: SharedLoad?
}

/// A dispatcher of one engine, or of several that share their load (docs/architecture.md). What each engine was handed by peers of its own
/// is recorded, one engine after the other, and then played to the engines of another dispatcher, by a thread for each.
///
/// No server's limit is reached: else what one engine does would follow from when the others do something, and a tape would not fit. So the
/// figures contain what sharing costs, tokens and measuring included, but no waiting for each other's tokens.
struct Shards: ~Copyable {
    private struct Lane: ~Copyable {
        var recording: Recording
        var player: Player

        mutating func play() { player.play(recording.tape) }

        func check() throws(BenchError) {
            if recording.peers.surprises > 0 {
                throw BenchError(
                    "\(recording.peers.surprises) segments came that nobody waited for; the first: \(recording.peers.surprise)")
            }
            if !player.agrees(with: recording.engine, at: recording.now) {
                throw BenchError("an engine that was played to did something else")
            }
        }
    }

    /// What a round took.
    struct Round {
        var frames = 0
        /// Nanoseconds: from the beginning of the first thread to the end of the last, and of all threads' processor time.
        var wall: Int64 = 0
        var busy: Int64 = 0
    }

    private let lanes: UnsafeMutablePointer<Lane>
    private let count: Int

    /// - Parameters:
    ///   - exchange: of all engines together.
    ///   - count: engines.
    init(_ exchange: Exchange, _ count: Int) throws(BenchError) {
        var exchange = exchange
        exchange.concurrency /= count
        // Whichever servers the engines choose, there is room.
        exchange.fixedLimit = 2 * exchange.concurrency * count
        func seats() -> [Seat] {
            let shared = count > 1 ? SharedLoad(shards: count) : nil
            return (0..<count).map { Seat(shard: Shard($0, of: count), shared: shared) }
        }
        let (recorded, played) = (seats(), seats())
        lanes = .allocate(capacity: count)
        self.count = count
        for index in 0..<count {
            (lanes + index).initialize(
                to: Lane(recording: Recording(exchange, recorded[index]), player: Player(exchange, played[index])))
            lanes[index].recording.begin()
        }
        _ = try round()
    }

    deinit {
        lanes.deinitialize(count: count)
        lanes.deallocate()
    }

    /// A tape for each engine, all played at once.
    mutating func round() throws(BenchError) -> Round {
        var result = Round()
        for index in 0..<count {
            let before = lanes[index].recording.frames
            lanes[index].recording.talk(until: .max)
            result.frames += lanes[index].recording.frames - before
        }
        let contexts = (0..<count).map { Optional(UnsafeMutableRawPointer(lanes + $0)) }
        var busy = [Int64](repeating: 0, count: count)
        result.wall = sluice_at_once({ $0?.assumingMemoryBound(to: Lane.self).pointee.play() }, contexts, Int32(count), &busy)
        guard result.wall > 0 else { throw BenchError("a thread could not be started") }
        result.busy = busy.reduce(0, +)
        for index in 0..<count {
            lanes[index].recording.rewind()
            try lanes[index].check()
        }
        return result
    }

    /// One engine and several in turn.
    static func run(_ name: String, _ exchange: Exchange, _ count: Int, rounds: Int) throws(BenchError) -> String {
        var one = try Shards(exchange, 1)
        var several = try Shards(exchange, count)
        var found: [(one: Round, several: Round)] = []
        for index in 0..<rounds {
            var pair = (one: Round(), several: Round())
            if index & 1 == 0 { pair.one = try one.round() }
            pair.several = try several.round()
            if index & 1 == 1 { pair.one = try one.round() }
            found.append(pair)
        }
        func perFrame(_ time: Int64, _ round: Round) -> Double { Double(time) / Double(round.frames) }
        func median(_ of: ((one: Round, several: Round)) -> Double) -> Double { found.map(of).sorted()[rounds / 2] }
        return Report.object([
            ("case", "\"\(name)\""), ("shards", "\(count)"), ("rounds", "\(rounds)"),
            ("frames", "\(found.reduce(0) { $0 + $1.one.frames + $1.several.frames })"),
            ("one_ns_per_frame", Report.decimal(median { perFrame($0.one.wall, $0.one) })),
            ("several_ns_per_frame", Report.decimal(median { perFrame($0.several.wall, $0.several) })),
            ("one_busy_ns_per_frame", Report.decimal(median { perFrame($0.one.busy, $0.one) })),
            ("several_busy_ns_per_frame", Report.decimal(median { perFrame($0.several.busy, $0.several) })),
            (
                "ratio_percent",
                Report.decimal(100 * median { perFrame($0.one.wall, $0.one) / perFrame($0.several.wall, $0.several) })
            ),
        ])
    }
}
