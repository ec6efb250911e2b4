import DispatcherCore
import Testing

@Suite("Upgrades on their way to a tunnel")
struct UpgradeScenarios {
    private static let upgrade = [UInt8](text: "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    private static let switching = [UInt8](
        text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")

    /// One server with one permissible connection, and connections on request only: the first SYN is that of the first request.
    private func raw(_ configure: (inout EngineConfiguration) -> Void = { _ in }) -> (World, RawPeer, RawPeer) {
        World.raw { configuration in
            configuration.pools[0].open = .onRequest
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].queue.wait = .seconds(60)
            configure(&configuration)
        }
    }

    private func upgrade(_ client: RawPeer, _ server: RawPeer, behind: [UInt8] = []) throws {
        client.open()
        client.advance([.ack, .psh], Self.upgrade + behind)
        _ = try #require(server.accept())
        server.run()
    }

    @Test("an upgrade that no server has a tunnel for does not hold up the requests behind it")
    func blockedHead() throws {
        let (world, first, server) = raw { $0.pools[0].tunnels = 1 }
        try upgrade(first, server)
        let second = world.rawClient(port: 40_001)
        second.open()
        second.advance([.ack, .psh], Self.upgrade)
        second.run()
        let third = world.rawClient(port: 40_002)
        third.open()
        third.advance([.ack, .psh], World.get)
        third.run()
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 2)
        server.skip()
        server.advance([.ack, .psh], Self.switching)
        let opened = server.arrivals()
        #expect(world.firstServer.tunnels == 1)
        #expect(opened.contains { $0.flags == .syn })
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 0 && world.firstServer.active == 1)
        #expect(second.received.contains { $0.payload.starts(with: [UInt8](text: "HTTP/1.1 503 ")) })
        #expect(world.refused(.tunnelLimit) == 1)
        world.check()
    }

    @Test("requests pass an upgrade that waits for the one server that has room for its tunnel")
    func passedHead() throws {
        let world = World(servers: 0, rawServers: 2) { configuration in
            configuration.pools[0].open = .onRequest
            configuration.pools[0].queue.wait = .seconds(60)
            configuration.pools[0].tunnels = 1
            for server in 0..<2 { configuration.pools[0].servers[server].initialLimit = 1 }
        }
        let (one, other) = (world.rawServer(0), world.rawServer(1))
        let first = world.rawClient()
        try upgrade(first, one)
        one.advance([.ack, .psh], Self.switching)
        one.run()
        let second = world.rawClient(port: 40_001)
        second.open()
        second.advance([.ack, .psh], World.get)
        _ = try #require(other.accept())
        // The first server has its tunnel, the second its request: the next upgrade waits for the second.
        let third = world.rawClient(port: 40_002)
        third.open()
        third.advance([.ack, .psh], Self.upgrade)
        third.run()
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 1)
        one.skip()
        let fourth = world.rawClient(port: 40_003)
        fourth.open()
        fourth.advance([.ack, .psh], World.get)
        #expect(one.arrivals().contains { $0.flags == .syn })
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 1)
        world.check()
    }

    @Test("bytes in one segment with the upgrade are not acknowledged before the 101, and come again after it")
    func bytesBehind() throws {
        let (world, client, server) = raw()
        let early = [UInt8](text: "early")
        try upgrade(client, server, behind: early)
        client.run(.milliseconds(100))
        let end = client.sequence &- UInt32(early.count)
        #expect(client.received.last?.acknowledgement == end)
        let from = server.acknowledgement
        server.advance([.ack, .psh], Self.switching)
        client.run()
        client.sequence = end
        client.advance([.ack, .psh], early)
        server.run()
        #expect(server.stream(from: from) == early)
        world.check()
    }

    @Test("bytes in one segment with an upgrade that is answered otherwise are the next request")
    func bytesBehindRefused() throws {
        let (world, client, server) = raw()
        try upgrade(client, server, behind: World.get)
        let end = client.sequence &- UInt32(World.get.count)
        server.advance([.ack, .psh], RawPeer.head(length: 2) + [UInt8](text: "no"))
        client.run()
        client.acknowledge()
        client.run()
        server.skip()
        client.sequence = end
        client.advance([.ack, .psh], World.get)
        #expect(server.arrivals().contains { $0.flags == .syn })
        world.check()
    }

    @Test("bytes behind an upgrade that were acknowledged while an earlier request was served: refused, for they cannot come again")
    func bytesBehindAcknowledged() throws {
        let (world, client, server) = raw()
        client.open()
        client.advance([.ack, .psh], World.get)
        _ = try #require(server.accept())
        client.advance([.ack, .psh], Self.upgrade + [UInt8](text: "early"))
        client.run(.milliseconds(100))
        #expect(client.received.last?.acknowledgement == client.sequence)
        server.advance([.ack, .psh], RawPeer.head(length: 2) + [UInt8](text: "ok"))
        client.run()
        client.skip()
        client.acknowledge()
        let answers = client.arrivals()
        #expect(answers.contains { $0.payload.starts(with: [UInt8](text: "HTTP/1.1 400 ")) })
        world.check()
    }
}
