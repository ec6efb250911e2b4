import DispatcherCore
import Testing

@Suite("Mode l4/3: connections")
struct ForwardScenarios {
    @Test("requests and answers pass, and the server sees an address of ours", arguments: [Families.v4] + Families.withIPv6)
    func exchanges(families: Families) {
        let world = World.forwarding(servers: 2, families: families)
        for _ in 0..<4 {
            world.client([
                world.exchange(.get(), .length(200_000)), world.exchange(.post(30_000), .chunked(30_000, size: 700)), world.exchange(),
            ])
        }
        world.finish()
        let snapshot = world.dispatcher.snapshot
        #expect(snapshot.pools[0].servers.map(\.connects) == [2, 2])
        #expect(snapshot.pools[0].servers.map(\.requests) == [6, 6])
        #expect(snapshot.services[0].connectionsTotal == 4)
        let sources = world.servers.flatMap(\.connections).map(\.endpoint.remote)
        let ours = families.servers.pick(v4: World.sourceAddress, v6: World.sourceAddressIPv6)
        #expect(sources.allSatisfy { ours.contains($0.address) })
        #expect(Set(sources.map(\.port)).isDisjoint(with: 0..<UInt16(world.dispatcher.configuration.ports.firstTunnelPort)))
    }

    @Test("source: keep: the server sees the client itself", arguments: [Families.v4, .v6])
    func keep(families: Families) {
        let world = World.forwarding(families: families) { $0.pools[0].l4.source = .keep }
        let client = world.client([world.exchange(.get(), .length(50_000)), world.exchange()])
        world.finish()
        #expect(world.servers[0].connections.map(\.endpoint.remote) == [client.endpoint.local])
    }

    @Test("source: keep: two services may not give one server the same two ends")
    func keepConflict() throws {
        let (world, client, server) = World.rawForwarding(limit: 5) {
            $0.pools[0].l4.source = .keep
            $0.services[0].listen.append(Endpoint(address: World.service.address, port: 81))
        }
        let pair = ForwardedPair(world, client, server)
        try #require(pair != nil)
        var syn = client.segment(.syn)
        syn.destination.port = 81
        client.send(syn)
        #expect(client.arrivals().map(\.flags) == [[.rst, .ack]])
        #expect(world.refused(.serverUnavailable) == 1 && world.activeConnections == [1])
        // When the first one has ended its ends are free.
        pair?.close()
        client.send(syn)
        #expect(server.takeSYNs().map(\.source) == [client.local])
        #expect(world.dispatcher.snapshot.counters.closedForgotten == 1)
        world.check()
    }

    @Test("a SYN goes on as it came: number, window, options, ECN; only its MSS is made to fit both links")
    func syn() throws {
        let (world, client, server) = World.rawForwarding { $0.serverSideMTU = 1_400 }
        world.readsStrictly = false
        let options: [UInt8] = TestSegment.maximumSegmentSize(1_460) + [4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 9]
        client.window = 29_200
        var syn = client.segment([.syn, .ece, .cwr])
        syn.options = options
        client.send(syn)
        let first = server.arrivals().first
        let seen = try #require(first)
        #expect(seen.flags == [.syn, .ece, .cwr] && seen.sequence == client.sequence && seen.window == 29_200)
        #expect(seen.options == TestSegment.maximumSegmentSize(1_360) + options[4...])
        #expect(seen.source.address == World.sourceAddress)
        // A smaller one stays; so does the answer's.
        server.reply(to: seen, [.syn, .ack], sequence: 7) { $0.options = TestSegment.maximumSegmentSize(900) + [1, 1, 4, 2] }
        let answer = client.arrivals().first
        #expect(answer?.options == TestSegment.maximumSegmentSize(900) + [1, 1, 4, 2] && answer?.sequence == 7)
        world.check()
    }

    @Test("mixed families: neither end is told a segment that the other family's headers leave no room for")
    func mixedMSS() throws {
        let pair = try #require(ForwardedPair(families: Families(clients: .v4, servers: .v6)))
        #expect(pair.syn.maximumSegmentSize == 1_440 && pair.answer.maximumSegmentSize == 1_440)
        pair.client.advance([.ack, .psh], [UInt8](repeating: 1, count: 1_440))
        #expect(pair.server.arrivals().map(\.payload.count) == [1_440])
        pair.world.check()
    }

