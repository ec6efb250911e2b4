import DispatcherCore
import Testing

@Suite("Controlled loading")
struct LoadingScenarios {
    private static let most = 64

    /// A server that does 118 requests a second with 15 at a time, 20 with one and 63 with 64.
    private static func world(
        _ control: LimitControl, initial: Int, work: SharedProcessor.Work = .exponential, seed: UInt64 = SimulationSeed.one
    ) -> (World, SharedProcessor) {
        let world = World(seed: seed) { configuration in
            configuration.pools[0].control = control
            configuration.pools[0].queue.wait = .seconds(60)
            configuration.pools[0].servers[0].initialLimit = initial
            configuration.pools[0].servers[0].maximumLimit = most
        }
        world.runLong()
        let processor = SharedProcessor(world.simulation, name: "1", rate: 20, contention: 0.05, coherency: 0.004)
        processor.work = work
        world.servers[0].processor = processor
        return (world, processor)
    }

    /// Every change is in the events, one after the other, from the first limit to the present one.
    private static func checkEvents(_ world: World, from initial: Int, reasons: Set<LimitReason>) {
        var limit = initial
        for change in world.limitChanges {
            #expect(change.from == limit && change.to != limit && reasons.contains(change.reason), "\(change)")
            limit = change.to
        }
        #expect(limit == world.shown(0).limit)
    }

    @Test(
        "optimised: from one connection in 30 windows, and from the most in 40, nine tenths of what the server can do are done, and stay done",
        arguments: [(1, 30), (most, 40)], [SharedProcessor.Work.constant, .exponential])
    func optimised(start: (initial: Int, windows: Int), work: SharedProcessor.Work) {
        let (world, processor) = Self.world(.optimiseThroughput, initial: start.initial, work: work)
        let crowd = Crowd(world)
        crowd.ask(90)
        let watch = WindowWatch(world)
        watch.run(start.windows)
        _ = processor.summary()
        watch.run(30)
        let summary = processor.summary()
        #expect(summary.rate >= 0.9 * processor.throughput(processor.peak), "\(summary), limit \(world.shown(0).limit)")
        #expect(watch.littleError < 0.05, "\(watch.littleError)")
        crowd.end()
        Self.checkEvents(
            world, from: start.initial,
            reasons: [.growing, .probing, .morePays, .fewerPay, .found, .pastPeak, .failures, .atBound, .atPeak])
        #expect(world.limitChanges.count > 3)
        world.finish()
    }

    @Test("held: the mean response time goes into its band from either end within 20 windows, and stays", arguments: [1, most])
    func held(initial: Int) {
        // Between 0.06 and 0.1 s lie 5 to 11 requests at a time.
        let (world, _) = Self.world(.hold(.averageResponseTime, low: 0.06, high: 0.1), initial: initial)
        let crowd = Crowd(world)
        crowd.ask(90)
        let watch = WindowWatch(world)
        watch.run(20)
        let settled = watch.windows.count
        watch.run(40)
        let times = watch.windows[settled...].compactMap { $0[.averageResponseTime] }
        let mean = times.reduce(0, +) / Double(times.count)
        #expect(mean >= 0.06 && mean <= 0.1, "\(mean)")
        #expect(times.count { $0 >= 0.055 && $0 <= 0.11 } >= times.count * 8 / 10, "\(times)")
        #expect(watch.windows[settled...].allSatisfy { (4...13).contains($0.limit) }, "\(watch.windows[settled...].map(\.limit))")
        #expect(watch.littleError < 0.05, "\(watch.littleError)")
        crowd.end()
        Self.checkEvents(world, from: initial, reasons: [.below, .above, .betweenLimits, .pastPeak])
        world.finish()
    }

    @Test("held, with less demand than the band wants: the limit does not move")
    func lowDemand() {
        let (world, _) = Self.world(.hold(.averageResponseTime, low: 0.06, high: 0.1), initial: 8, work: .constant)
        let crowd = Crowd(world)
        crowd.ask(2)
        world.simulation.run(for: .seconds(60))
        #expect(world.limitChanges.isEmpty && world.shown(0).limit == 8)
        #expect(world.shown(0).reason == .notSaturated && world.shown(0).control == .notSaturated)
        crowd.end()
        world.finish()
    }

    @Test("a server that loses half of its speed, and gets it back: the band is held")
    func stepHeld() {
        let (world, processor) = Self.world(.hold(.averageResponseTime, low: 0.06, high: 0.1), initial: 8)
        let crowd = Crowd(world)
        crowd.ask(90)
        let watch = WindowWatch(world)
        watch.run(10)
        for capacity in [0.5, 1] {
            processor.capacity = capacity
            watch.run(20)
            let settled = watch.windows.count
            watch.run(20)
            let times = watch.windows[settled...].compactMap { $0[.averageResponseTime] }
            let mean = times.reduce(0, +) / Double(times.count)
            #expect(mean >= 0.055 && mean <= 0.11, "\(mean) at \(capacity)")
        }
        crowd.end()
        world.finish()
    }

