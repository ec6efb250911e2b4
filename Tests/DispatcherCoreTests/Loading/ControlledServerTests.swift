import Testing

@testable import DispatcherCore

/// Windows and controllers together, request by request.
@Suite("A server under a controller")
struct ControlledServerTests {
    private static let servers = 1...4 as ClosedRange<UInt64>

    /// A server whose peak is 200 a second, at 7 to 20 requests at a time.
    private func model(_ seed: UInt64) -> ServerModel {
        var model = ServerModel(optimise: seed)
        model.coherency = 0.002 + 0.0015 * Double(seed % 8)
        model.rate *= 200 / model.best(256)
        return model
    }

    private func simulation(_ seed: UInt64, _ control: LimitControl, initial: Int) -> ServerSimulation {
        ServerSimulation(model(seed), LimitController(control, initial: initial, minimum: 1, maximum: 64), seed: seed)
    }

    /// What is done over a minute after half a minute, as a part of the peak's rate.
    private func optimised(_ seed: UInt64, from initial: Int, mixed: Bool) -> Double {
        var simulation = simulation(seed, .optimiseThroughput, initial: initial)
        simulation.hasMixedCosts = mixed
        simulation.run(for: .seconds(30))
        let before = simulation.completed
        simulation.run(for: .seconds(60))
        #expect(simulation.controller.elasticity != nil)
        return Double(simulation.completed - before) / 60 / 200
    }

    @Test("optimised: after half a minute 97 % of the peak's rate in the mean, nowhere less than 92 %", arguments: [1, 64])
    func optimised(initial: Int) {
        let shares = Self.servers.map { optimised($0, from: initial, mixed: false) }
        #expect(shares.reduce(0, +) / Double(shares.count) >= 0.97 && shares.min()! >= 0.92, "\(shares)")
    }

    /// Just after it is given more the server answers the cheap ones of the new requests first, so that more connections seem to pay.
    @Test("optimised, with costs that vary much: 85 % of the peak's rate in the mean, nowhere less than 70 %")
    func optimisedMixed() {
        let shares = Self.servers.map { optimised($0, from: 8, mixed: true) }
        #expect(shares.reduce(0, +) / Double(shares.count) >= 0.85 && shares.min()! >= 0.7, "\(shares)")
    }

    @Test("held: the mean response time of every ten windows lies in the band after 20 windows", arguments: [1, 64])
    func held(initial: Int) {
        for seed in Self.servers {
            let model = model(seed)
            let (low, high) = (model.responseTime(4), model.responseTime(8))
            var simulation = simulation(seed, .hold(.averageResponseTime, low: low, high: high), initial: initial)
            simulation.run(for: .seconds(60))
            let late = simulation.windows.dropFirst(20)
            for start in stride(from: late.startIndex, to: late.endIndex - 10, by: 10) {
                let ten = late[start..<start + 10]
                let time = ten.reduce(0.0) { $0 + Double($1.responseTimes.nanoseconds) } / Double(ten.reduce(0) { $0 + $1.responses }) / 1e9
                #expect(time > low * 0.9 && time < high * 1.1, "seed \(seed), window \(start): \(time), \(low) to \(high)")
            }
        }
    }

    @Test("a held rate: after 40 windows the rate of the next minute lies in the band", arguments: [1, 64])
    func heldRate(initial: Int) {
        for seed in Self.servers {
            var simulation = simulation(seed, .hold(.requestRate, low: 130, high: 165), initial: initial)
            while simulation.windows.count < 40 { simulation.run(for: .seconds(1)) }
            let before = simulation.completed
            simulation.run(for: .seconds(60))
            let rate = Double(simulation.completed - before) / 60
            #expect(rate > 125 && rate < 171, "seed \(seed): \(rate), limit \(simulation.controller.limit)")
        }
    }

    @Test("a rate counts what was dispatched under earlier limits too: just after a change it is neither higher nor lower")
    func rateAfterChange() {
        var simulation = simulation(3, .fixed, initial: 16)
        simulation.run(for: .seconds(20))
        var changed: [Double] = []
        for limit in Array(repeating: [15, 16], count: 60).joined() {
            simulation.setLimit(limit)
            let count = simulation.windows.count
            while simulation.windows.count == count { simulation.run(for: .milliseconds(1)) }
            changed.append(simulation.windows.last!.requestRate)
        }
        let mean = changed.reduce(0, +) / Double(changed.count)
        let rate = simulation.model.throughput(15.5)
        #expect(abs(mean / rate - 1) < 0.03, "\(mean) instead of \(rate)")
    }
}
