import Testing

@testable import DispatcherCore

/// Several engines that share their servers in mode l4/3: the same as in mode l7/3, for connections.
@Suite("Mode l4/3: shards")
struct ForwardShardScenarios {
    private static func world(
        servers: Int = 1, limits: [Int], shards: Int, configure: (inout EngineConfiguration) -> Void = { _ in }
    ) -> World {
        let world = World.forwarding(servers: servers, shards: shards) { configuration in
            for (place, limit) in limits.enumerated() { configuration.pools[0].servers[place].initialLimit = limit }
            configuration.pools[0].queue.wait = .seconds(600)
            configure(&configuration)
        }
        world.runLong()
        for (server, limit) in zip(world.servers, limits) { server.limit = limit }
        return world
    }

    // MARK: Limit and order

    @Test("no server ever has more connections than its limit, none is left unused, and every client is served", arguments: [2, 3, 5])
    func limit(shards: Int) {
        let world = Self.world(servers: 2, limits: [2, 3], shards: shards)
        world.visitors(600, every: .microseconds(50), .get(), .length(100).after(.milliseconds(1)))
        world.finish()
        #expect(world.servers.map(\.requestsServed).reduce(0, +) == 600)
        #expect(world.servers.map(\.activeHigh) == [2, 3])
        #expect(world.dispatcher.snapshot.counters.overLimit == 0)
        #expect(world.dispatcher.checker.mostForwarded == 3)
        let ports = world.servers.flatMap(\.peers).map { Int($0.port) % shards }
        #expect(Set(ports) == Set(0..<shards), "connections come from the ports of all shards")
    }

    @Test("SYNs of all shards are forwarded in the order in which they came", arguments: [2, 3])
    func order(shards: Int) {
        let world = Self.world(limits: [1], shards: shards)
        world.visitors(500, every: .microseconds(20), .get(), .length(100).after(.microseconds(300)))
        world.finish()
        #expect(world.servers[0].order == Array(1...500))
        #expect(world.dispatcher.snapshot.pools[0].queueHigh > 400)
    }

    @Test("a connection that ends in one shard lets the SYN go out that has waited longest in another one")
    func wakes() throws {
        let (world, _, server) = World.rawForwarding(shards: 2)
        let clients = world.rawClients(shards: [0, 1, 0, 1], of: 2)
        let first = try #require(ForwardedPair(world, clients[0], server))
        for client in clients[1...] { client.knock() }
        #expect(world.queueLength == 3 && server.takeSYNs().isEmpty && world.shown(0).active == 1)
        first.end()
        // The token goes from shard 0 to 1, and back.
        for client in clients[1...] {
            let syns = server.takeSYNs()
            #expect(syns.count == 1)
            let syn = try #require(syns.first)
            server.reply(to: syn, [.rst, .ack], sequence: 0)
            #expect(client.arrivals().map(\.flags) == [[.rst, .ack]])
        }
        #expect(world.queueLength == 0 && world.shown(0).active == 0)
        world.check()
    }

    @Test("a client that gives up takes its turn along: nobody waits for it")
    func gone() throws {
        let (world, _, server) = World.rawForwarding(shards: 2)
        let clients = world.rawClients(shards: [0, 1, 1, 0], of: 2)
        let first = try #require(ForwardedPair(world, clients[0], server))
        for client in clients[1...] { client.knock() }
        clients[1].send(.rst) { $0.sequence &+= 1 }
        clients[2].send(.rst) { $0.sequence &+= 1 }
        clients[1].run()
        #expect(world.queueLength == 1)
        first.end()
        #expect(server.takeSYNs().count == 1 && world.queueLength == 0)
        world.check()
    }

