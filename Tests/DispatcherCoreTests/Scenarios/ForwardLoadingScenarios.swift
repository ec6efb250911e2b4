import DispatcherCore
import Testing

@Suite("Controlled loading of forwarded connections")
struct ForwardLoadingScenarios {
    private static let most = 48

    /// A server that does 23.6 requests a second with 15 at a time, and clients that come at 33 a second, each with one request on a
    /// connection of its own.
    private static func world(_ control: LimitControl, initial: Int, visitors: Int) -> World {
        let world = World.forwarding { configuration in
            configuration.services[0].limits.connections = 10_000
            configuration.pools[0].control = control
            configuration.pools[0].servers[0].initialLimit = initial
            configuration.pools[0].servers[0].maximumLimit = most
        }
        world.runLong()
        world.servers[0].processor = SharedProcessor(world.simulation, name: "1", rate: 4, contention: 0.05, coherency: 0.004)
        for index in 0..<visitors {
            world.client([world.exchange()]) { script in
                script.start = .milliseconds(30) * Int64(index)
                // Who waits for too long is reset.
                script.mayFail = true
            }
        }
        return world
    }

    @Test(
        "the mean time to the first byte of an answer is held in its band from either end; SYNs wait meanwhile",
        arguments: [1, most])
    func held(initial: Int) {
        // Between 0.28 and 0.5 s lie 5 to 11 connections at a time.
        let world = Self.world(.hold(.averageResponseTime, low: 0.28, high: 0.5), initial: initial, visitors: 2_400)
        world.simulation.run(for: .seconds(40))
        var (limits, waiting): ([Int], [Int]) = ([], [])
        for _ in 0..<30 {
            world.simulation.run(for: .seconds(1))
            limits.append(world.shown(0).limit)
            waiting.append(world.queueLength)
            #expect(world.shown(0).active <= max(world.shown(0).limit, initial))
        }
        #expect(limits.allSatisfy { (4...14).contains($0) }, "\(limits)")
        #expect(waiting.allSatisfy { $0 > 0 }, "\(waiting)")
        #expect(world.limitChanges.allSatisfy { [.below, .above, .betweenLimits, .pastPeak, .failures].contains($0.reason) })
        #expect(world.dispatcher.snapshot.counters.overLimit == 0)
        world.finish(expectComplete: false)
    }

    @Test("two unlike servers: each has its own limit, by its own performance")
    func unlike() {
        let world = World.forwarding(servers: 2) { configuration in
            configuration.services[0].limits.connections = 10_000
            configuration.pools[0].control = .hold(.averageResponseTime, low: 0.28, high: 0.5)
            for place in 0..<2 {
                (configuration.pools[0].servers[place].initialLimit, configuration.pools[0].servers[place].maximumLimit) = (8, Self.most)
            }
        }
        world.runLong()
        // Between 0.28 and 0.5 s lie 5 to 11 connections at a time of the one, 14 to 22 of the other, which is twice as fast.
        for (server, rate) in zip(world.servers, [4.0, 8]) {
            server.processor = SharedProcessor(world.simulation, name: "\(rate)", rate: rate, contention: 0.05, coherency: 0.004)
        }
        for index in 0..<6_000 {
            world.client([world.exchange()]) { ($0.start, $0.mayFail) = (.milliseconds(10) * Int64(index), true) }
        }
        world.simulation.run(for: .seconds(35))
        var limits: [[Int]] = [[], []]
        for _ in 0..<20 {
            world.simulation.run(for: .seconds(1))
            for server in 0..<2 { limits[server].append(world.shown(server).limit) }
        }
        #expect(limits[0].allSatisfy { (4...14).contains($0) } && limits[1].allSatisfy { (11...27).contains($0) }, "\(limits)")
        #expect(world.dispatcher.snapshot.counters.overLimit == 0)
        world.finish(expectComplete: false)
    }

    @Test("more stored SYNs than the one number raise the limit, fewer than the other lower it")
    func stored() {
        let world = Self.world(.stored(raiseAbove: 10, lowerBelow: 2), initial: 1, visitors: 600)
        world.simulation.run(for: .seconds(17))
        let raised = world.shown(0).limit
        #expect(raised >= 8, "\(raised) with \(world.queueLength) stored")
        #expect(world.limitChanges.contains { $0.reason == .manyStored })
        // Then few come: none is stored.
        for index in 0..<120 {
            world.client([world.exchange()]) { script in
                script.start = .seconds(20) + .milliseconds(500) * Int64(index)
                script.mayFail = true
            }
        }
        world.simulation.run(for: .seconds(75))
        #expect(world.shown(0).limit < raised && world.limitChanges.contains { $0.reason == .fewStored })
        world.finish(expectComplete: false)
    }

    @Test("optimised: what is measured of a server finds the limit for its connections")
    func optimised() {
        let world = Self.world(.optimiseThroughput, initial: 1, visitors: 3_000)
        world.simulation.run(for: .seconds(50))
        let before = world.servers[0].requestsServed
        world.simulation.run(for: .seconds(35))
        let rate = Double(world.servers[0].requestsServed - before) / 35
        #expect(rate >= 0.85 * 23.6, "\(rate) a second, limit \(world.shown(0).limit)")
        world.finish(expectComplete: false)
    }
}