    @Test("merged segments are cut to what their receiver takes, options and all")
    func merged() throws {
        let pair = try #require(ForwardedPair())
        let (client, server) = (pair.client, pair.server)
        pair.world.readsStrictly = false
        server.send(.ack, [UInt8](repeating: 7, count: 10_000)) { $0.options = [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2] }
        let pieces = client.arrivals()
        #expect(pieces.map(\.payload.count) == [1_448, 1_448, 1_448, 1_448, 1_448, 1_448, 1_312])
        #expect(pieces.allSatisfy { $0.options == [1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2] })
        pair.world.check()
    }

    @Test("what fits one packet of IPv4 and not one of IPv6 goes on in two")
    func pieces() throws {
        let pair = try #require(ForwardedPair(families: Families(clients: .v6, servers: .v4)))
        let (client, server) = (pair.client, pair.server)
        let start = server.sequence
        let bytes = (0..<65_490).map { UInt8(truncatingIfNeeded: $0 / 7) }
        server.advance([.ack, .psh], bytes)
        _ = client.arrivals()
        #expect(client.stream(from: start) == bytes)
        #expect(client.received.last?.flags == [.ack, .psh] && client.received.dropLast().allSatisfy { $0.flags != [.ack, .psh] })
        pair.world.check()
    }

    @Test("what no end can have sent is dropped, for its reason, and moves nothing")
    func plausible() throws {
        let pair = try #require(ForwardedPair())
        let (world, client, server) = (pair.world, pair.client, pair.server)
        client.send(.ack, [1, 2, 3]) { $0.sequence &+= 1 << 20 }
        client.send(.ack) { $0.acknowledgement &+= 1 }
        client.send(.psh, [1])
        client.send(.rst) { $0.sequence &+= 1 << 20 }
        client.send(.rst) { $0.sequence &-= 100 }
        client.send([.syn, .ack])
        server.send(.ack, [1, 2, 3]) { $0.sequence &+= 1 << 20 }
        server.send(.ack) { $0.acknowledgement &+= 1 }
        server.send(.psh, [1])
        server.send(.rst) { $0.sequence &+= 1 << 20 }
        server.send(.rst) { $0.sequence &-= 100 }
        server.send(.syn)
        server.send([.syn, .ack]) { $0.sequence &+= 1_000 }
        #expect(client.arrivals().isEmpty && server.arrivals().isEmpty)
        for side in Side.allCases {
            #expect(world.dropped(.outOfWindow, on: side) == 1 && world.dropped(.acknowledgesUnsent, on: side) == 1)
            #expect(world.dropped(.noAcknowledgement, on: side) == 1 && world.dropped(.resetOutOfWindow, on: side) == 2)
        }
        #expect(world.dropped(.synInConnection) == 1 && world.dropped(.synInConnection, on: .server) == 2)
        // The connection is as it was.
        client.advance([.ack, .psh], [UInt8](text: "hello"))
        #expect(server.arrivals().map(\.payload) == [[UInt8](text: "hello")])
        #expect(world.activeConnections == [1])
        world.check()
    }

    @Test("a SYN in the middle of a connection is the server's to judge")
    func synInConnection() throws {
        let pair = try #require(ForwardedPair())
        pair.client.send(.syn) { $0.sequence = 99 }
        #expect(pair.server.takeSYNs().map(\.sequence) == [99])
        // It acknowledges what it has of the connection that it knows.
        pair.server.acknowledgement = pair.syn.sequence &+ 1
        pair.server.send(.ack)
        let challenge = pair.client.arrivals()
        #expect(challenge.map(\.flags) == [.ack])
        // A client that knows nothing of it says so with the number that it was told.
        pair.client.send(.rst) { $0.sequence = challenge[0].acknowledgement }
        #expect(pair.server.arrivals().map(\.flags) == [.rst])
        #expect(pair.world.activeConnections == [0])
        pair.world.check()
    }