    @Test("with a hashed balance a SYN in one shard hears of what its own server has free in another one")
    func hashed() throws {
        let (world, _, server) = World.rawForwarding(servers: 2, shards: 2) { $0.pools[0].balance = .hashOfSource }
        let clients = world.rawClients(shards: [0, 1], of: 2)
        let other = world.rawServer(1)
        clients[0].knock()
        let own = server.takeSYNs().isEmpty ? other : server
        own.skip()
        // Its own server is full, the other one has room.
        clients[1].knock()
        #expect(world.queueLength == 1 && world.activeConnections.sorted() == [0, 1])
        clients[0].send(.rst) { $0.sequence &+= 1 }
        #expect(own.takeSYNs().map(\.sequence) == [clients[1].sequence] && world.queueLength == 0)
        // The same when its limit rises.
        let third = world.rawClients(shards: [1], of: 2)[0]
        var syn = third.segment(.syn)
        syn.source = Endpoint(address: clients[0].host.address, port: clients[0].local.port + 1_000)
        while FrameShard.ofClient(bits: syn.source.address.v4, port: syn.source.port, count: 2) != 1 { syn.source.port += 1 }
        clients[0].send(syn)
        clients[0].run()
        #expect(world.queueLength == 1)
        let place = own === server ? 0 : 1
        world.dispatcher.checker.raisedLimit = 2
        world.dispatcher.apply(.setLimit(pool: 0, server: world.endpoint(place), limit: 2))
        #expect(own.takeSYNs().map(\.source.port).count == 1 && world.queueLength == 0)
        world.check()
    }

    @Test("a backup server with room is no reason to forget who waits for a full one")
    func backup() throws {
        let (world, _, server) = World.rawForwarding(servers: 2, shards: 2) { $0.pools[0].servers[1].isBackup = true }
        let clients = world.rawClients(shards: [0, 1], of: 2)
        let first = try #require(ForwardedPair(world, clients[0], server))
        clients[1].knock()
        #expect(world.queueLength == 1)
        first.end()
        #expect(server.takeSYNs().count == 1 && world.queueLength == 0)
        world.check()
    }

