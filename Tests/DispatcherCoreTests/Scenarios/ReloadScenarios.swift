import DispatcherCore
import Testing

@Suite("Another configuration while it runs")
struct ReloadScenarios {
    /// Two servers of three that are there; requests wait as long as it takes.
    private func world(
        _ servers: Int = 3, used: Int = 2, seed: UInt64 = SimulationSeed.one, configure: (inout EngineConfiguration) -> Void = { _ in }
    ) -> World {
        World(seed: seed, servers: servers) { configuration in
            configuration.pools[0].servers.removeLast(servers - used)
            configuration.pools[0].queue.wait = .seconds(60)
            configuration.drain = .seconds(2)
            configure(&configuration)
        }
    }

    private static let third = ServerConfiguration(endpoint: .server(2))

    private func names(_ world: World, pool: Int = 0) -> [Int] { world.dispatcher.snapshot.pools[pool].servers.map(\.endpoint.serverIndex) }

    // MARK: Servers

    @Test("the same configuration changes nothing, whatever goes on")
    func same() {
        let world = world()
        let crowd = Crowd(world)
        crowd.response = .length(5_000).after(.milliseconds(20))
        crowd.ask(10)
        world.simulation.run(for: .seconds(1))
        let open = (0..<2).map { world.servers[$0].openConnections.count }
        for _ in 0..<20 {
            #expect(world.dispatcher.reconfigure { _ in } == nil)
            world.simulation.run(for: .milliseconds(37))
        }
        #expect(
            (0..<2).allSatisfy { world.servers[$0].openConnections.count >= open[$0] } && world.stateChanges.isEmpty
                && world.limitChanges.isEmpty)
        crowd.end()
        #expect(crowd.refused.isEmpty)
        world.finish()
    }

    @Test("a server that is new gets its part, the others keep their connections; one that is removed finishes what it has and is gone")
    func replaced() {
        let world = world()
        let crowd = Crowd(world)
        crowd.response = .length(5_000).after(.milliseconds(30))
        crowd.ask(12)
        world.simulation.run(for: .seconds(1))
        let open = world.servers[0].openConnections.count
        #expect(world.servers[1].active > 0 && world.served[2] == 0)
        world.dispatcher.reconfigure { $0.pools[0].servers[1] = Self.third }
        let served = world.served[1]
        let active = world.servers[1].active
        #expect(names(world) == [0, 2, 1] && world.shown(2).state == .removed && world.shown(2).idle == 0)
        world.simulation.run(for: .milliseconds(1))
        #expect(world.servers[1].active > 0, "what is under way goes on")
        world.simulation.run(for: .seconds(1))
        #expect(world.served[1] <= served + active && world.servers[1].active == 0)
        #expect(names(world) == [0, 2] && world.servers[1].openConnections.isEmpty)
        #expect(world.served[2] > 100 && world.servers[0].openConnections.count >= open)
        crowd.end()
        #expect(crowd.refused.isEmpty)
        #expect(world.stateChanges.map(\.server) == [1, 2] && world.stateChanges.map(\.to) == [.removed, .up])
        #expect(world.stateChanges.allSatisfy { $0.cause == .configuration })
        world.finish()
    }

    @Test("places are used again when their servers are gone; when none is free the change is refused, and nothing is otherwise")
    func places() {
        let world = world(4, used: 2) { configuration in
            (configuration.ports.servers, configuration.ports.connections) = (3, 8)
            for place in 0..<2 { configuration.pools[0].servers[place].maximumLimit = 8 }
        }
        func wanted(_ indices: [Int]) -> String? {
            world.dispatcher.reconfigure { configuration in
                configuration.pools[0].servers = indices.map { index in
                    var server = ServerConfiguration(endpoint: .server(index))
                    (server.initialLimit, server.maximumLimit) = (8, 8)
                    return server
                }
            }
        }
        world.visitors(10, every: .milliseconds(5))
        world.simulation.run(for: .seconds(1))
        world.client([world.exchange(.get(), .length(100).after(.seconds(3)))])
        world.client([world.exchange(.get(), .length(100).after(.seconds(3)))])
        world.simulation.run(for: .milliseconds(20))
        #expect(world.servers[1].active == 1)
        #expect(wanted([0, 2]) == nil)
        // The second one still has a request.
        let fault = wanted([0, 2, 3])
        #expect(
            fault?.contains("server-side.servers") == true && fault?.contains("1 are taken by removed servers") == true, "\(fault ?? "")")
        #expect(names(world) == [0, 2, 1])
        world.simulation.run(for: .seconds(4))
        #expect(names(world) == [0, 2])
        #expect(wanted([0, 2, 3]) == nil)
        world.visitors(30, every: .milliseconds(5))
        world.simulation.run(for: .seconds(1))
        #expect(world.served[3] >= 10 && world.served[2] >= 10)
        #expect(wanted([0, 2, 3, 1]) != nil)
        // Round and round: one place is to spare.
        #expect(wanted([3, 0]) == nil)
        world.simulation.run(for: .seconds(1))
        for round in 0..<12 {
            #expect(wanted([round % 4, (round + 1) % 4]) == nil, "\(round)")
            world.visitors(20, every: .milliseconds(5))
            world.simulation.run(for: .seconds(2))
        }
        world.finish()
    }

    @Test("a server that is removed comes back before it is empty: its connections are used on")
    func comesBack() {
        let world = world()
        var switching = ResponsePlan()
        (switching.status, switching.framing) = (101, .switching)
        let tunnels = (0..<2).map { _ in world.client([world.exchange(.echo(1_000), switching)]) { $0.ending = .stay } }
        world.simulation.run(for: .milliseconds(100))
        #expect(world.shown(0).tunnels == 1 && world.shown(1).tunnels == 1)
        let both = world.dispatcher.configuration.pools[0].servers
        world.dispatcher.reconfigure { $0.pools[0].servers.removeLast() }
        world.simulation.run(for: .seconds(1))
        #expect(world.shown(1).state == .removed && world.shown(1).tunnels == 1)
        world.dispatcher.reconfigure { $0.pools[0].servers = both }
        world.simulation.run(for: .seconds(5))
        #expect(world.shown(1).state == .up && world.shown(1).tunnels == 1 && tunnels.allSatisfy { $0.end == nil })
        world.visitors(10, every: .milliseconds(5))
        world.simulation.run(for: .seconds(1))
        #expect(world.served == [6, 6, 0])
        for tunnel in tunnels { tunnel.endpoint.close() }
        world.finish()
    }

    @Test("tunnels of a removed server have the time to close that a drained server's have, then they are reset")
    func tunnels() {
        let world = world()
        var switching = ResponsePlan()
        (switching.status, switching.framing) = (101, .switching)
        let tunnels = (0..<2).map { _ in
            world.client([world.exchange(.echo(1_000), switching)]) { ($0.ending, $0.mayFail) = (.stay, true) }
        }
        world.simulation.run(for: .milliseconds(100))
        world.dispatcher.reconfigure { $0.pools[0].servers.removeLast() }
        world.simulation.run(for: .milliseconds(1_800))
        #expect(tunnels.allSatisfy { $0.end == nil })
        world.simulation.run(for: .seconds(1))
        #expect(tunnels.count { $0.end == .resetByPeer } == 1 && names(world) == [0])
        for tunnel in tunnels where tunnel.end == nil { tunnel.endpoint.close() }
        world.finish(expectComplete: false)
    }

    @Test("all servers are replaced at once under load: nobody is refused, nothing is lost", arguments: [1, 2, 3])
    func allReplaced(seed: UInt64) {
        let world = world(4, seed: seed)
        let crowd = Crowd(world)
        crowd.response = .length(3_000).after(.milliseconds(15))
        crowd.ask(16)
        for round in 0..<6 {
            world.simulation.run(for: .milliseconds(333))
            let pair = round % 2 == 0 ? [2, 3] : [0, 1]
            #expect(
                world.dispatcher.reconfigure { configuration in
                    configuration.pools[0].servers = pair.map { ServerConfiguration(endpoint: .server($0)) }
                } == nil)
        }
        world.simulation.run(for: .seconds(1))
        crowd.end()
        #expect(crowd.refused.isEmpty && world.served.allSatisfy { $0 > 50 }, "\(world.served)")
        world.finish()
    }

    // MARK: Queues

    @Test("a queue gets other bounds: what waits keeps its place and its order, what comes later keeps to them")
    func queue() {
        let world = world(1, used: 1) { $0.pools[0].servers[0].initialLimit = 1 }
        for index in 0..<10 {
            world.client([world.exchange(.get(), .length(100 + index).after(.milliseconds(50)))]) { $0.start = .milliseconds(Int64(index)) }
        }
        world.simulation.run(for: .milliseconds(40))
        #expect(world.queueLength == 9)
        world.dispatcher.reconfigure { ($0.pools[0].queue.capacity, $0.pools[0].queue.perClient) = (4, 50) }
        #expect(world.queueLength == 9)
        let late = world.client([world.exchange()]) { $0.acceptsErrors = [503] }
        world.simulation.run(for: .milliseconds(5))
        #expect(late.isFinished && world.refused(.queueFull) == 1)
        world.simulation.run(for: .seconds(1))
        world.dispatcher.drainRecords()
        let bytes = world.dispatcher.records.filter { $0.status == 200 }.map(\.bytesToClient)
        #expect(bytes == bytes.sorted() && bytes.count == 10)
        #expect(world.dispatcher.snapshot.pools[0].queueHigh == 9)
        world.finish(expectComplete: false)
    }

    @Test("requests that wait go by another balance, and back", arguments: [Balance.hashOfSource, .hashOfPath])
    func balance(other: Balance) {
        let world = world(3, used: 3) { configuration in
            for place in 0..<3 { configuration.pools[0].servers[place].initialLimit = 1 }
        }
        let clients = (0..<40).map { _ in world.client([world.exchange(.get(), .length(500).after(.milliseconds(40)))]) }
        world.simulation.run(for: .milliseconds(100))
        #expect(world.queueLength > 20)
        world.dispatcher.reconfigure { $0.pools[0].balance = other }
        world.simulation.run(for: .milliseconds(100))
        world.dispatcher.reconfigure { $0.pools[0].servers.removeFirst() }
        world.simulation.run(for: .milliseconds(50))
        world.dispatcher.reconfigure { $0.pools[0].balance = .leastConnections }
        world.simulation.run(for: .seconds(2))
        #expect(clients.allSatisfy { $0.isFinished } && world.queueLength == 0)
        world.finish()
    }

    @Test("a pool that is there no longer: what waits in its queue is served, then its servers go; the route leads elsewhere")
    func retired() {
        let world = world(2, used: 1) { $0.pools[0].servers[0].initialLimit = 1 }
        let clients = (0..<5).map { _ in world.client([world.exchange(.get(), .length(100).after(.milliseconds(300)))]) }
        world.simulation.run(for: .milliseconds(20))
        #expect(world.queueLength == 4)
        world.dispatcher.reconfigure { configuration in
            configuration.pools[0].retired = .l73
            configuration.pools.append(PoolConfiguration(name: "new", servers: [ServerConfiguration(endpoint: .server(1))]))
            configuration.services[0].routes = [RouteConfiguration(pool: 1)]
        }
        world.visitors(5, every: .milliseconds(10))
        world.simulation.run(for: .milliseconds(500))
        #expect(world.served[1] == 5 && world.queueLength >= 2)
        #expect(names(world) == [0] && names(world, pool: 1) == [1] && !world.dispatcher.snapshot.pools[0].isGone)
        world.simulation.run(for: .seconds(2))
        #expect(clients.allSatisfy { $0.isFinished } && world.served == [5, 5])
        #expect(names(world) == [] && world.dispatcher.snapshot.pools[0].isGone)
        // It is there again, with another server.
        world.dispatcher.reconfigure { configuration in
            configuration.pools[0].retired = nil
            configuration.services[0].routes = [RouteConfiguration(pool: 0)]
            configuration.pools[1].retired = .l73
        }
        world.simulation.run(for: .milliseconds(200))
        #expect(world.dispatcher.snapshot.pools[1].isGone)
        world.visitors(5, every: .milliseconds(10))
        world.simulation.run(for: .seconds(2))
        #expect(world.served == [10, 5])
        world.finish()
    }

    // MARK: Limits, weights, controllers

    @Test("what the file says otherwise is taken, what was set while it ran stays where the file is the same")
    func limits() {
        let world = world(2)
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 3))
        world.dispatcher.apply(.setWeight(pool: 0, server: .server(0), weight: 5))
        world.dispatcher.apply(.order(pool: 0, server: .server(1), .drain))
        world.dispatcher.reconfigure { _ in }
        #expect(world.shown(0).limit == 3 && world.shown(0).weight == 5 && world.shown(1).state == .drain)
        world.dispatcher.reconfigure { configuration in
            configuration.pools[0].servers[0].weight = 2
            configuration.pools[0].servers[1].initialLimit = 20
            configuration.pools[0].servers[1].isBackup = true
        }
        #expect(world.shown(0).limit == 3 && world.shown(0).weight == 2 && world.shown(1).limit == 20 && world.shown(1).isBackup)
        world.dispatcher.reconfigure { $0.pools[0].servers[1].maximumLimit = 15 }
        #expect(world.shown(1).limit == 15 && world.limitChanges.map(\.to) == [3, 20, 15])
        world.finish()
    }

    @Test("a raised limit serves the queue at once; a lowered one is never exceeded by what comes")
    func limitUnderLoad() {
        let world = world(1, used: 1) { $0.pools[0].servers[0].initialLimit = 2 }
        let clients = (0..<12).map { _ in world.client([world.exchange(.get(), .length(100).after(.milliseconds(200)))]) }
        world.simulation.run(for: .milliseconds(20))
        #expect(world.servers[0].active == 2 && world.queueLength == 10)
        world.servers[0].limit = 6
        world.dispatcher.reconfigure { $0.pools[0].servers[0].initialLimit = 6 }
        world.simulation.run(for: .milliseconds(5))
        #expect(world.servers[0].active == 6 && world.queueLength == 6)
        world.dispatcher.reconfigure { $0.pools[0].servers[0].initialLimit = 1 }
        world.simulation.run(for: .milliseconds(250))
        #expect(world.servers[0].active == 1)
        world.simulation.run(for: .seconds(3))
        #expect(clients.allSatisfy { $0.isFinished })
        world.finish()
    }

    @Test("a limit is raised and servers are added at once, while requests wait: nobody gets what is not there yet")
    func raisedAndAdded() {
        let world = world(4, used: 1) { $0.pools[0].servers[0].initialLimit = 1 }
        let clients = (0..<30).map { _ in world.client([world.exchange(.get(), .length(100).after(.milliseconds(100)))]) }
        world.simulation.run(for: .milliseconds(20))
        #expect(world.queueLength == 29)
        for server in world.servers { server.limit = 4 }
        let fault = world.dispatcher.reconfigure { configuration in
            configuration.pools[0].servers = (0..<4).map { index in
                var server = ServerConfiguration(endpoint: .server(index))
                (server.initialLimit, server.weight) = (4, index + 1)
                return server
            }
        }
        #expect(fault == nil)
        world.simulation.run(for: .milliseconds(20))
        #expect(world.servers.map(\.active) == [4, 4, 4, 4] && world.queueLength == 14)
        world.simulation.run(for: .seconds(1))
        #expect(clients.allSatisfy { $0.isFinished } && world.dispatcher.snapshot.counters.overLimit == 0)
        world.finish()
    }

    @Test("another band goes on from the limit that was found; another controller begins at it")
    func controllers() {
        let world = world(1, used: 1) { configuration in
            configuration.pools[0].control = .hold(.averageResponseTime, low: 0.05, high: 0.1)
            configuration.pools[0].servers[0].initialLimit = 4
        }
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 9))
        world.dispatcher.reconfigure { $0.pools[0].control = .hold(.averageResponseTime, low: 0.2, high: 0.4) }
        #expect(world.shown(0).limit == 9 && world.shown(0).bandLow == 0.2 && world.shown(0).bandHigh == 0.4)
        world.dispatcher.apply(.setBand(pool: 0, server: .server(0), low: 0.3, high: nil))
        world.dispatcher.reconfigure { _ in }
        #expect(world.shown(0).bandLow == 0.3 && world.shown(0).bandHigh == nil)
        world.dispatcher.reconfigure { $0.pools[0].control = .optimiseThroughput }
        #expect(world.shown(0).limit == 9 && world.shown(0).held == nil)
        world.dispatcher.reconfigure { $0.pools[0].control = .hold(.requestRate, low: 5, high: 50) }
        #expect(world.shown(0).limit == 9 && world.shown(0).held == .requestRate)
        world.dispatcher.reconfigure { $0.pools[0].control = .fixed }
        #expect(world.shown(0).limit == 9 && world.shown(0).control == .fixed)
        world.finish()
    }

    @Test("the limits of tunnels, and what moves them")
    func tunnelLimits() {
        let world = world(1, used: 1)
        world.dispatcher.reconfigure { ($0.pools[0].tunnels, $0.pools[0].mostTunnels) = (3, 3) }
        #expect(world.shown(0).tunnelLimit == 3 && world.tunnelLimitChanges.map(\.to) == [3])
        var switching = ResponsePlan()
        (switching.status, switching.framing) = (101, .switching)
        let tunnels = (0..<4).map { _ in
            world.client([world.exchange(.echo(100), switching)]) { ($0.ending, $0.acceptsErrors) = (.stay, [503]) }
        }
        world.simulation.run(for: .milliseconds(100))
        #expect(world.shown(0).tunnels == 3 && world.refused(.tunnelLimit) == 1)
        for tunnel in tunnels where tunnel.end == nil { tunnel.endpoint.close() }
        world.finish(expectComplete: false)
    }

    // MARK: Health

    @Test("health checks begin, ask something else, and end; what they found before counts no longer")
    func health() {
        let world = world(2)
        var asked: [String] = []
        world.servers[1].check = { _ in .answer(500) }
        world.servers[0].check = { _ in
            asked.append("0")
            return .answer(200)
        }
        world.simulation.run(for: .seconds(3))
        #expect(asked.isEmpty)
        var health = HealthConfiguration()
        health.path = [UInt8](text: "/health")
        health.every = .milliseconds(500)
        world.dispatcher.reconfigure { $0.pools[0].health = health }
        world.simulation.run(for: .seconds(3))
        #expect(asked.count >= 5 && world.shown(1).state == .failed)
        // While one is under way.
        world.servers[1].check = { _ in .silence }
        world.simulation.run(for: .milliseconds(700))
        health.expect = [200, 500]
        world.dispatcher.reconfigure { $0.pools[0].health = health }
        #expect(world.shown(1).state == .up)
        world.servers[1].check = { _ in .answer(500) }
        world.simulation.run(for: .seconds(3))
        #expect(world.shown(1).state == .up)
        world.dispatcher.reconfigure { $0.pools[0].health = nil }
        let count = asked.count
        world.simulation.run(for: .seconds(5))
        #expect(asked.count <= count + 1)
        world.finish()
    }

    @Test("a server that was failed is up when the checks end, and what waits goes there")
    func failedWithoutChecks() {
        let world = world(1, used: 1) { configuration in
            var health = HealthConfiguration()
            (health.path, health.every, health.fall) = ([UInt8](text: "/health"), .milliseconds(200), 1)
            configuration.pools[0].health = health
        }
        world.servers[0].check = { _ in .answer(500) }
        world.simulation.run(for: .seconds(1))
        #expect(world.shown(0).state == .failed)
        world.dispatcher.reconfigure { $0.pools[0].health = nil }
        world.visitors(5, every: .milliseconds(5))
        world.simulation.run(for: .seconds(1))
        #expect(world.served == [5])
        world.finish()
    }

    // MARK: Clients

    @Test("limits for each client come and go: what is there is counted, and nothing is left at rest")
    func clientLimits() {
        let world = world(1, used: 1)
        let stays = world.client([world.exchange()]) { $0.ending = .stay }
        world.simulation.run(for: .milliseconds(100))
        world.dispatcher.reconfigure { $0.services[0].limits.perClientConnections = 1 }
        #expect(world.dispatcher.snapshot.clientsHold == 1)
        var script = ClientScript()
        (script.exchanges, script.mayFail) = ([world.exchange()], true)
        let second = world.client(on: stays.host, port: 50_000, script: script, options: TestTCPOptions())
        world.simulation.run(for: .seconds(1))
        #expect(world.refused(.clientConnections) >= 1 && second.end != nil)
        world.dispatcher.reconfigure { $0.services[0].limits.perClientConnections = 0 }
        #expect(world.dispatcher.snapshot.clientsHold == 0)
        stays.endpoint.close()
        world.finish(expectComplete: false)
    }

    // MARK: l4/3

    @Test("l4/3: a new server gets connections, those of a removed one go on until they end, its place is free then")
    func forwarded() {
        let world = World.forwarding(servers: 3) { configuration in
            configuration.pools[0].servers.removeLast()
        }
        let stays = (0..<2).map { _ in world.client([world.exchange()]) { $0.ending = .stay } }
        world.simulation.run(for: .milliseconds(100))
        #expect(world.activeConnections == [1, 1])
        #expect(world.dispatcher.reconfigure { $0.pools[0].servers.removeFirst() } == nil)
        #expect(names(world) == [1, 0] && world.shown(1).state == .removed)
        world.visitors(4, every: .milliseconds(10))
        world.simulation.run(for: .seconds(1))
        #expect(world.served[0] == 1 && world.served[1] == 5)
        #expect(stays.allSatisfy { $0.end == nil })
        stays[0].endpoint.close()
        stays[1].endpoint.close()
        world.simulation.run(for: .seconds(70))
        #expect(names(world) == [1])
        #expect(world.dispatcher.reconfigure { $0.pools[0].servers.append(Self.third) } == nil)
        world.visitors(4, every: .milliseconds(10))
        world.simulation.run(for: .seconds(1))
        #expect(world.served[2] == 2)
        world.finish()
    }

    @Test("a server changes its mode when nothing is left of it in the other one, not before")
    func otherMode() {
        let world = World(servers: 3) { configuration in
            configuration.services[0].name = "web"
            var other = ServiceConfiguration(
                name: "l4", listen: [Endpoint(address: World.service.address, port: 81)], routes: [RouteConfiguration(pool: 1)])
            other.mode = .l43
            other.limits.connections = 100
            configuration.services.append(other)
            configuration.pools[0].servers = [ServerConfiguration(endpoint: .server(0)), ServerConfiguration(endpoint: .server(1))]
            configuration.pools.append(PoolConfiguration(name: "l4", servers: [ServerConfiguration(endpoint: .server(2))]))
        }
        world.visitors(4, every: .milliseconds(10), .get(), .length(100).after(.milliseconds(500)))
        world.simulation.run(for: .milliseconds(100))
        func swap() -> String? {
            world.dispatcher.reconfigure { configuration in
                configuration.pools[0].servers = [ServerConfiguration(endpoint: .server(0))]
                configuration.pools[1].servers = [ServerConfiguration(endpoint: .server(1)), ServerConfiguration(endpoint: .server(2))]
            }
        }
        #expect(swap()?.contains("still has connections in mode l7/3") == true)
        #expect(world.dispatcher.reconfigure { $0.pools[0].servers.removeLast() } == nil)
        #expect(swap() != nil)
        world.simulation.run(for: .seconds(2))
        #expect(swap() == nil && names(world, pool: 1) == [1, 2])
        world.finish()
    }

    @Test("l4/3: limits, weights, another pool behind the same service; SYNs that wait in the old one are served")
    func forwardedPools() {
        let world = World.forwarding(servers: 2) { configuration in
            configuration.pools[0].servers.removeLast()
            configuration.pools[0].servers[0].initialLimit = 1
        }
        let clients = (0..<4).map { _ in world.client([world.exchange(.get(), .length(100).after(.milliseconds(200)))]) }
        world.simulation.run(for: .milliseconds(20))
        #expect(world.queueLength == 3)
        world.dispatcher.reconfigure { configuration in
            configuration.pools[0].retired = .l43
            configuration.pools.append(PoolConfiguration(name: "new", servers: [ServerConfiguration(endpoint: .server(1))]))
            configuration.services[0].routes = [RouteConfiguration(pool: 1)]
        }
        world.visitors(3, every: .milliseconds(10))
        world.simulation.run(for: .seconds(2))
        #expect(clients.allSatisfy { $0.isFinished } && world.served == [4, 3])
        #expect(world.dispatcher.snapshot.pools[0].isGone)
        world.dispatcher.reconfigure { configuration in
            configuration.pools[1].servers[0].initialLimit = 3
            configuration.pools[1].servers[0].weight = 7
        }
        #expect(world.dispatcher.snapshot.pools[1].servers.map(\.limit) == [3])
        #expect(world.dispatcher.snapshot.pools[1].servers.map(\.weight) == [7])
        world.finish()
    }
}