    @Test("the server's answer is repeated to a client that has not heard it, also after its acknowledgement was lost")
    func repeatedAnswer() throws {
        let pair = try #require(ForwardedPair())
        pair.server.send([.syn, .ack]) { $0.sequence &-= 1 }
        #expect(pair.client.arrivals().map(\.flags) == [[.syn, .ack]])
        pair.client.send(.ack)
        #expect(pair.server.arrivals().map(\.flags) == [.ack])
        pair.world.check()
    }

    @Test("what remains at a server of an old connection is ended by the client's own answer")
    func oldConnection() throws {
        let (world, client, server) = World.rawForwarding()
        client.knock()
        let old = try #require(server.takeSYNs().first)
        server.reply(to: old, .ack, sequence: 77) { $0.acknowledgement = 4_242 }
        let seen = client.arrivals()
        #expect(seen.map(\.acknowledgement) == [4_242])
        client.send(.rst) { $0.sequence = 4_242 }
        #expect(server.arrivals().map(\.sequence) == [4_242])
        // The same for a SYN that is answered in the old numbers.
        server.reply(to: old, [.syn, .ack], sequence: 77) { $0.acknowledgement = 4_242 }
        #expect(client.arrivals().map(\.acknowledgement) == [4_242])
        // The client's next SYN is taken.
        client.knock()
        #expect(server.takeSYNs().count == 1)
        #expect(world.activeConnections == [1])
        world.check()
    }

    @Test("segments of no connection are answered with RST where the address is ours")
    func strays() throws {
        let (world, client, server) = World.rawForwarding()
        client.send(.ack)
        client.send([.syn, .ack])
        client.send(.psh)
        client.send(.rst)
        #expect(client.arrivals().map(\.flags) == [.rst, .rst, [.rst, .ack]])
        server.remote.port = 40_000
        server.send(.ack)
        server.send(.rst)
        #expect(server.arrivals().map(\.flags) == [.rst])
        #expect(world.dropped(.noConnection) == 3 && world.dropped(.noAcknowledgement) == 1)
        #expect(world.dropped(.noConnection, on: .server) == 2)
        // In a client's name nothing is said.
        server.remote = client.local
        server.send(.ack)
        #expect(server.arrivals().isEmpty && client.arrivals().isEmpty)
        // On the wrong side, or in our own name.
        world.dispatcher.receive(SimulatedFrame(bytes: client.frame(client.segment(.syn))), on: .server)
        #expect(world.dropped(.wrongSide, on: .server) == 1)
        var own = client.segment(.syn)
        own.source = Endpoint(address: World.sourceAddress, port: 1)
        world.inject(client.frame(own), from: client)
        world.dispatcher.receive(SimulatedFrame(bytes: server.frame(server.segment(.ack))), on: .client)
        client.run()
        #expect(world.dropped(.ownFrame) == 1 && world.dropped(.wrongSide) == 1)
        world.check()
    }

    @Test("a server's end that the kernel has as well: other ports are left to it")
    func kernels() {
        let (world, _, server) = World.rawForwarding { $0.sourceIsKernels = true }
        server.remote.port = 5_000
        server.send(.ack)
        #expect(server.arrivals().isEmpty && world.dropped(.leftToKernel, on: .server) == 1)
        world.check()
    }

    @Test("both sides on one interface: the addresses tell them apart")
    func oneInterface() {
        let world = World.forwarding { $0.sidesShareInterface = true }
        world.client([world.exchange(.get(), .length(20_000))])
        world.finish()
        #expect(world.servers[0].requestsServed == 1)
    }

    @Test("ports go round: each rests until all others were used, and one that is in use is passed over")
    func ports() throws {
        let (world, client, server) = World.rawForwarding(limit: 3) {
            $0.ports = PortPlan(first: 10_000, last: 10_011, layers: 1, servers: 1, connections: 8)
        }
        var ports: [UInt16] = []
        var held: TestSegment?
        for round in 0..<6 {
            let peer = RawPeer(client.host, port: 41_000 + UInt16(round))
            peer.knock()
            let syn = try #require(server.takeSYNs().first)
            ports.append(syn.source.port)
            if round == 1 { held = syn } else { server.reply(to: syn, [.rst, .ack], sequence: 0) }
            world.simulation.run(for: .seconds(2))
            if let held, round > 1 {
                // The one that is kept half-open shows a sign of life.
                server.reply(to: held, [.syn, .ack], sequence: 1)
            }
        }
        #expect(ports == [10_008, 10_009, 10_010, 10_011, 10_008, 10_010])
        world.check()
    }