    @Test("a server that refuses gives its token back, and the next one's is taken", arguments: [0, 1])
    func offered(shard: Int) throws {
        let (world, _, server) = World.rawForwarding(servers: 2, shards: 2)
        let other = world.rawServer(1)
        let clients = world.rawClients(shards: [shard, 1 - shard], of: 2)
        clients[0].knock()
        server.reply(to: try #require(server.takeSYNs().first), [.rst, .ack], sequence: 0)
        #expect(other.takeSYNs().count == 1 && world.activeConnections == [0, 1])
        // The other shard knows nothing of the refusal.
        clients[1].knock()
        #expect(server.takeSYNs().count == 1 && world.activeConnections == [1, 1])
        world.check()
    }

    // MARK: Measuring

    @Test("a measured limit moves by what all shards do")
    func controlled() {
        let world = Self.world(limits: [1], shards: 2) { configuration in
            configuration.pools[0].servers[0].maximumLimit = 16
            configuration.pools[0].control = .hold(.averageResponseTime, low: 0.005, high: 0.02)
        }
        world.servers[0].limit = 16
        let crowd = Crowd(world)
        crowd.requests = 3
        crowd.response = .length(2_000).after(.milliseconds(3))
        crowd.ask(40)
        world.simulation.run(for: .seconds(20))
        // Under the band at any limit: it grows as far as it may.
        #expect(world.shown(0).limit == 16 && world.servers[0].activeHigh == 16)
        let served = world.servers[0].requestsServed
        world.simulation.run(for: .seconds(4))
        let measured = Double(world.servers[0].requestsServed - served) / 4
        let figures = world.shown(0).performance ?? Performance()
        #expect(abs(figures.requestRate - measured) < 0.1 * measured, "\(figures.requestRate) and \(measured): the responses of all shards")
        // Each answer has a head and its bytes, in two packets at least.
        let seconds = Double(figures.length.nanoseconds) / 1e9
        #expect(Double(figures.bytes) / seconds > 2_000 * 0.9 * measured && Double(figures.packets) / seconds > 1.8 * measured)
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test("more stored SYNs than a number raise the limit, whichever shards they wait in")
    func stored() {
        let world = Self.world(limits: [1], shards: 2) { configuration in
            configuration.pools[0].servers[0].maximumLimit = 20
            configuration.pools[0].control = .stored(raiseAbove: 10, lowerBelow: 2)
        }
        world.servers[0].limit = 20
        world.visitors(2_000, every: .milliseconds(10), .get(), .length(100).after(.milliseconds(100)))
        world.simulation.run(for: .seconds(15))
        #expect(world.shown(0).limit >= 4 && world.limitChanges.contains { $0.reason == .manyStored })
        world.finish()
    }

    // MARK: The leader

    @Test("what the leader's checks find counts in every shard, and is said once")
    func health() {
        let world = Self.world(servers: 2, limits: [8, 8], shards: 3) { configuration in
            var health = HealthConfiguration()
            health.path = [UInt8](text: "/health")
            (health.every, health.timeout) = (.milliseconds(100), .milliseconds(50))
            configuration.pools[0].health = health
        }
        ShardScenarios.failsAndRecovers(world)
        #expect(world.stateChanges.map(\.to) == [.failed, .up])
        #expect(world.shown(0).checks.reduce(0, +) > 30 && world.shown(0).limit == 8)
        world.finish()
    }

    @Test("what a server reports to the leader moves the limit of all shards")
    func reported() {
        let world = Self.world(limits: [20], shards: 2) { configuration in
            var health = HealthConfiguration()
            health.path = [UInt8](text: "/health")
            health.reportHeader = [UInt8](text: "X-Load")
            (health.every, health.timeout) = (.milliseconds(100), .milliseconds(50))
            configuration.pools[0].health = health
            configuration.pools[0].control = .hold(.reported, low: 10, high: 30)
        }
        world.servers[0].check = { _ in .answer(200, [("X-Load", "90")]) }
        let crowd = Crowd(world)
        crowd.requests = 3
        crowd.response = .length(500).after(.milliseconds(20))
        crowd.ask(30)
        world.simulation.run(for: .seconds(6))
        #expect(world.shown(0).limit < 12, "\(world.shown(0).limit)")
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test("an operator's limit and order hold in all shards at once, and are said once")
    func orders() {
        let world = Self.world(servers: 2, limits: [4, 4], shards: 2)
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
        world.dispatcher.apply(.setWeight(pool: 0, server: .server(0), weight: 3))
        world.finish()
        #expect(world.servers[0].activeHigh == 4 && world.servers.map(\.requestsServed).reduce(0, +) == 60)
        #expect(world.stateChanges.map(\.to) == [.drain, .up] && world.limitChanges.map(\.to) == [1, 4])
        #expect(world.shown(0).weight == 3)
    }

    // MARK: Addresses

    @Test("source: keep: what a server sends to a client comes to the shard that has it", arguments: [2, 3], [Families.v4, .v6])
    func keep(shards: Int, families: Families) {
        for sharesInterface in [false, true] {
            let world = World.forwarding(servers: 2, families: families, shards: shards) { configuration in
                configuration.sidesShareInterface = sharesInterface
                configuration.pools[0].l4.source = .keep
                for place in 0..<2 { configuration.pools[0].servers[place].initialLimit = 2 }
            }
            for server in world.servers { server.limit = 2 }
            world.visitors(40, every: .microseconds(50), .get(), .length(5_000).after(.milliseconds(1)))
            world.finish()
            #expect(world.servers.map(\.activeHigh) == [2, 2])
            #expect(Set(world.servers.flatMap(\.peers)) == Set(world.clients.map(\.endpoint.local)))
        }
    }

    @Test("source: keep goes on for the connections that there are when the servers see our address again")
    func keptNoLonger() {
        let world = World.forwarding(shards: 3) { $0.pools[0].l4.source = .keep }
        let slow = (0..<8).map { _ in world.exchange(.get(), .length(300).after(.milliseconds(50))) }
        for exchange in slow { world.client([exchange, world.exchange(.get(), .length(20_000))]) }
        world.simulation.run(for: .milliseconds(20))
        #expect(world.shown(0).active == 8)
        world.dispatcher.reconfigure { $0.pools[0].l4.source = .rewrite }
        world.visitors(8, every: .microseconds(50))
        world.finish()
        let ours = world.servers[0].peers.count { $0.address == World.sourceAddress }
        #expect(ours == 8 && world.servers[0].peers.count == 16)
    }

    @Test("an error of ICMP comes to the shard that has the connection", arguments: [L4Settings.Source.rewrite, .keep], [0, 1, 2])
    func icmp(source: L4Settings.Source, shard: Int) throws {
        let (world, _, server) = World.rawForwarding(shards: 3) { $0.pools[0].l4.source = source }
        let client = world.rawClients(shards: [shard], of: 3)[0]
        let pair = try #require(ForwardedPair(world, client, server))
        #expect(source == .keep ? pair.syn.source == client.local : Int(pair.syn.source.port) % 3 == shard)
        pair.client.advance([.ack, .psh], [UInt8](repeating: 1, count: 1_300))
        let toServer = try #require(pair.server.arrivals().first)
        pair.server.acknowledgement = pair.syn.sequence &+ 1
        pair.server.advance([.ack, .psh], [UInt8](repeating: 2, count: 1_400))
        pair.client.followsPeer = false
        let toClient = try #require(pair.client.arrivals().first)
        let atClient = ForwardICMPScenarios.Listener(world, before: client.host)
        let atServer = ForwardICMPScenarios.Listener(world, before: server.host)
        client.host.transmit(TestICMP.tooBig(mtu: 1_300, about: toClient))
        server.host.transmit(TestICMP.tooBig(mtu: 1_320, about: toServer))
        client.run()
        #expect(atClient.messages.map(\.mtu) == [1_320] && atServer.messages.map(\.mtu) == [1_300])
        #expect(atServer.messages.map(\.destination) == [toServer.source])
        world.check()
    }

    @Test("a shard uses its own ports in turn, and tells the client when none is left")
    func ports() throws {
        let (world, _, server) = World.rawForwarding(limit: 8, shards: 2) {
            $0.ports = PortPlan(first: 10_000, last: 10_012, layers: 1, servers: 1, connections: 8)
        }
        // From 10,008 on: three ports of shard 0, two of shard 1.
        let clients = world.rawClients(shards: [0, 0, 0, 1, 1, 1, 0], of: 2)
        for client in clients { client.knock() }
        #expect(server.takeSYNs().map(\.source.port) == [10_008, 10_010, 10_012, 10_009, 10_011])
        #expect(clients.suffix(2).allSatisfy { $0.received.map(\.flags) == [[.rst, .ack]] })
        #expect(world.refused(.serverUnavailable) == 2 && world.shown(0).active == 5, "no token is kept")
        world.check()
    }

    @Test("a SYN that is answered by cookie is the same shard's to the end", arguments: [2, 3])
    func cookies(shards: Int) {
        let world = Self.world(servers: 2, limits: [2, 2], shards: shards) { $0.pools[0].l4.cookie = true }
        world.visitors(100, every: .microseconds(50), .post(3_000), .length(20_000).after(.milliseconds(1)))
        world.finish()
        #expect(world.servers.map(\.activeHigh) == [2, 2] && world.dropped(.cookieInvalid) == 0)
    }

    // MARK: Another configuration, the end

    @Test("servers come and go in all shards; one limit counts for the old connections and the new ones", arguments: [2, 3])
    func reload(shards: Int) {
        let world = Self.world(servers: 2, limits: [3, 3], shards: shards)
        let both = world.dispatcher.configuration.pools[0].servers
        world.visitors(300, every: .microseconds(200), .get(), .length(100).after(.milliseconds(1)))
        world.simulation.run(for: .milliseconds(10))
        world.dispatcher.reconfigure { $0.pools[0].servers = [both[1]] }
        world.simulation.run(for: .milliseconds(20))
        let served = world.servers[0].requestsServed
        world.simulation.run(for: .milliseconds(20))
        #expect(world.servers[0].requestsServed == served)
        world.dispatcher.reconfigure { configuration in
            configuration.pools[0].servers = both
            configuration.pools[0].servers[0].initialLimit = 2
        }
        world.finish()
        #expect(world.servers[0].requestsServed > served && world.servers.map(\.requestsServed).reduce(0, +) == 300)
        #expect(world.shown(0).limit == 2 && world.shown(1).limit == 3)
        #expect(world.stateChanges.map(\.to) == [.removed, .up])
    }

    @Test("a pool that is there no longer serves what waits in every shard, then its servers go")
    func retired() throws {
        let (world, _, server) = World.rawForwarding(shards: 2)
        let clients = world.rawClients(shards: [0, 1, 0], of: 2)
        let first = try #require(ForwardedPair(world, clients[0], server))
        for client in clients[1...] { client.knock() }
        let fault = world.dispatcher.reconfigure { configuration in
            configuration.pools.append(PoolConfiguration(name: "other", servers: [ServerConfiguration(endpoint: .server(5))]))
            configuration.services[0].routes = [RouteConfiguration(pool: 1)]
            configuration.pools[0].retired = .l43
        }
        #expect(fault == nil && world.queueLength == 2)
        first.end()
        for _ in 0..<2 { server.reply(to: try #require(server.takeSYNs().first), [.rst, .ack], sequence: 0) }
        world.simulation.run(for: .seconds(1))
        #expect(world.dispatcher.snapshot.pools[0].isGone)
        world.check()
    }

    @Test("stop: what waits in any shard is reset, connections go on, and then all is drained; abort ends them in all")
    func stop() throws {
        let (world, _, server) = World.rawForwarding(limit: 2, shards: 2)
        let clients = world.rawClients(shards: [0, 1, 0, 1], of: 2)
        let pairs = [
            try #require(ForwardedPair(world, clients[0], server)), try #require(ForwardedPair(world, clients[1], server)),
        ]
        for client in clients[2...] { client.knock() }
        #expect(world.queueLength == 2)
        world.dispatcher.apply(.stop)
        #expect(clients[2...].allSatisfy { $0.arrivals().map(\.flags) == [[.rst, .ack]] })
        #expect(world.queueLength == 0 && world.shown(0).active == 2 && !world.dispatcher.isDrained)
        server.remote = pairs[0].syn.source
        pairs[0].client.send([.rst, .ack])
        world.simulation.run(for: .milliseconds(5))
        #expect(!world.dispatcher.isDrained)
        world.dispatcher.apply(.abort)
        #expect(clients[1].arrivals().map(\.flags) == [[.rst, .ack]] && world.dispatcher.isDrained)
        world.check()
    }

    // MARK: Figures

    @Test("figures of all shards in one: limits once, connections and counts as sums")
    func figures() throws {
        let (world, _, server) = World.rawForwarding(limit: 2, shards: 2)
        let clients = world.rawClients(shards: [0, 1, 1, 0], of: 2)
        for client in clients { client.knock() }
        let syns = server.takeSYNs()
        #expect(syns.map { Int($0.source.port) % 2 } == [0, 1])
        let snapshot = world.dispatcher.snapshot
        #expect(snapshot.pools.count == 1 && snapshot.pools[0].servers.count == 1)
        #expect(snapshot.pools[0].queueLength == 2 && snapshot.services[0].frontConnections == 4)
        let shown = snapshot.pools[0].servers[0]
        #expect(shown.limit == 2 && shown.active == 2 && shown.connects == 2 && shown.tunnelLimit == 0)
        #expect(snapshot.services[0].connectionsTotal == 4 && snapshot.services[0].phases.reduce(0, +) == 4)
        world.check()
    }

    @Test("what one client may have is divided among the shards, and rounded up")
    func parts() {
        let world = Self.world(limits: [100], shards: 3) { $0.services[0].limits.perClientConnections = 4 }
        let part = world.dispatcher.configuration.part(Shard(1, of: 3))
        #expect(part.services[0].limits.perClientConnections == 2 && part.services[0].limits.connections == 334)
        #expect(part.pools[0].servers[0].initialLimit == 100, "a server's limit is one for all")
        let clients = world.rawClients(shards: [0, 0, 0, 1, 1, 1, 2], of: 3)
        for client in clients { client.knock() }
        #expect(world.shown(0).active == 5 && world.refused(.clientConnections) == 2)
        world.finish(expectComplete: false)
    }
}
