import Glibc

@testable import DispatcherCore

/// A server request by request, under a controller that is fed by performance windows as the engine feeds it: requests are dispatched up to
/// the limit, share the server equally, and need exponentially distributed work; in virtual time.
struct ServerSimulation {
    let model: ServerModel
    var controller: LimitController
    /// One request of ten needs eleven times as much as the others.
    var hasMixedCosts = false
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private(set) var completed = 0
    /// The figures of the windows so far.
    private(set) var windows: [Performance] = []
    private var window = PerformanceWindow()
    private var outstanding: [(left: Double, at: Instant, era: UInt32)] = []
    private var random: SeededRandom

    init(_ model: ServerModel, _ controller: LimitController, seed: UInt64) {
        self.model = model
        self.controller = controller
        random = SeededRandom(seed: seed)
        window.begin(limit: controller.limit, at: now)
    }

    private mutating func work() -> Double {
        let unit = { (random: inout SeededRandom) in Double(random.next() >> 11) / Double(1 << 53) }
        let work = -log(max(unit(&random), 1e-12))
        return hasMixedCosts ? work * (unit(&random) < 0.1 ? 5.5 : 0.5) : work
    }

    /// A person sets the limit.
    mutating func setLimit(_ limit: Int) {
        controller.setLimit(limit)
        window.changeLimit(to: controller.limit, at: now)
    }

    /// Runs for so long; there is always more to do than the limit allows.
    mutating func run(for length: Interval) {
        let end = now + length
        while now < end {
            while outstanding.count < controller.limit { outstanding.append((work(), now, window.dispatched(at: now))) }
            window.queued()
            let speed = model.throughput(Double(outstanding.count)) / Double(outstanding.count) / 1e9
            let next = outstanding.indices.min { outstanding[$0].left < outstanding[$1].left }!
            let done = now + Interval(nanoseconds: Int64((outstanding[next].left / speed).rounded(.up)))
            let then = min(done, window.due(at: now))
            let passed = Double((then - now).nanoseconds) * speed
            for index in outstanding.indices { outstanding[index].left -= passed }
            now = then
            if done == then {
                let request = outstanding.remove(at: next)
                window.responded(after: now - request.at, era: request.era)
                window.departed(after: now - request.at, era: request.era, at: now)
                completed += 1
            }
            guard let figures = window.end(at: now) else { continue }
            windows.append(figures)
            let limit = controller.limit
            if controller.take(figures) != limit { window.changeLimit(to: controller.limit, at: now) }
        }
    }
}
