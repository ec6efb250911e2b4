import Glibc
import Testing

@testable import DispatcherCore

@Suite("Finding the peak")
struct OptimiseControllerTests {
    private static let maximum = 256

    /// What a run came to.
    private struct Result {
        /// What was done, as a part of the most that could be, over the time after the windows that are passed over.
        var share = 0.0
        /// The limit's standard deviation as a part of its mean, over the second half of the other windows.
        var variation = 0.0
        var last = 0
    }

    /// Some windows, of which the first ones are passed over; all others count, those in which it compares among them.
    private func run(_ model: inout ServerModel, _ optimiser: inout OptimiseController, after skipped: Int, windows: Int) -> Result {
        let best = model.best(Self.maximum)
        var (done, seconds) = (0.0, 0.0)
        var limits: [Double] = []
        for window in 0..<skipped + windows {
            let limit = Double(optimiser.limit)
            let figures = model.countedWindow(limit: optimiser.limit)
            if window >= skipped {
                done += model.throughput(limit) * figures.seconds
                seconds += figures.seconds
            }
            if window >= skipped + windows / 2 { limits.append(limit) }
            _ = optimiser.take(figures)
        }
        let mean = limits.reduce(0, +) / Double(limits.count)
        let variance = limits.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(limits.count)
        return Result(share: done / seconds / best, variation: variance.squareRoot() / mean, last: optimiser.limit)
    }

    private func optimiser(from initial: Int) -> OptimiseController {
        OptimiseController(initial: initial, minimum: 1, maximum: Self.maximum)
    }

    private static let servers = 1...200 as ClosedRange<UInt64>
    private static let fewerServers = 1...100 as ClosedRange<UInt64>

    /// How many of a hundred figures are at least so much.
    private func percent(_ figures: [Double], atLeast wanted: Double) -> Double {
        100 * Double(figures.count { $0 >= wanted }) / Double(figures.count)
    }

    @Test(
        """
        200 random servers: over the 200 windows after the first 30 from one connection, and after the first 40 from the most, 95 % of the \
        peak's rate are done on 99 of 100 servers, nowhere less than 88 %; the limit varies by a fifth at most on 98 of 100
        """, arguments: [(1, 30), (maximum, 40)])
    func convergence(initial: Int, skipped: Int) {
        let results = Self.servers.map { seed in
            var (model, optimiser) = (ServerModel(optimise: seed), optimiser(from: initial))
            return run(&model, &optimiser, after: skipped, windows: 200)
        }
        let shares = results.map(\.share)
        #expect(percent(shares, atLeast: 0.95) >= 99, "\(percent(shares, atLeast: 0.95))")
        #expect(shares.min()! >= 0.88, "\(shares.min()!)")
        #expect(shares.reduce(0, +) / Double(shares.count) >= 0.99)
        #expect(percent(results.map { -$0.variation }, atLeast: -0.2) >= 98)
    }

    @Test(
        """
        mixed costs (counts vary thrice as much as Poisson's), or stalls of 500 ms every ten seconds: 95 % on 95 of 100 servers, 98 % in \
        the mean
        """,
        arguments: [(3.0, false), (1.0, true)])
    func disturbances(dispersion: Double, stalls: Bool) {
        for (initial, skipped) in [(1, 30), (Self.maximum, 40)] {
            let results = Self.fewerServers.map { seed in
                var (model, optimiser) = (ServerModel(optimise: seed), optimiser(from: initial))
                model.dispersion = dispersion
                model.stalls = stalls
                return run(&model, &optimiser, after: skipped, windows: 200)
            }
            let shares = results.map(\.share)
            #expect(percent(shares, atLeast: 0.95) >= 95, "from \(initial): \(percent(shares, atLeast: 0.95))")
            #expect(shares.reduce(0, +) / Double(shares.count) >= 0.98)
            #expect(percent(results.map { -$0.variation }, atLeast: -0.2) >= 90)
        }
    }

    @Test("half of the speed is lost, comes back, and doubles: 30 windows later 95 % of the new peak's rate are done in 97 of 100 cases")
    func steps() {
        var shares: [Double] = []
        for seed in Self.fewerServers {
            var (model, optimiser) = (ServerModel(optimise: seed), optimiser(from: 1))
            let rate = model.rate
            for factor in [1, 0.5, 1, 2] {
                model.rate = rate * factor
                shares.append(run(&model, &optimiser, after: 30, windows: 90).share)
            }
        }
        #expect(percent(shares, atLeast: 0.95) >= 97, "\(percent(shares, atLeast: 0.95))")
        #expect(shares.reduce(0, +) / Double(shares.count) >= 0.98 && shares.min()! >= 0.8, "\(shares.min()!)")
    }

