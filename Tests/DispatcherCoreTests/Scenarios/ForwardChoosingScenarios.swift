import DispatcherCore
import Testing

@Suite("Mode l4/3: choosing servers, health, ejection")
struct ForwardChoosingScenarios {
    private func world(
        _ servers: Int = 2, limit: Int = 100, configure: (inout PoolConfiguration) -> Void = { _ in }
    ) -> World {
        let world = World.forwarding(servers: servers) { configuration in
            for place in 0..<servers {
                (configuration.pools[0].servers[place].initialLimit, configuration.pools[0].servers[place].maximumLimit) = (limit, limit)
            }
            configure(&configuration.pools[0])
        }
        for server in world.servers { server.limit = nil }
        return world
    }

    // MARK: Balances

    @Test("fewest connections for its weight")
    func leastConnections() {
        let world = world(3) { pool in
            pool.balance = .leastConnections
            pool.servers[2].weight = 2
        }
        var random = world.simulation.random.fork("times")
        for index in 0..<200 {
            world.client([world.exchange(.get(), .length(100).after(.milliseconds(Int64(random.within(50...150)))))]) {
                $0.start = .milliseconds(Int64(index) * 5)
            }
        }
        for _ in 0..<90 {
            world.simulation.run(for: .milliseconds(11))
            let active = world.activeConnections
            #expect(abs(active[0] - active[1]) <= 3 && abs(active[2] - 2 * active[0]) <= 6, "\(active)")
        }
        world.finish()
    }

