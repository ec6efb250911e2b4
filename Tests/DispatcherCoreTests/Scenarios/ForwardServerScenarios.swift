import Testing

@testable import DispatcherCore

@Suite("Mode l4/3: servers")
struct ForwardServerScenarios {
    @Test("a server that refuses: the SYN is offered to another one, once, and the client is told when that one refuses too")
    func refused() throws {
        let (world, client, server) = World.rawForwarding(servers: 3)
        let others = (1...2).map { world.rawServer($0) }
        client.knock()
        let first = try #require(server.takeSYNs().first)
        server.reply(to: first, [.rst, .ack], sequence: 0)
        let second = try #require(others[0].takeSYNs().first)
        #expect(second.sequence == first.sequence && second.options == first.options && client.arrivals().isEmpty)
        others[0].reply(to: second, [.rst, .ack], sequence: 0)
        #expect(client.arrivals().map(\.flags) == [[.rst, .ack]])
        #expect(others[1].takeSYNs().isEmpty)
        let snapshot = world.dispatcher.snapshot
        #expect(snapshot.pools[0].servers.map(\.isReachable) == [false, false, true])
        #expect(snapshot.pools[0].servers.map(\.connectFailures) == [1, 1, 0])
        #expect(world.refused(.serverUnavailable) == 1 && snapshot.counters.repeatedRequests == 1)
        #expect(world.activeConnections == [0, 0, 0])
        let record = try #require(world.dispatcher.records.first)
        #expect(record.cause == .server && record.phase == .connect && record.retries == 1 && record.connect == nil)
        // Who failed is left alone for a second.
        for port in 0..<2 { RawPeer(client.host, port: 41_000 + UInt16(port)).knock() }
        #expect(others[1].takeSYNs().count == 1 && world.queueLength == 1)
        client.run(.seconds(1))
        #expect(server.takeSYNs().count == 1 && world.queueLength == 0)
        world.check()
    }

    @Test("a server that does not answer: another one after `connect`; alone it is given what its client repeats")
    func silent() throws {
        let (world, client, server) = World.rawForwarding(servers: 2)
        let other = world.rawServer(1)
        client.knock()
        #expect(server.takeSYNs().count == 1)
        #expect(other.takeSYNs(after: .milliseconds(900)).isEmpty)
        let syn = try #require(other.takeSYNs(after: .milliseconds(200)).first)
        #expect(world.activeConnections == [0, 1])
        // What the first one says at last is not for this connection.
        server.send([.syn, .ack])
        other.reply(to: syn, [.syn, .ack], sequence: 9)
        #expect(client.arrivals().map(\.sequence) == [9])
        let (single, visitor, alone) = World.rawForwarding()
        visitor.knock()
        visitor.run(.seconds(2))
        visitor.knock()
        #expect(alone.takeSYNs().count == 2 && single.firstServer.connectFailures == 1 && single.activeConnections == [1])
        world.check()
        single.check()
    }

