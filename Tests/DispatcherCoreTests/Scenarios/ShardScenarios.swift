import Testing

@testable import DispatcherCore

/// Several engines that share their servers: the limit is exact over all of them, the order is that in which requests came, and no shard
/// waits for what another one has.
@Suite("Shards")
struct ShardScenarios {
    @Test("no server ever has more requests than its limit, and every request is served", arguments: [2, 3, 5])
    func limit(shards: Int) {
        let world = World(servers: 2, shards: shards) { configuration in
            configuration.pools[0].servers[0].initialLimit = 2
            configuration.pools[0].servers[1].initialLimit = 3
            configuration.pools[0].queue.wait = .seconds(600)
        }
        world.runLong()
        (world.servers[0].limit, world.servers[1].limit) = (2, 3)
        world.visitors(600, every: .microseconds(50), .get(), .length(100).after(.milliseconds(1)))
        world.finish()
        #expect(world.servers.map(\.requestsServed).reduce(0, +) == 600)
        #expect(world.servers.map(\.activeHigh) == [2, 3], "and no token was left unused")
        #expect(world.dispatcher.snapshot.counters.overLimit == 0)
    }

    @Test("requests of all shards are dispatched in the order in which they came", arguments: [2, 3])
    func order(shards: Int) {
        let world = World(shards: shards) { configuration in
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].queue.wait = .seconds(600)
        }
        world.runLong()
        world.servers[0].limit = 1
        world.visitors(1_000, every: .microseconds(20), .get(), .length(100).after(.microseconds(300)))
        world.finish()
        #expect(world.servers[0].order == Array(1...1_000))
        #expect(world.dispatcher.snapshot.pools[0].queueHigh > 900)
    }

    @Test("a client that goes away takes its turn along: nobody waits for it")
    func gone() {
        let world = World(shards: 2) { configuration in
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].queue.wait = .seconds(600)
        }
        world.runLong()
        let slow = world.exchange(.get(), .length(100).after(.milliseconds(200)))
        _ = world.client([slow])
        world.simulation.run(for: .milliseconds(20))
        // Clients of both shards wait, the first of each goes away again.
        var raw: [RawPeer] = []
        for port in UInt16(41_000)..<41_008 {
            let peer = world.rawClient(port: port)
            peer.open()
            peer.advance([.ack, .psh], [UInt8](text: "GET /x/9 HTTP/1.1\r\nHost: a\r\n\r\n"))
            raw.append(peer)
        }
        world.simulation.run(for: .milliseconds(20))
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 8)
        for peer in raw { peer.advance([.rst, .ack]) }
        world.visitors(20, every: .microseconds(50), .get(), .length(10))
        world.finish()
        #expect(world.servers[0].requestsServed == 21)
    }

    @Test("a request in one shard hears of what its server has free in another one, though a server has room that is not for it")
    func unsuited() {
        for isHashed in [false, true] {
            let world = World(servers: 0, rawServers: 2, shards: 2) { configuration in
                for place in 0..<2 { configuration.pools[0].servers[place].initialLimit = 1 }
                configuration.pools[0].queue.wait = .seconds(600)
                configuration.pools[0].open = .onRequest
                if isHashed { configuration.pools[0].balance = .hashOfPath } else { configuration.pools[0].servers[1].isBackup = true }
            }
            // Neither answers a SYN.
            let servers = [world.rawServer(0), world.rawServer(1)]
            let clients = world.rawClients(shards: [0, 1], of: 2)
            for client in clients { client.open() }
            clients[0].advance([.ack, .psh], [UInt8](text: "GET /x/9 HTTP/1.1\r\nHost: a\r\n\r\n"))
            world.simulation.run(for: .milliseconds(5))
            clients[1].advance([.ack, .psh], [UInt8](text: "GET /x/9 HTTP/1.1\r\nHost: a\r\n\r\n"))
            world.simulation.run(for: .milliseconds(5))
            #expect(world.queueLength == 1 && world.activeConnections.reduce(0, +) == 1, "hashed: \(isHashed)")
            clients[0].advance([.rst, .ack])
            world.simulation.run(for: .milliseconds(20))
            #expect(world.queueLength == 0 && world.activeConnections.reduce(0, +) == 1, "hashed: \(isHashed)")
            #expect(servers.map { $0.takeSYNs().count }.reduce(0, +) == 2)
            world.check()
        }
    }

    @Test("what the leader's checks find counts in every shard")
    func health() {
        let world = World(servers: 2, shards: 3) { configuration in
            var health = HealthConfiguration()
            health.path = [UInt8](text: "/health")
            (health.every, health.timeout) = (.milliseconds(100), .milliseconds(50))
            configuration.pools[0].health = health
            configuration.pools[0].queue.wait = .seconds(60)
        }
        world.runLong()
        Self.failsAndRecovers(world)
        world.finish()
    }

    /// The checks of the first of two servers fail, and find it well again: no visitor goes there meanwhile.
    static func failsAndRecovers(_ world: World) {
        var status = 503
        world.servers[0].check = { _ in .answer(status) }
        world.simulation.run(for: .seconds(2))
        #expect(world.shown(0).state == .failed && world.shown(1).state == .up)
        let before = world.servers[0].requestsServed
        world.visitors(60, every: .microseconds(500), .get(), .length(10))
        world.simulation.run(for: .seconds(1))
        #expect(world.servers[0].requestsServed == before && world.servers[1].requestsServed == 60)
        status = 200
        world.simulation.run(for: .seconds(2))
        world.visitors(60, every: .microseconds(500), .get(), .length(10))
        world.simulation.run(for: .seconds(1))
        #expect(world.servers[0].requestsServed - before > 10)
    }

    @Test("an operator's limit and order hold in all shards at once")
    func orders() {
        let world = World(servers: 2, shards: 2) { configuration in
            configuration.pools[0].servers[0].initialLimit = 4
            configuration.pools[0].servers[1].initialLimit = 4
            configuration.pools[0].queue.wait = .seconds(600)
        }
        world.runLong()
        world.dispatcher.apply(.order(pool: 0, server: .server(1), .drain))
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 1))
        world.simulation.run(for: .milliseconds(1))
        world.servers[0].limit = 1
        world.visitors(60, every: .microseconds(50), .get(), .length(100).after(.milliseconds(1)))
        world.simulation.run(for: .milliseconds(40))
        #expect(world.servers[0].activeHigh == 1 && world.servers[1].requestsServed == 0)
        world.servers[0].limit = 4
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 4))
        world.dispatcher.apply(.order(pool: 0, server: .server(1), .ready))
        world.finish()
        #expect(world.servers[0].activeHigh == 4 && world.servers.map(\.requestsServed).reduce(0, +) == 60)
    }

    @Test("a measured limit moves by what all shards do")
    func controlled() {
        let world = World(shards: 2) { configuration in
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].servers[0].maximumLimit = 16
            configuration.pools[0].control = .hold(.averageResponseTime, low: 0.005, high: 0.02)
            configuration.pools[0].queue.wait = .seconds(600)
        }
        world.runLong()
        world.servers[0].limit = 16
        let crowd = Crowd(world)
        crowd.response = .length(100).after(.milliseconds(3))
        crowd.ask(40)
        world.simulation.run(for: .seconds(20))
        // Under the band at any limit: it grows as far as it may.
        #expect(world.shown(0).limit == 16 && world.servers[0].activeHigh == 16)
        let rate = world.shown(0).performance?.requestRate ?? 0
        let served = world.servers[0].requestsServed
        world.simulation.run(for: .seconds(4))
        let measured = Double(world.servers[0].requestsServed - served) / 4
        #expect(abs(rate - measured) < 0.1 * measured, "\(rate) and \(measured): the window has the responses of all shards")
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test("of several shards' limits for each client the sum is not less than what was said")
    func parts() {
        var configuration = EngineConfiguration()
        configuration.services = [ServiceConfiguration(name: "s", listen: [], routes: [])]
        configuration.services[0].limits.perClientConnections = 10
        configuration.services[0].limits.connections = 1_000
        configuration.pools = [PoolConfiguration(name: "p", servers: [])]
        configuration.pools[0].queue.capacity = 100
        let part = configuration.part(Shard(2, of: 3))
        #expect(part.shard == Shard(2, of: 3) && part.ports.shards == 3)
        #expect(part.services[0].limits.perClientConnections == 4 && part.services[0].limits.connections == 334)
        #expect(part.services[0].limits.perClientRequests == 0, "no limit stays none")
        #expect(part.pools[0].queue.capacity == 34)
        #expect(configuration.part(Shard()).services[0].limits.connections == 1_000)
    }
}
