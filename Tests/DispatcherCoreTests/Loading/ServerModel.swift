import Glibc

@testable import DispatcherCore

/// A server by the universal scalability law (Gunther): with N requests at a time it does `X(N) = gN / (1 + s(N-1) + kN(N-1))` a second.
/// Window by window, in virtual time.
struct ServerModel {
    /// Requests a second of a single one at a time.
    var rate: Double
    var contention: Double
    var coherency: Double
    /// How many clients ask at a time.
    var demand = Int.max
    /// What a window's figures scatter by, as a part of them.
    var noise = 0.0
    /// Of counted windows: see there.
    var dispersion = 1.0
    var stalls = false
    /// Virtual time, seconds.
    private(set) var now = 0.0
    private var random: SeededRandom

    init(seed: UInt64, noise: Double = 0) {
        random = SeededRandom(seed: seed)
        self.noise = noise
        rate = 20 + 480 * Self.unit(&random)
        contention = 0.2 * Self.unit(&random)
        coherency = 0.0002 + 0.0198 * Self.unit(&random)
    }

    /// A server of which nothing is known but what its peak can be: 20 to 5,000 requests a second. One of eight has no coherency: it is flat,
    /// or still rises up to `maximum`.
    init(optimise seed: UInt64, maximum: Int = 256) {
        self.init(seed: seed)
        contention = 0.2 * Self.unit(&random)
        coherency = 0.02 * Self.unit(&random)
        if Self.unit(&random) < 0.3 { coherency *= coherency / 0.02 }
        if Self.unit(&random) < 0.1 { contention = 0 }
        if seed % 8 == 0 { coherency = 0 }
        let wanted = 20 * exp(log(250) * Self.unit(&random))
        rate = 1
        rate = wanted / best(maximum)
    }

    /// The most that it does at any limit up to a maximum.
    func best(_ maximum: Int) -> Double { (1...maximum).reduce(0) { max($0, throughput(Double($1))) } }

    private static func unit(_ random: inout SeededRandom) -> Double { Double(random.next() >> 11) / Double(1 << 53) }

    func throughput(_ count: Double) -> Double {
        rate * count / (1 + contention * (count - 1) + coherency * count * (count - 1))
    }
    func responseTime(_ count: Double) -> Double { count / throughput(count) }

    /// The number of requests at a time at which it does most.
    var peak: Int { (1...2_000).max { throughput(Double($0)) < throughput(Double($1)) }! }

    /// A window under a limit.
    mutating func window(limit: Int) -> Performance {
        let count = Double(min(limit, demand))
        let time = responseTime(count) * exp(noise * gauss())
        let rate = count / time
        let seconds = min(2, max(0.25, Double(max(10, 7 * limit)) / rate))
        return figures(limit: limit, responses: Int((rate * seconds).rounded()), seconds: seconds, time: time)
    }

    /// A window under a limit that ends when `PerformanceWindow` would end it, with responses that come by chance: their number varies by
    /// `dispersion` times as much as Poisson's. A stall of 500 ms falls into every ten seconds of virtual time, where there are stalls.
    mutating func countedWindow(limit: Int) -> Performance {
        let count = Double(min(limit, demand))
        let rate = throughput(count)
        let enough = Double(max(10, 7 * limit))
        var seconds = gamma(enough / dispersion) * dispersion / rate
        var responses = enough
        if seconds < 0.25 {
            let rest = rate * (0.25 - seconds)
            responses += max(0, (rest + (dispersion * rest).squareRoot() * gauss()).rounded())
            seconds = 0.25
        } else if seconds > 2 {
            let mean = 2 * rate
            responses = min(enough - 1, max(0, (mean + (dispersion * mean).squareRoot() * gauss()).rounded()))
            seconds = 2
        }
        if stalls, ((now + seconds) / 10).rounded(.down) > (now / 10).rounded(.down) {
            seconds += 0.5
            if seconds > 2 {
                responses = (responses * 2 / seconds).rounded()
                seconds = 2
            }
        }
        now += seconds
        return figures(limit: limit, responses: Int(responses), seconds: seconds, time: count / rate)
    }

    private func figures(limit: Int, responses: Int, seconds: Double, time: Double) -> Performance {
        var figures = Performance()
        figures.length = Interval(nanoseconds: Int64(seconds * 1e9))
        figures.limit = limit
        figures.responses = responses
        figures.allResponses = responses
        figures.bytes = UInt64(responses) * 1_000
        figures.packets = UInt64(responses) * 3
        figures.responseTimes = Interval(nanoseconds: Int64(time * 1e9) * Int64(responses))
        figures.longestResponseTime = Interval(nanoseconds: Int64(time * 3e9))
        figures.departures = responses
        figures.outstandingTimes = figures.responseTimes
        figures.meanOutstanding = Double(min(limit, demand))
        figures.mostOutstanding = min(limit, demand)
        figures.hadQueue = demand > limit
        return figures
    }

    private mutating func gauss() -> Double {
        (-2 * log(max(Self.unit(&random), 1e-12))).squareRoot() * cos(2 * .pi * Self.unit(&random))
    }

    /// A gamma variate of mean and variance `shape` (Wilson and Hilferty's cube of a normal one).
    private mutating func gamma(_ shape: Double) -> Double {
        let cube = 1 - 1 / (9 * shape) + gauss() / (3 * shape.squareRoot())
        return shape * max(cube, 0.01) * max(cube, 0.01) * max(cube, 0.01)
    }
}
