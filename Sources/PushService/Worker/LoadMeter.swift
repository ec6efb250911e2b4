import NIOCore
import Synchronization

/// How late the event loops run what is due: the worker's load, in milliseconds.
final class LoadMeter: Sendable {
    private static let interval = TimeAmount.milliseconds(200)
    /// The weight of the newest measurement in the moving mean.
    private static let weight = 0.3

    private let delays: Mutex<[Double]>

    init(eventLoops: any EventLoopGroup) {
        let loops = Array(eventLoops.makeIterator())
        delays = Mutex([Double](repeating: 0, count: loops.count))
        for (index, loop) in loops.enumerated() { schedule(on: loop, index: index) }
    }

    /// The delay of the slowest event loop, in milliseconds.
    var delay: Double {
        delays.withLock { $0.max() ?? 0 }
    }

    private func schedule(on loop: any EventLoop, index: Int) {
        let due = NIODeadline.now() + Self.interval
        loop.scheduleTask(deadline: due) { [weak self] in
            guard let self else { return }
            let late = Double((NIODeadline.now() - due).nanoseconds) / 1e6
            self.delays.withLock { $0[index] += Self.weight * (late - $0[index]) }
            self.schedule(on: loop, index: index)
        }
    }
}
