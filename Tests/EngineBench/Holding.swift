import CallCounts
import DispatcherCore

/// Many connections that are there and say nothing: front-end connections between two requests, or tunnels.
struct Holding {
    enum Kind: String { case idle, tunnels }

    /// Those that are there before memory is measured.
    static let first = 1_000

    let exchange: Exchange
    let count: Int

    init(_ kind: Kind, _ count: Int) {
        self.count = count
        // From nine tenths of its limit on a service closes what is idle.
        exchange = Exchange(kind: kind == .tunnels ? .tunnel : .request, held: count, limit: count * 10 / 9 + 1_000)
    }

    /// What the process's resident memory grows by for each connection, of one engine.
    func memory() throws(BenchError) -> String {
        var recording = Recording(exchange, tapeBytes: 4 << 20, tapeEntries: 1 << 14)
        let begin = sluice_resident_bytes()
        var opened = 0
        try hold(Self.first, &opened, &recording)
        let before = sluice_resident_bytes()
        try hold(count, &opened, &recording)
        let after = sluice_resident_bytes()
        return Report.object([
            ("connections", "\(count)"), ("bytes_each", Report.decimal(Double(after - before) / Double(count - Self.first))),
            ("first_bytes", "\(before - begin)"), ("bytes", "\(after - begin)"),
        ])
    }

    private func hold(_ count: Int, _ opened: inout Int, _ recording: inout Recording) throws(BenchError) {
        while recording.peers.connected < count {
            recording.hold(count, opened: &opened)
            recording.rewind()
            if recording.peers.surprises > 0 {
                throw BenchError(
                    "\(recording.peers.surprises) segments came that nobody waited for; the first: \(recording.peers.surprise)")
            }
        }
    }

    /// The longest step of engines that are played the opening of all of them: the same step of three engines, each with memory of its own,
    /// counts with the least of the three. What an engine does at one place it does at that place each time; a host that takes the processor
    /// away from a virtual machine for a millisecond does so anywhere.
    func growth() throws(BenchError) -> String {
        var recording = Recording(exchange)
        var first = Player(exchange)
        var second = Player(exchange)
        var third = Player(exchange)
        var least: [Int64] = []
        var (steps, longest, longestOfOne) = (0, Int64(0), Int64(0))
        var opened = 0
        while recording.peers.connected < count {
            recording.hold(count, opened: &opened)
            least.removeAll(keepingCapacity: true)
            first.play(recording.tape) {
                least.append($0)
                longestOfOne = max(longestOfOne, $0)
            }
            func lower(_ player: inout Player) {
                var place = 0
                player.play(recording.tape) {
                    least[place] = min(least[place], $0)
                    place += 1
                }
            }
            lower(&second)
            lower(&third)
            steps += least.count
            longest = max(longest, least.max() ?? 0)
            recording.rewind()
            if recording.peers.surprises > 0 {
                throw BenchError(
                    "\(recording.peers.surprises) segments came that nobody waited for; the first: \(recording.peers.surprise)")
            }
        }
        return Report.object([
            ("connections", "\(count)"), ("frames", "\(recording.frames)"), ("steps", "\(steps)"), ("longest_step_ns", "\(longest)"),
            ("longest_of_one_engine_ns", "\(longestOfOne)"),
        ])
    }
}