    @Test("when every port to a server is in use the client is told")
    func portsExhausted() throws {
        let (world, client, server) = World.rawForwarding(limit: 5) {
            $0.ports = PortPlan(first: 10_000, last: 10_009, layers: 1, servers: 1, connections: 8)
        }
        for port in 0..<2 { #expect(RawPeer(client.host, port: 41_000 + UInt16(port)).knock().isEmpty) }
        #expect(server.takeSYNs().count == 2)
        #expect(client.knock().map(\.flags) == [[.rst, .ack]])
        #expect(world.refused(.serverUnavailable) == 1)
        world.check()
    }
}

@Suite("Mode l4/3 beside l7/3")
struct BothModesScenarios {
    /// A service in each mode; the one in mode l4/3 stands first, and its pool last.
    private static func both() -> World {
        let world = World(servers: 2) { configuration in
            let servers = configuration.pools[0].servers
            configuration.pools = [
                PoolConfiguration(name: "requests", servers: [servers[0]]), PoolConfiguration(name: "connections", servers: [servers[1]]),
            ]
            var forwarded = ServiceConfiguration(
                name: "l4", listen: [Endpoint(address: World.service.address, port: 81)], routes: [RouteConfiguration(pool: 1)])
            forwarded.mode = .l43
            forwarded.limits.connections = 100
            configuration.services.insert(forwarded, at: 0)
        }
        (world.servers[1].expectsDispatcher, world.servers[1].allowsPipelining) = (false, true)
        return world
    }

    @Test("each frame goes to the engine that it belongs to, and the figures are of both")
    func each() {
        let world = Self.both()
        world.client([world.exchange(.get(), .length(3_000)), world.exchange()])
        let host = world.nextClientHost()
        var script = ClientScript()
        script.exchanges = [world.exchange(.get(), .length(5_000)), world.exchange(), world.exchange()]
        let other = SimulatedClient(host, port: 30_500, to: Endpoint(address: World.service.address, port: 81), script: script)
        world.finish()
        #expect(other.outcome == .complete)
        let snapshot = world.dispatcher.snapshot
        #expect(world.servers.map(\.requestsServed) == [2, 3])
        #expect(snapshot.services.map(\.name) == ["l4", "web"] && snapshot.pools.map(\.name) == ["requests", "connections"])
        #expect(snapshot.services.map(\.connectionsTotal) == [1, 1])
        #expect(snapshot.pools.map { $0.servers.map(\.requests) } == [[2], [3]])
        #expect(world.dispatcher.records.map(\.kind).filter { $0 == .connection }.count == 1)
        #expect(world.dispatcher.records.filter { $0.kind == .request }.count == 2)
    }

    @Test("what the addresses answer is the same: echo, UDP, and a port without service")
    func answers() {
        let world = Self.both()
        let client = world.rawClient()
        world.inject(TestICMP.frame([8, 0, 0, 0, 1, 2, 3, 4], from: client.local.address, to: World.service.address), from: client)
        client.run()
        #expect(world.emitted(.icmp) == 1)
        client.remote.port = 82
        #expect(client.knock().map(\.flags) == [[.rst, .ack]])
        #expect(world.dropped(.serviceUnknown) == 1)
        world.check()
    }

    @Test("commands go to the engine of their pool, and to both")
    func commands() {
        let world = Self.both()
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 3))
        world.dispatcher.apply(.setLimit(pool: 1, server: .server(1), limit: 5))
        world.dispatcher.apply(.setLimit(pool: 2, server: .server(0), limit: 7))
        #expect(world.dispatcher.snapshot.pools.map { $0.servers[0].limit } == [3, 5])
        world.dispatcher.apply(.stop)
        world.simulation.run(for: .seconds(1))
        #expect(world.dispatcher.isDrained && world.dispatcher.snapshot.isStopping)
        let client = world.rawClient()
        for port in [80, 81] as [UInt16] {
            client.remote.port = port
            #expect(client.knock().map(\.flags) == [[.rst, .ack]])
        }
        #expect(world.refused(.stopping) == 2)
        world.check()
    }
}
