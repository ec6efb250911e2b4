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

    /// The longest step of an engine that is played the opening of all of them.
    func growth() throws(BenchError) -> String {
        var recording = Recording(exchange)
        var player = Player(exchange)
        var opened = 0
        var frames = 0
        while recording.peers.connected < count {
            recording.hold(count, opened: &opened)
            player.playTimed(recording.tape)
            recording.rewind()
            if recording.peers.surprises > 0 {
                throw BenchError(
                    "\(recording.peers.surprises) segments came that nobody waited for; the first: \(recording.peers.surprise)")
            }
        }
        frames = recording.frames
        return Report.object([
            ("connections", "\(count)"), ("frames", "\(frames)"), ("longest_step_ns", "\(player.longest)"),
            ("longest_at", "\(player.longestAt)"), ("longest_ends_turn", "\(player.longestEndsTurn)"),
            ("steps_of_microseconds", "\(player.steps)"),
        ])
    }
}
