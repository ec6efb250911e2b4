import CallCounts
import DispatcherCore

/// A recording and the engine that is measured, side by side.
struct Session: ~Copyable {
    private(set) var recording: Recording
    private(set) var player: Player
    private(set) var counts = call_counts()
    /// Frames and packets of what was measured, and the processor time that it took; nanoseconds.
    private(set) var framesMeasured = 0
    private(set) var packetsMeasured = 0
    private(set) var time: Int64 = 0
    /// Nanoseconds for each frame of each piece that was measured.
    private(set) var pace: [Double] = []
    private var opened = 0

    init(_ exchange: Exchange) {
        recording = Recording(exchange)
        player = Player(exchange)
    }

    /// What happens before anything is measured: connections are opened, and every path was taken.
    mutating func warmUp() throws(BenchError) {
        let exchange = recording.peers.exchange
        if exchange.held > 0 {
            while recording.peers.connected < exchange.held {
                recording.hold(exchange.held, opened: &opened)
                player.play(recording.tape)
                recording.rewind()
                try check()
            }
        } else {
            recording.begin()
        }
        try talk(4 * exchange.concurrency, isMeasured: false)
    }

    /// So many exchanges more.
    mutating func talk(_ count: Int, isMeasured: Bool) throws(BenchError) {
        let last = recording.peers.finished + count
        while recording.peers.finished < last {
            let before = (frames: recording.frames, sent: player.sent)
            if recording.peers.exchange.held > 0 { recording.converse(until: last) } else { recording.talk(until: last) }
            if isMeasured {
                let begun = sluice_thread_nanoseconds()
                measure()
                let took = sluice_thread_nanoseconds() - begun
                time += took
                pace.append(Double(took) / Double(recording.frames - before.frames))
                framesMeasured += recording.frames - before.frames
                packetsMeasured += player.sent - before.sent
            } else {
                player.play(recording.tape)
            }
            recording.rewind()
            try check()
        }
    }

    private mutating func measure() {
        let found = withUnsafeMutablePointer(to: &self) { session in
            sluice_measured(
                { context in
                    guard let session = context?.assumingMemoryBound(to: Session.self) else { return }
                    session.pointee.player.play(session.pointee.recording.tape)
                }, session)
        }
        counts.allocations += found.allocations
        counts.bytes += found.bytes
        counts.frees += found.frees
        counts.objects += found.objects
        counts.retains += found.retains
        counts.releases += found.releases
        counts.accesses += found.accesses
    }

    private func check() throws(BenchError) {
        if recording.peers.surprises > 0 {
            throw BenchError("\(recording.peers.surprises) segments came that nobody waited for; the first: \(recording.peers.surprise)")
        }
        if !player.agrees(with: recording.engine, at: recording.now) {
            throw BenchError("the engine that was played to did something else")
        }
    }
}

struct BenchError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
