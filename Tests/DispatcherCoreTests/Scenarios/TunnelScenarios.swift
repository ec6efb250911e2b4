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
}
