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
    var random: SeededRandom

    init(seed: UInt64, noise: Double = 0) {
        random = SeededRandom(seed: seed)
        self.noise = noise
        rate = 20 + 480 * Self.unit(&random)
        contention = 0.2 * Self.unit(&random)
        coherency = 0.0002 + 0.0198 * Self.unit(&random)
    }

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
        let gauss = (-2 * log(max(Self.unit(&random), 1e-12))).squareRoot() * cos(2 * .pi * Self.unit(&random))
        let time = responseTime(count) * exp(noise * gauss)
        let rate = count / time
        let seconds = min(2, max(0.25, Double(max(10, 7 * limit)) / rate))
        var figures = Performance()
        figures.length = Interval(nanoseconds: Int64(seconds * 1e9))
        figures.limit = limit
        figures.responses = Int((rate * seconds).rounded())
        figures.allResponses = figures.responses
        figures.responseTimes = Interval(nanoseconds: Int64(time * 1e9) * Int64(figures.responses))
        figures.longestResponseTime = Interval(nanoseconds: Int64(time * 3e9))
        figures.departures = figures.responses
        figures.outstandingTimes = figures.responseTimes
        figures.meanOutstanding = count
        figures.mostOutstanding = Int(count)
        figures.hadQueue = demand > limit
        return figures
    }
}