    @Test("all servers failed: they are tried all the same")
    func allFailed() throws {
        let (world, client, server) = World.rawForwarding()
        client.knock()
        server.reply(to: try #require(server.takeSYNs().first), [.rst, .ack], sequence: 0)
        server.run()
        client.knock()
        #expect(server.takeSYNs().count == 1)
        // A RST that acknowledges something else refuses nothing.
        server.send([.rst, .ack]) { $0.acknowledgement = 1 }
        server.run()
        world.check()
    }

    @Test("a host that says that nobody is there is a refusal; what it says softly is not")
    func unreachable() throws {
        let (world, client, server) = World.rawForwarding(servers: 2)
        let second = world.rawServer(1)
        func other(_ segment: TestSegment) -> TestSegment {
            var segment = segment
            segment.sequence &+= 1
            return segment
        }
        client.knock()
        let syn = try #require(server.takeSYNs().first)
        server.host.transmit(TestICMP.error(3, 1, about: syn))
        server.host.transmit(TestICMP.error(3, 3, about: other(syn)))
        server.run()
        #expect(world.dropped(.icmpSoft, on: .server) == 1 && world.dropped(.icmpNotInFlight, on: .server) == 1)
        server.host.transmit(TestICMP.error(3, 3, about: syn))
        #expect(second.takeSYNs().count == 1 && world.firstServer.connectFailures == 1)
        world.check()
    }

    @Test("a half-open connection expires, whoever is silent, and its server is told")
    func halfOpen() throws {
        let (world, client, server) = World.rawForwarding(limit: 2)
        client.knock()
        RawPeer(client.host, port: 41_000, sequence: 5_000).knock()
        let syns = server.takeSYNs()
        server.reply(to: syns[1], [.syn, .ack], sequence: 9)
        client.run(.milliseconds(4_900))
        #expect(world.activeConnections == [2])
        client.run(.milliseconds(200))
        #expect(world.activeConnections == [0] && world.dispatcher.snapshot.counters.halfOpenExpired == 2)
        #expect(server.arrivals().map(\.flags) == [.rst, [.rst, .ack]])
        #expect(world.dispatcher.records.map(\.cause) == [.serverTimeout, .clientTimeout])
        world.check()
    }

    @Test("a client that gives up before its server has answered: the server hears of it")
    func givesUp() throws {
        let (world, client, server) = World.rawForwarding(limit: 2)
        client.knock()
        client.send([.rst, .ack]) { $0.sequence &+= 1 }
        #expect(server.arrivals().map(\.flags) == [.syn, .rst])
        // And one that has forgotten its first SYN begins again with another.
        client.knock()
        client.send(.syn) { $0.sequence = 9_000 }
        #expect(server.arrivals().map(\.flags) == [.syn, .rst, .syn])
        #expect(world.activeConnections == [1])
        // Before the server has answered there is nothing to acknowledge.
        client.send(.ack)
        client.run()
        #expect(world.dropped(.whileQueued) == 1)
        let second = RawPeer(client.host, port: 41_000)
        let pair = ForwardedPair(world, second, server)
        #expect(pair != nil)
        world.check()
    }

    @Test("an idle connection is reset at both ends, in numbers that they take at once")
    func idle() throws {
        let pair = try #require(ForwardedPair { $0.pools[0].l4.idle = .seconds(60) })
        let (world, client, server) = (pair.world, pair.client, pair.server)
        client.run(.seconds(50))
        client.advance([.ack, .psh], [1])
        server.run()
        server.send(.ack)
        client.run(.seconds(59))
        #expect(world.activeConnections == [1])
        client.skip()
        server.skip()
        client.run(.seconds(2))
        let (atClient, atServer) = (client.arrivals(), server.arrivals())
        #expect(atClient.map(\.flags) == [[.rst, .ack]] && atClient.first?.sequence == client.acknowledgement)
        #expect(atServer.map(\.flags) == [[.rst, .ack]] && atServer.first?.sequence == client.sequence)
        #expect(world.activeConnections == [0] && world.dispatcher.snapshot.counters.idleExpired == 1)
        world.check()
    }

    @Test("one record a connection: queue, connect, total, bytes, and how it ended")
    func records() throws {
        let (world, client, server) = World.rawForwarding()
        let first = try #require(ForwardedPair(world, client, server))
        let waiting = RawPeer(client.host, port: 41_000, sequence: 5_000)
        waiting.knock()
        client.run(.milliseconds(500))
        client.advance([.ack, .psh], [UInt8](repeating: 1, count: 300))
        server.run()
        server.advance([.ack, .psh], [UInt8](repeating: 2, count: 7_000))
        client.run()
        client.send(.ack)
        first.close()
        let record = try #require(world.dispatcher.records.first)
        #expect(record.kind == .connection && record.client == client.local && record.server == .server(0) && record.pool == 0)
        #expect(record.bytesFromClient == 300 && record.bytesToClient == 7_000)
        #expect(record.queue == .zero && record.connect.map { $0 > .zero && $0 < .milliseconds(5) } == true)
        #expect(record.total > .milliseconds(500) && record.cause == .normal && record.phase == .normal)
        let syn = try #require(server.received.last { $0.flags == .syn })
        server.reply(to: syn, [.rst, .ack], sequence: 0)
        server.run()
        let second = try #require(world.dispatcher.records.last)
        #expect(second.queue.map { $0 > .milliseconds(500) } == true && second.queuePosition == 0 && second.phase == .connect)
        world.check()
    }

    @Test("records that nobody takes are lost and counted, and so is what the way out has no room for")
    func full() throws {
        let (world, client, server) = World.rawForwarding(limit: 3) { $0.recordCapacity = 1 }
        let other = RawPeer(client.host, port: 41_000, sequence: 5_000)
        try #require(ForwardedPair(world, other, server) != nil)
        try #require(ForwardedPair(world, client, server) != nil)
        world.dispatcher.isStuck = true
        for _ in 0..<2_100 { server.send(.ack, [UInt8](repeating: 1, count: 10)) }
        client.run()
        client.send(.rst)
        other.send(.rst)
        client.run()
        let counters = world.dispatcher.snapshot.counters
        #expect(counters.egressLost[0] > 0 && counters.egressLost[1] > 0 && counters.recordsLost > 0)
        world.dispatcher.isStuck = false
        world.check()
    }

    @Test("a hundred thousand tracked connections take less than 64 MiB, all tables included")
    func memory() {
        var configuration = EngineConfiguration()
        configuration.sourceAddresses = [World.sourceAddress]
        var service = ServiceConfiguration(name: "l4", listen: [World.service], routes: [RouteConfiguration(pool: 0)])
        service.mode = .l43
        service.limits.connections = 100_000
        configuration.services = [service]
        configuration.pools = [
            PoolConfiguration(
                name: "pool",
                servers: (0..<4).map {
                    var server = ServerConfiguration(endpoint: World.serverEndpoint($0))
                    (server.initialLimit, server.maximumLimit) = (25_000, 25_000)
                    return server
                })
        ]
        var engine = L43Dispatcher(configuration: configuration, seed: 1)
        var egress = Egress()
        var segment = TestSegment(source: World.service, destination: World.service)
        segment.flags = .syn
        segment.options = TestSegment.maximumSegmentSize(1_460) + [4, 2, 1, 3, 3, 7]
        for index in 0..<UInt32(100_000) {
            segment.source = Endpoint(address: IPAddress(v4: 0x0A00_0000 + index / 50_000), port: UInt16(1_024 + index % 50_000))
            engine.receive(segment.frame(from: .none, to: .none).span.bytes, on: .client, at: Simulation.start, into: &egress)
            egress.removeAll()
        }
        let tracked = engine.trackingBytes
        let active = engine.snapshot(at: Simulation.start).pools[0].servers.map(\.active)
        #expect(active == [25_000, 25_000, 25_000, 25_000])
        #expect(tracked > 100_000 * MemoryLayout<ForwardedConnection>.stride)
        #expect(tracked < 64 << 20, "\(tracked >> 20) MiB, \(MemoryLayout<ForwardedConnection>.stride) bytes a record")
        // Nobody acknowledges: all of them expire.
        while engine.nextDeadline <= Simulation.start + .seconds(30) {
            engine.advance(to: engine.nextDeadline, into: &egress)
            egress.removeAll()
        }
        let after = engine.snapshot(at: Simulation.start + .seconds(30))
        #expect(after.services[0].frontConnections == 0 && after.timers == 0)
    }
}