    @Test("two unlike servers: each has its own limit, by its own performance")
    func unlike() {
        let world = World(servers: 2) { configuration in
            configuration.pools[0].control = .hold(.averageResponseTime, low: 0.06, high: 0.1)
            configuration.pools[0].queue.wait = .seconds(60)
            for place in 0..<2 {
                (configuration.pools[0].servers[place].initialLimit, configuration.pools[0].servers[place].maximumLimit) = (8, Self.most)
            }
        }
        world.runLong()
        // Between 0.06 and 0.1 s lie 5 to 11 requests at a time of the one, 14 to 22 of the other, which is twice as fast.
        for (server, rate) in zip(world.servers, [20.0, 40]) {
            server.processor = SharedProcessor(world.simulation, name: "\(rate)", rate: rate, contention: 0.05, coherency: 0.004)
        }
        let crowd = Crowd(world)
        crowd.ask(120)
        let watches = (0..<2).map { WindowWatch(world, server: $0) }
        watches[0].run(20)
        let settled = watches.map(\.windows.count)
        watches[0].run(20)
        for (server, limits) in [4...13, 12...26].enumerated() {
            let windows = watches[server].windows[settled[server]...]
            let times = windows.compactMap { $0[.averageResponseTime] }
            let mean = times.reduce(0, +) / Double(times.count)
            #expect(mean >= 0.055 && mean <= 0.11, "\(mean) of server \(server)")
            #expect(windows.allSatisfy { limits.contains($0.limit) }, "\(windows.map(\.limit)) of server \(server)")
        }
        crowd.end()
        world.finish()
    }

    @Test(
        "the limit goes down while all is busy: nothing is cut off, the excess runs out, idle connections beyond it are closed after a second"
    )
    func lowered() {
        let world = World { configuration in configuration.pools[0].queue.wait = .seconds(60) }
        let crowd = Crowd(world)
        crowd.response = .length(100).after(.milliseconds(200))
        crowd.ask(20)
        world.simulation.run(for: .seconds(1))
        let server = world.servers[0]
        #expect(server.active == 8 && server.openConnections.count == 8)
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 2))
        world.simulation.run(for: .milliseconds(5))
        #expect(server.active == 8, "what is under way goes on")
        world.simulation.run(for: .milliseconds(245))
        server.limit = 2
        #expect(server.active <= 2)
        world.simulation.run(for: .milliseconds(740))
        #expect(server.openConnections.count == 8, "not before a second has passed")
        world.simulation.run(for: .milliseconds(1_300))
        #expect(server.openConnections.count == 2)
        #expect(world.limitChanges.map { [$0.from, $0.to] } == [[8, 2]])

        server.limit = 12
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 12))
        world.simulation.run(for: .milliseconds(5))
        #expect(server.active == 12, "the queue is served at once")
        crowd.end()
        #expect(crowd.refused.isEmpty)
        world.finish()
    }

    @Test("a limit of 0: nothing is dispatched; then another")
    func zero() {
        let world = World { configuration in
            configuration.pools[0].queue.wait = .seconds(60)
            configuration.pools[0].servers[0].minimumLimit = 0
        }
        let crowd = Crowd(world)
        crowd.response = .length(100).after(.milliseconds(50))
        crowd.ask(10)
        world.simulation.run(for: .milliseconds(500))
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 0))
        world.simulation.run(for: .milliseconds(100))
        let served = world.servers[0].requestsServed
        world.simulation.run(for: .seconds(3))
        #expect(world.servers[0].active == 0 && world.servers[0].requestsServed == served)
        #expect(world.dispatcher.snapshot.pools[0].queueLength > 0 && world.shown(0).idle == 0)
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 4))
        world.simulation.run(for: .milliseconds(5))
        #expect(world.servers[0].active == 4)
        crowd.end()
        #expect(crowd.refused.isEmpty)
        world.finish()
    }

    @Test("what a server could hold keeps the limit below it, whatever is asked for", arguments: [LimitControl.fixed, .optimiseThroughput])
    func capacity(control: LimitControl) {
        let world = World { configuration in
            configuration.pools[0].control = control
            configuration.pools[0].servers[0].capacity = 6
            configuration.pools[0].queue.wait = .seconds(60)
        }
        #expect(world.shown(0).limit == 5)
        world.servers[0].limit = 5
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 100))
        let crowd = Crowd(world)
        crowd.response = .length(100).after(.milliseconds(20))
        crowd.ask(30)
        world.simulation.run(for: .seconds(20))
        #expect(world.shown(0).limit <= 5 && world.servers[0].activeHigh == 5)
        crowd.end()
        world.finish()
    }
}