    @Test("the same client goes to the same server, and waits for it though another has room; a server that goes takes only its own along")
    func hash() {
        let world = world(3, limit: 2) { $0.balance = .hashOfSource }
        let hosts = (0..<12).map { _ in world.nextClientHost() }
        func round(_ port: UInt16) -> [Int] {
            let since = world.dispatcher.records.count
            for (index, host) in hosts.enumerated() {
                var script = ClientScript()
                script.exchanges = [world.exchange(.get(), .length(100).after(.milliseconds(30)))]
                _ = world.client(on: host, port: port + UInt16(index), script: script, options: TestTCPOptions())
            }
            world.simulation.run(for: .seconds(2))
            world.dispatcher.drainRecords()
            let records = world.dispatcher.records[since...]
            return hosts.map { host in records.first { $0.client.address == host.address }?.server?.serverIndex ?? -1 }
        }
        let first = round(20_000)
        #expect(Set(first) == [0, 1, 2] && round(21_000) == first)
        #expect(world.dispatcher.snapshot.pools[0].queueHigh > 0, "more than two of them share a server")
        world.dispatcher.apply(.order(pool: 0, server: .server(1), .drain))
        let second = round(22_000)
        #expect(zip(first, second).allSatisfy { $0 == 1 ? $1 != 1 && $1 >= 0 : $0 == $1 }, "\(first) \(second)")
        world.dispatcher.apply(.order(pool: 0, server: .server(1), .ready))
        #expect(round(23_000) == first)
        // Those that wait move too.
        for (index, host) in hosts.enumerated() {
            var script = ClientScript()
            script.exchanges = [world.exchange(.get(), .length(100).after(.milliseconds(200)))]
            _ = world.client(on: host, port: 24_000 + UInt16(index), script: script, options: TestTCPOptions())
        }
        world.simulation.run(for: .milliseconds(50))
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .drain))
        world.dispatcher.reconfigure { $0.pools[0].balance = .roundRobin }
        world.dispatcher.reconfigure { $0.pools[0].balance = .hashOfSource }
        world.simulation.run(for: .seconds(3))
        #expect(world.queueLength == 0)
        world.finish()
    }

    @Test(
        "a connection that its server refuses goes to another, with every balance",
        arguments: [Balance.roundRobin, .leastConnections, .hashOfSource])
    func retries(balance: Balance) {
        let world = world { $0.balance = balance }
        world.servers[0].host.stopListening(8_080)
        world.visitors(10, every: .milliseconds(5))
        world.finish()
        #expect(world.served == [0, 10] && world.dispatcher.snapshot.counters.repeatedRequests > 0)
    }

    // MARK: Ejection and slow start

    @Test("connections that a server refuses in a row eject it, for longer each time, and never the last one")
    func ejection() {
        let world = world { pool in
            pool.ejection.failures = 3
            pool.ejection.time = .seconds(5)
        }
        world.servers[0].host.stopListening(8_080)
        // A server that has just failed rests for a second by itself.
        world.visitors(60, every: .milliseconds(200))
        world.simulation.run(for: .seconds(4))
        #expect(world.shown(0).state == .ejected && world.shown(0).ejections == 1 && world.shown(1).state == .up)
        world.simulation.run(for: .seconds(12))
        let changes = world.stateChanges.filter { $0.server == 0 }
        #expect(changes.map(\.to) == [.ejected, .up, .ejected] || changes.map(\.to) == [.ejected, .up], "\(changes)")
        #expect(changes[1].at - changes[0].at >= .seconds(5) && changes[1].cause == .ejectionOver)
        world.dispatcher.apply(.order(pool: 0, server: .server(1), .drain))
        for index in 0..<20 { world.client([world.exchange()]) { ($0.start, $0.mayFail) = (.milliseconds(400 * Int64(index)), true) } }
        world.simulation.run(for: .seconds(9))
        #expect(world.shown(1).state == .drain)
        world.finish(expectComplete: false)
    }

    @Test("a server that comes back has a growing part of its limit and weight")
    func slowStart() {
        let world = world(limit: 20) { $0.slowStart = .seconds(4) }
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .drain))
        world.simulation.run(for: .milliseconds(100))
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .ready))
        #expect(world.shown(0).limit == 1)
        let before = world.served
        world.visitors(200, every: .milliseconds(5), .get(), .length(100).after(.milliseconds(20)))
        world.simulation.run(for: .milliseconds(1_000))
        let part = (world.served[0] - before[0], world.served[1] - before[1])
        #expect(part.0 > 0 && part.0 * 3 < part.1, "\(part)")
        #expect((3...7).contains(world.shown(0).limit))
        world.simulation.run(for: .milliseconds(3_300))
        #expect(world.shown(0).limit == 20 && world.limitChanges.allSatisfy { $0.reason == .restarted })
        world.finish()
    }

    // MARK: Health

    private static func health(path: String? = "/health") -> HealthConfiguration {
        var health = HealthConfiguration()
        if let path { health.path = [UInt8](text: path) }
        (health.every, health.timeout, health.rise, health.fall) = (.milliseconds(500), .milliseconds(200), 2, 2)
        return health
    }

    @Test("a server whose checks fail gets no connection until they are good again; those that it has go on")
    func checked() {
        let world = world { $0.health = Self.health() }
        var isWell = true
        world.servers[0].check = { _ in isWell ? .answer(200) : .answer(503) }
        world.servers[1].check = { _ in .answer(200) }
        let stays = world.client([world.exchange()]) { $0.ending = .stay }
        world.simulation.run(for: .seconds(2))
        #expect(world.shown(0).checks[Int(CheckResult.good.rawValue)] >= 3 && world.shown(0).active == 1)
        isWell = false
        world.simulation.run(for: .seconds(2))
        #expect(world.shown(0).state == .failed && stays.end == nil && world.shown(0).checks[Int(CheckResult.status.rawValue)] >= 2)
        let served = world.served
        world.visitors(10, every: .milliseconds(10))
        world.simulation.run(for: .seconds(1))
        #expect(world.served[0] == served[0] && world.served[1] == served[1] + 10)
        isWell = true
        world.simulation.run(for: .seconds(2))
        #expect(world.shown(0).state == .up)
        world.visitors(10, every: .milliseconds(10))
        world.simulation.run(for: .seconds(1))
        #expect(world.served[0] == served[0] + 5)
        #expect(world.stateChanges.filter { $0.server == 0 }.map(\.to) == [.failed, .up])
        #expect(world.stateChanges.allSatisfy { $0.cause == .healthCheck })
        stays.endpoint.close()
        world.finish()
    }

    @Test("opening a connection is enough, or not; a server that is down is not checked")
    func checkedByConnection() {
        let world = world { $0.health = Self.health(path: nil) }
        world.simulation.run(for: .seconds(2))
        #expect(world.shown(0).state == .up && world.shown(1).checks[Int(CheckResult.good.rawValue)] >= 3)
        world.servers[1].host.stopListening(8_080)
        world.simulation.run(for: .seconds(2))
        #expect(world.shown(1).state == .failed && world.shown(1).checks[Int(CheckResult.refused.rawValue)] >= 2)
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .down))
        let checks = world.shown(0).checks[Int(CheckResult.good.rawValue)]
        world.simulation.run(for: .seconds(3))
        #expect(world.shown(0).checks[Int(CheckResult.good.rawValue)] <= checks + 1)
        world.finish()
    }

    @Test("when no server takes anything a SYN is refused at once, those that wait too")
    func noServer() {
        let world = world(1, limit: 1) { $0.health = Self.health() }
        var isWell = true
        world.servers[0].check = { _ in isWell ? .answer(200) : .silence }
        let stays = world.client([world.exchange()]) { $0.ending = .stay }
        world.simulation.run(for: .seconds(1))
        isWell = false
        world.simulation.run(for: .milliseconds(300))
        let waits = world.client([world.exchange()]) { $0.mayFail = true }
        world.simulation.run(for: .milliseconds(100))
        #expect(world.queueLength == 1)
        world.simulation.run(for: .seconds(2))
        #expect(world.shown(0).state == .failed && world.queueLength == 0 && waits.end == .refused && world.refused(.noServer) == 1)
        let late = world.client([world.exchange()]) { $0.mayFail = true }
        world.simulation.run(for: .milliseconds(50))
        #expect(late.end == .refused && world.refused(.noServer) == 2 && world.dropped(.refusedNoServer) == 1)
        stays.endpoint.close()
        world.finish(expectComplete: false)
    }

    @Test("what a server reports of itself moves its limit")
    func reported() {
        let world = world(1, limit: 20) { pool in
            var health = Self.health()
            health.reportHeader = [UInt8](text: "X-Load")
            pool.health = health
            pool.control = .hold(.reported, low: 10, high: 30)
        }
        var load = 90
        world.servers[0].check = { _ in .answer(200, [("X-Load", "\(load)")]) }
        let crowd = Crowd(world)
        crowd.requests = 3
        crowd.response = .length(500).after(.milliseconds(20))
        crowd.ask(30)
        world.simulation.run(for: .seconds(6))
        #expect(world.shown(0).limit < 12, "\(world.shown(0).limit)")
        load = 20
        world.simulation.run(for: .seconds(1))
        let limit = world.shown(0).limit
        world.simulation.run(for: .seconds(3))
        #expect(world.shown(0).limit == limit)
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test("checks begin and end with another configuration")
    func reloaded() {
        let world = world { _ in }
        world.servers[1].check = { _ in .answer(500) }
        world.dispatcher.reconfigure { $0.pools[0].health = Self.health() }
        world.simulation.run(for: .seconds(3))
        #expect(world.shown(1).state == .failed)
        world.dispatcher.reconfigure { $0.pools[0].health = nil }
        #expect(world.shown(1).state == .up)
        world.visitors(4, every: .milliseconds(5))
        world.simulation.run(for: .seconds(1))
        #expect(world.served == [2, 2])
        world.finish()
    }
}
