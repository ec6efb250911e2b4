import Glibc
import Testing

@testable import DispatcherCore

@Suite("Holding a rate in its band")
struct RateHoldControllerTests {
    private static let maximum = 256
    private static let servers = 1...100 as ClosedRange<UInt64>

    private func holder(_ low: Double?, _ high: Double?, from initial: Int, metric: Metric = .requestRate) -> RateHoldController {
        RateHoldController(metric: metric, low: low, high: high, initial: initial, minimum: 1, maximum: Self.maximum)
    }

    /// A metric's amount of a response in the model.
    private func unit(_ metric: Metric) -> Double {
        switch metric {
        case .throughput: 1_000
        case .packetThroughput: 3
        default: 1
        }
    }

    /// How much of the time after some windows the server's true rate lay in the band, one part in twenty wider for what counting misses,
    /// and the limit was no more than the peak's; and how often the limit was far past the peak then.
    private func held(_ seed: UInt64, _ metric: Metric, initial: Int) -> (inBand: Double, collapsed: Int) {
        var model = ServerModel(optimise: seed)
        let (best, peak) = (model.best(Self.maximum), model.peak)
        let (low, high) = (0.65 * best, 0.85 * best)
        var holder = holder(low * unit(metric), high * unit(metric), from: initial, metric: metric)
        for _ in 0..<40 { _ = holder.take(model.countedWindow(limit: holder.limit)) }
        var (inBand, collapsed) = (0, 0)
        for _ in 0..<150 {
            let limit = Double(holder.limit)
            let rate = model.throughput(limit)
            if rate > low * 0.95, rate < high * 1.05, holder.limit <= peak { inBand += 1 }
            if holder.limit > 3 * peak { collapsed += 1 }
            _ = holder.take(model.countedWindow(limit: holder.limit))
        }
        return (Double(inBand) / 150, collapsed)
    }

    @Test(
        """
        100 random servers, 65 to 85 % of the peak's rate: after 40 windows from one connection and from the most the rate lies in the band \
        for 95 % of the time in the mean, left of the peak, and never far past it
        """, arguments: [(Metric.requestRate, 1), (.throughput, 256), (.packetThroughput, 256)])
    func convergence(metric: Metric, initial: Int) {
        let results = Self.servers.map { held($0, metric, initial: initial) }
        let parts = results.map(\.inBand)
        #expect(parts.reduce(0, +) / Double(parts.count) >= 0.95, "\(parts.reduce(0, +) / Double(parts.count))")
        let bad = parts.count { $0 < 0.7 }
        #expect(bad <= parts.count / 30, "\(bad): \(zip(Self.servers, parts).filter { $0.1 < 0.7 })")
        #expect(results.allSatisfy { $0.collapsed == 0 })
    }

    @Test("a rate that the server cannot do: it says so, and stays near the peak instead of driving the server into collapse")
    func infeasible() {
        var shares: [Double] = []
        var said = 0
        for seed in Self.servers {
            for initial in [1, Self.maximum] {
                var model = ServerModel(optimise: seed)
                let best = model.best(Self.maximum)
                var holder = holder(1.3 * best, nil, from: initial)
                var (done, seconds) = (0.0, 0.0)
                for window in 0..<240 {
                    let rate = model.throughput(Double(holder.limit))
                    let figures = model.countedWindow(limit: holder.limit)
                    _ = holder.take(figures)
                    if window >= 60 {
                        done += rate * figures.seconds
                        seconds += figures.seconds
                    }
                }
                shares.append(done / seconds / best)
                if LimitController.State(holder.reason) == .infeasible { said += 1 }
            }
        }
        #expect(shares.reduce(0, +) / Double(shares.count) >= 0.95, "\(shares.reduce(0, +) / Double(shares.count))")
        #expect(shares.count { $0 < 0.8 } <= shares.count / 50, "\(shares.count { $0 < 0.8 })")
        #expect(said >= shares.count * 8 / 10, "\(said) of \(shares.count)")
    }

    @Test("low demand: below the band, and not for want of connections: the limit stays", arguments: 1...20 as ClosedRange<UInt64>)
    func lowDemand(seed: UInt64) {
        var model = ServerModel(optimise: seed)
        model.demand = 2
        var holder = holder(10 * model.throughput(2), 20 * model.throughput(2), from: 12)
        for _ in 0..<200 { #expect(holder.take(model.countedWindow(limit: holder.limit)) == 12) }
        #expect(holder.reason == .notSaturated)
        var idle = Performance()
        idle.length = .seconds(2)
        idle.limit = 12
        #expect(holder.take(idle) == 12)
    }

    @Test("half of the speed is lost, and comes back: the limit follows", arguments: 1...30 as ClosedRange<UInt64>)
    func steps(seed: UInt64) {
        var model = ServerModel(optimise: seed)
        (model.contention, model.coherency) = (0.02, 0.002)
        model.rate = 40
        let (low, high) = (160.0, 220.0)
        var holder = holder(low, high, from: 4)
        for factor in [1, 0.5, 1] {
            model.rate = 40 * factor
            for _ in 0..<40 { _ = holder.take(model.countedWindow(limit: holder.limit)) }
            var inBand = 0
            for _ in 0..<50 {
                let rate = model.throughput(Double(holder.limit))
                if rate > low * 0.93, rate < high * 1.07 { inBand += 1 }
                _ = holder.take(model.countedWindow(limit: holder.limit))
            }
            #expect(inBand >= 45, "\(factor): \(inBand), limit \(holder.limit)")
        }
    }

    @Test("one end of a band is enough: no more than the high one; no fewer than the low one, without a need for more")
    func oneSided() {
        var model = ServerModel(optimise: 1)
        (model.contention, model.coherency, model.rate) = (0.02, 0.002, 40)
        for initial in [1, 40, 256] {
            var most = holder(nil, 200, from: initial)
            for _ in 0..<60 { _ = most.take(model.countedWindow(limit: most.limit)) }
            let rate = model.throughput(Double(most.limit))
            #expect(rate < 215 && rate > 120, "from \(initial): \(rate) at \(most.limit)")
        }
        var least = holder(200, nil, from: 1)
        for _ in 0..<60 { _ = least.take(model.countedWindow(limit: least.limit)) }
        #expect(model.throughput(Double(least.limit)) > 186)
    }

    @Test("failures lower it by three tenths a window; a person's limit, bounds and band are kept; a server that came back begins anew")
    func fromOutside() {
        var model = ServerModel(optimise: 5)
        var holder = holder(1, 2, from: 100)
        var figures = model.countedWindow(limit: 100)
        figures.failures = 1
        #expect(holder.take(figures) == 70 && holder.take(figures) == 49 && holder.reason == .failures)
        holder.set(limit: 9)
        #expect(holder.limit == 9 && holder.reason == .set)
        holder.setBounds(minimum: 2, maximum: 6)
        #expect(holder.limit == 6)
        holder.setBand(low: 5, high: nil)
        #expect(holder.low == 5 && holder.high == nil)
        for _ in 0..<50 { #expect((2...6).contains(holder.take(model.countedWindow(limit: holder.limit)))) }
        holder.restart(at: 3)
        #expect(holder.limit == 3 && holder.reason == .restarted && holder.elasticity == nil)
        holder.follow(1)
        #expect(holder.limit == 2)
    }
}
