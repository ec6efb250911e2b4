import DispatcherCore
import Testing

@Suite("Tunnels")
struct TunnelScenarios {
    private func switching(_ interim: Int = 0) -> ResponsePlan {
        var plan = ResponsePlan()
        (plan.status, plan.framing, plan.interim) = (101, .switching, interim)
        return plan
    }

    @Test("101 makes a tunnel: bytes both ways, exact, and the pool's slot is free")
    func tunnel() {
        let world = World { $0.pools[0].servers[0].initialLimit = 1 }
        world.servers[0].limit = nil
        let tunnel = world.exchange(.upgrade(up: 60_000, down: 80_000), switching())
        world.client([tunnel]) { $0.ending = .stay }
        world.simulation.run(for: .seconds(1))
        #expect(world.dispatcher.snapshot.services[0].tunnels == 1 && world.firstServer.tunnels == 1)
        #expect(world.firstServer.active == 0)
        let plain = world.client([world.exchange()])
        world.simulation.run(for: .seconds(1))
        #expect(plain.outcome == .complete)
        #expect(world.servers[0].connections.contains { $0.tunnelBytes == 60_000 })
        world.clients[0].endpoint.close()
        world.finish()
        #expect(
            world.dispatcher.records.contains { $0.kind == .tunnelOpened } && world.dispatcher.records.contains { $0.kind == .tunnelClosed }
        )
    }

    @Test("the connection of an upgrade comes from the tunnel range")
    func port() {
        let world = World()
        var ports: [UInt16] = []
        world.dispatcher.onEmit = { side, segment in if side == .server, segment.flags == .syn { ports.append(segment.source.port) } }
        world.client([world.exchange(.upgrade(up: 10, down: 10), switching())])
        world.finish()
        let plan = world.dispatcher.configuration.ports
        #expect(ports.contains { Int($0) >= plan.firstTunnelPort })
    }

    @Test("a RST goes on without the bytes it carries, from either side", arguments: [Side.client, .server])
    func resetWithData(from side: Side) throws {
        let (world, client, server) = World.raw { $0.pools[0].open = .onRequest }
        client.open()
        client.advance([.ack, .psh], [UInt8](text: FuzzWorld.upgrade))
        try #require(server.accept() != nil)
        server.advance(
            [.ack, .psh], [UInt8](text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
        client.run()
        client.acknowledge()
        client.run()
        try #require(world.firstServer.tunnels == 1)
        client.skip()
        server.skip()
        let (from, to) = side == .client ? (client, server) : (server, client)
        from.send([.rst, .ack], [1, 2, 3])
        let came = to.arrivals()
        #expect(came.count == 1 && came[0].flags.contains(.rst) && came[0].payload.isEmpty)
        #expect(came.first?.sequence == to.acknowledgement)
        world.check()
    }

    @Test("an answer other than 101 is an ordinary response, and that connection is closed")
    func refused() {
        let world = World()
        let exchange = world.exchange(.upgrade(up: 0, down: 0), .length(400))
        let client = world.client([exchange, world.exchange()])
        world.finish()
        #expect(client.outcome == .complete)
        #expect(world.firstServer.tunnels == 0)
    }

    @Test("Upgrade to anything but websocket is removed; the request is answered as any other")
    func otherUpgrade() {
        let world = World()
        let exchange = world.exchange(RequestPlan.get().with("Connection", "Upgrade").with("Upgrade", "h2c"))
        world.client([exchange])
        world.finish()
        #expect(!exchange.headReceived.lowercased().contains("upgrade"))
    }

    @Test(
        "tunnel bytes under loss, duplication and reordering, both ends retransmitting for themselves", arguments: SimulationSeed.many(10))
    func impaired(seed: UInt64) {
        var impairments = Impairments.clean(.milliseconds(2))
        (impairments.loss, impairments.duplication, impairments.reordering) = (0.05, 0.02, 0.05)
        let world = World(seed: seed, client: impairments, server: impairments) { configuration in
            configuration.pools[0].connectTimeout = .seconds(30)
            configuration.pools[0].queue.wait = .seconds(60)
        }
        for index in 0..<3 { world.client([world.exchange(.upgrade(up: 5_000 * index, down: 9_000), switching())]) }
        world.finish()
        #expect(world.dispatcher.snapshot.counters.retransmitted[1][Int(EmissionKind.forwarded.rawValue)] == 0)
    }

    @Test("bytes sent behind the upgrade before its 101 are not lost")
    func early() {
        let world = World()
        var slow = switching()
        slow.serviceTime = .milliseconds(100)
        let exchange = world.exchange(.upgrade(up: 2_000, down: 500), slow)
        let client = world.client([exchange])
        world.simulation.after(.milliseconds(20)) {
            // The client's stack offers bytes early; they come again after the 101.
            client.endpoint.write([])
        }
        world.finish()
    }

    @Test("a reset of one end passes to the other")
    func reset() {
        let world = World()
        let client = world.client([world.exchange(.upgrade(up: 3_000, down: 3_000), switching())]) { $0.ending = .reset }
        world.finish()
        #expect(client.outcome == .complete)
        #expect(world.servers[0].host.resetsReceived >= 1)
    }

    @Test("a tunnel in which nothing is acknowledged for tunnel-idle is reset on both sides")
    func idle() {
        let world = World { $0.services[0].limits.tunnelIdle = .seconds(20) }
        let client = world.client([world.exchange(.upgrade(up: 3_000, down: 3_000), switching())]) { $0.ending = .stay }
        world.simulation.run(for: .seconds(15))
        #expect(world.firstServer.tunnels == 1)
        world.finish()
        #expect(client.end == .resetByPeer && world.servers[0].host.resetsReceived >= 1)
    }

    // MARK: Segment by segment

    private static let upgrade = [UInt8](
        text: "GET /x/1 HTTP/1.1\r\nHost: test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    private static let switching = [UInt8](
        text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")

    /// A raw client and a raw server with an upgrade between them that is not answered yet.
    private static func pending(request: [UInt8] = upgrade) throws -> (World, RawPeer, RawPeer) {
        let (world, client, server) = World.raw { $0.pools[0].open = .onRequest }
        try #require(client.open() != nil)
        client.advance([.ack, .psh], request)
        try #require(server.accept() != nil)
        server.run()
        return (world, client, server)
    }

    /// The same after the 101, of which both know.
    static func raw() throws -> (World, RawPeer, RawPeer) {
        let (world, client, server) = try pending()
        server.advance([.ack, .psh], switching)
        client.run()
        client.acknowledge()
        server.run()
        client.skip()
        server.skip()
        return (world, client, server)
    }

    @Test("a keep-alive passes where no byte has followed the 101, in both directions")
    func keepAlive() throws {
        let (world, client, server) = try Self.raw()
        client.send(.ack) { $0.sequence &-= 1 }
        let atServer = server.arrivals()
        #expect(atServer.count == 1 && atServer.first?.sequence == server.acknowledgement &- 1)
        server.send(.ack) { $0.sequence &-= 1 }
        let atClient = client.arrivals()
        #expect(atClient.count == 1 && atClient.first?.sequence == client.acknowledgement &- 1)
        world.check()
    }

    @Test(
        "what begins far beyond the window was not sent by the peer: it neither passes nor moves anything",
        arguments: [70_000, 1_000_000_000])
    func farAway(offset: UInt32) throws {
        let (world, client, server) = try Self.raw()
        for flags: SegmentFlags in [[.ack, .psh], .rst, [.ack, .fin]] {
            let payload: [UInt8] = flags.contains(.psh) ? [88] : []
            client.send(flags, payload) { $0.sequence &+= 65_535 &+ offset }
            #expect(server.arrivals().isEmpty)
            server.send(flags, payload) { $0.sequence &+= 65_535 &+ offset }
            #expect(client.arrivals().allSatisfy { $0.payload.isEmpty && !$0.flags.contains(.rst) && !$0.flags.contains(.fin) })
            server.skip()
        }
        #expect(world.dropped(.outOfWindow) == 3 && world.dropped(.outOfWindow, on: .server) == 3)
        client.advance([.ack, .psh], [1, 2])
        #expect(server.arrivals().contains { $0.payload == [1, 2] && $0.sequence == server.acknowledgement &- 2 })
        server.advance(.rst)
        #expect(client.arrivals().contains { $0.flags.contains(.rst) && $0.sequence == client.acknowledgement })
        #expect(world.frontConnections == 0)
        world.check()
    }

    @Test("a RST that is not exact moves nothing: its repetition does not end the tunnel", arguments: [Side.client, .server])
    func inexactResetTwice(from side: Side) throws {
        let (world, client, server) = try Self.raw()
        let from = side == .client ? client : server
        for _ in 0..<3 {
            from.send([.rst, .ack]) { $0.sequence &+= 1_000 }
            from.run()
        }
        #expect(world.firstServer.tunnels == 1)
        client.skip()
        server.skip()
        client.advance([.ack, .psh], [1, 2])
        #expect(server.arrivals().contains { $0.payload == [1, 2] })
        server.advance([.ack, .psh], [3])
        #expect(client.arrivals().contains { $0.payload == [3] })
        world.check()
    }

    @Test("a RST is passed without SACK blocks, and what it acknowledges has nothing sent", arguments: [Side.client, .server])
    func resetWithSACK(from side: Side) throws {
        let options: [UInt8] = [2, 4, 5, 180, 1, 1, 4, 2]
        let (world, client, server) = World.raw { $0.pools[0].open = .onRequest }
        client.send(.syn) { $0.options = options }
        client.sequence &+= 1
        client.run()
        client.send(.ack)
        client.advance([.ack, .psh], Self.upgrade)
        try #require(server.accept(options: options) != nil)
        server.run()
        server.advance([.ack, .psh], Self.switching)
        client.run()
        client.acknowledge()
        client.run()
        try #require(world.firstServer.tunnels == 1)
        let (from, to) = side == .client ? (client, server) : (server, client)
        to.advance(.ack, [UInt8](repeating: 1, count: 100))
        world.simulation.run(for: .milliseconds(5))
        from.skip()
        to.skip()
        from.send([.rst, .ack]) {
            $0.options = TestSegment.sack([($0.acknowledgement &- 60, $0.acknowledgement &- 20)])
            $0.acknowledgement &-= 100
        }
        let came = to.arrivals()
        #expect(came.count == 1 && came[0].flags.contains(.rst) && came[0].options.isEmpty)
        #expect(from.arrivals().isEmpty)
        world.check()
    }

    @Test("the edge shown to the server is the client's, also before the client has acknowledged the 101")
    func edgeWithinHead() throws {
        let (world, client, server) = try Self.pending()
        client.window = 500
        client.acknowledge()
        client.run()
        server.advance([.ack, .psh], Self.switching)
        client.run()
        let start = client.acknowledgement &- UInt32(Self.switching.count)
        server.skip()
        // A segment that acknowledges nothing of the head, with data: it passes, and shows no more than the client's window holds.
        client.followsPeer = false
        client.acknowledgement = start
        client.advance([.ack, .psh], [1])
        let came = server.arrivals()
        try #require(!came.isEmpty)
        for segment in came {
            let edge = Int(Int32(bitPattern: segment.acknowledgement &- server.sequence)) + Int(segment.window)
            #expect(edge <= 500 - Self.switching.count)
        }
        world.check()
    }

    @Test("bytes in the upgrade's own segment are not acknowledged before the 101, and pass when they come again")
    func earlyInSegment() throws {
        let early = [UInt8](text: "early")
        let (world, client, server) = try Self.pending(request: Self.upgrade + early)
        client.run(.milliseconds(100))
        let start = client.sequence &- UInt32(early.count)
        #expect(client.received.allSatisfy { Int32(bitPattern: $0.acknowledgement &- start) <= 0 })
        server.advance([.ack, .psh], Self.switching)
        client.run()
        client.acknowledge()
        server.run()
        server.skip()
        client.send([.ack, .psh], early) { $0.sequence = start }
        #expect(server.arrivals().flatMap(\.payload) == early)
        world.check()
    }

    @Test("a server that closes with its 101: the FIN passes when it comes again")
    func finWithSwitching() throws {
        let (world, client, server) = try Self.pending()
        server.advance([.ack, .psh, .fin], Self.switching + [UInt8](text: "bye"))
        client.run()
        #expect(client.payloadReceived == Self.switching.count + 3)
        client.acknowledge()
        server.run()
        client.advance([.ack, .psh], [UInt8](text: "and"))
        #expect(server.arrivals().flatMap(\.payload).suffix(3) == [UInt8](text: "and"))
        #expect(world.firstServer.tunnels == 1)
        client.skip()
        server.send([.ack, .fin]) { $0.sequence &-= 1 }
        #expect(client.arrivals().contains { $0.flags.contains(.fin) })
        client.advance([.ack, .fin])
        server.run()
        server.acknowledge()
        client.run(.seconds(3))
        #expect(world.firstServer.tunnels == 0 && world.frontConnections == 0)
        world.check()
    }
}