    @Test("the server begins to thrash four times as much, and ceases to: 30 windows later 90 % of the new peak in 95 of 100 cases")
    func movingPeak() {
        var shares: [Double] = []
        for seed in Self.fewerServers {
            var (model, optimiser) = (ServerModel(optimise: seed), optimiser(from: 1))
            let coherency = model.coherency
            for factor in [1.0, 4, 1] {
                model.coherency = coherency * factor
                shares.append(run(&model, &optimiser, after: 30, windows: 90).share)
            }
        }
        #expect(percent(shares, atLeast: 0.9) >= 95, "\(percent(shares, atLeast: 0.9))")
        #expect(shares.reduce(0, +) / Double(shares.count) >= 0.96)
    }

    @Test("against the oracle, which knows the peak, at most 8 % are lost over five minutes from 8 connections, on 99 of 100 servers")
    func regret() {
        let shares = Self.fewerServers.map { seed in
            var (model, optimiser) = (ServerModel(optimise: seed), optimiser(from: 8))
            var done = 0.0
            while model.now < 300 {
                let rate = model.throughput(Double(optimiser.limit))
                let figures = model.countedWindow(limit: optimiser.limit)
                done += rate * figures.seconds
                _ = optimiser.take(figures)
            }
            return done / model.now / model.best(Self.maximum)
        }
        #expect(percent(shares, atLeast: 0.92) >= 99, "\(percent(shares, atLeast: 0.92))")
        #expect(shares.reduce(0, +) / Double(shares.count) >= 0.98)
    }

    @Test("low demand: the limit stays, and where it stayed nothing is forgotten", arguments: 1...20 as ClosedRange<UInt64>)
    func lowDemand(seed: UInt64) {
        var (model, optimiser) = (ServerModel(optimise: seed), optimiser(from: 1))
        _ = run(&model, &optimiser, after: 40, windows: 10)
        model.demand = 1
        _ = optimiser.take(model.countedWindow(limit: optimiser.limit))
        let limit = optimiser.limit
        guard limit >= 2 else { return }
        for _ in 0..<200 { #expect(optimiser.take(model.countedWindow(limit: optimiser.limit)) == limit) }
        #expect(optimiser.reason == .notSaturated || limit == 1)
        model.demand = .max
        #expect(run(&model, &optimiser, after: 0, windows: 100).share >= 0.88)
    }

    @Test("at the start the limit doubles every two windows while that pays: a server that does as much more as it is given")
    func doubling() {
        var model = ServerModel(optimise: 8)
        (model.contention, model.coherency, model.rate) = (0, 0, 10)
        var optimiser = optimiser(from: 1)
        for power in 0..<8 {
            for _ in 0..<2 {
                #expect(optimiser.limit == 1 << power)
                _ = optimiser.take(model.countedWindow(limit: optimiser.limit))
            }
        }
        #expect(run(&model, &optimiser, after: 4, windows: 60).share >= 0.95)
        optimiser.restart(at: 4)
        #expect(optimiser.limit == 4 && optimiser.reason == .restarted && optimiser.elasticity == nil)
        for _ in 0..<2 { _ = optimiser.take(model.countedWindow(limit: optimiser.limit)) }
        #expect(optimiser.limit == 8 && optimiser.reason == .growing)
    }

    @Test("failures lower it by three tenths a window, and for some windows it does not go up")
    func failures() {
        var (model, optimiser) = (ServerModel(optimise: 3), optimiser(from: 200))
        var figures = model.countedWindow(limit: 200)
        figures.failures = 2
        _ = optimiser.take(figures)
        #expect(Int(optimiser.center) == 140 && optimiser.reason == .failures)
        for _ in 0..<20 { _ = optimiser.take(figures) }
        #expect(optimiser.center == 1 && optimiser.limit <= 2)
        for _ in 0..<OptimiseController.cautious - 1 {
            _ = optimiser.take(model.countedWindow(limit: optimiser.limit))
            #expect(optimiser.limit <= 2)
        }
        #expect(run(&model, &optimiser, after: 40, windows: 100).share >= 0.95)
    }

    @Test("a person's limit and other bounds: it goes on from there, and never leaves the bounds", arguments: 1...20 as ClosedRange<UInt64>)
    func fromOutside(seed: UInt64) {
        var (model, optimiser) = (ServerModel(optimise: seed), optimiser(from: 1))
        _ = run(&model, &optimiser, after: 0, windows: 30)
        optimiser.set(limit: 100)
        #expect(optimiser.limit == 100 && optimiser.reason == .set)
        optimiser.setBounds(minimum: 3, maximum: 5)
        for _ in 0..<60 {
            #expect((3...5).contains(optimiser.limit))
            _ = optimiser.take(model.countedWindow(limit: optimiser.limit))
        }
        optimiser.setBounds(minimum: 4, maximum: 4)
        for _ in 0..<60 { #expect(optimiser.take(model.countedWindow(limit: optimiser.limit)) == 4) }
    }
}
