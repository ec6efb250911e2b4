import DispatcherCore
import Testing

@Suite("Limits")
struct LimitScenarios {
    // MARK: One client

    @Test("per-client-connections: one more is reset, at its SYN or when its handshake completes; another client's are not")
    func connections() {
        let (world, first, _) = World.raw { $0.services[0].limits.perClientConnections = 2 }
        let others = (1...3).map { RawPeer(first.host, port: 40_000 + UInt16($0)) }
        #expect(first.open() != nil)
        // Both SYNs are answered: only one of them can become a connection.
        for peer in others[0...1] {
            peer.send(.syn)
            peer.sequence &+= 1
            #expect(peer.arrivals().last?.flags == [.syn, .ack])
        }
        for peer in others[0...1] { peer.send(.ack) }
        #expect(others[0].arrivals().isEmpty)
        #expect(others[1].arrivals().map(\.flags) == [.rst])
        others[2].send(.syn)
        #expect(others[2].arrivals().map(\.flags) == [[.rst, .ack]])
        #expect(world.frontConnections == 2 && world.refused(.clientConnections) == 2 && world.dropped(.refusedClientLimit) == 2)
        #expect(world.rawClient(port: 40_100).open() != nil)
        // A place that is given back can be had again.
        first.send(.rst)
        first.run()
        #expect(RawPeer(first.host, port: 40_010).open() != nil)
        #expect(world.dispatcher.snapshot.clientsHold == 3)
        world.check()
    }

    @Test("per-client-new-connections: a second's worth at once, then one after the other")
    func newConnections() {
        let (world, first, _) = World.raw { $0.services[0].limits.perClientNewConnections = 4 }
        var port: UInt16 = 41_000
        func opens(_ host: TestHost) -> Bool {
            port += 1
            return RawPeer(host, port: port).open() != nil
        }
        #expect((0..<4).map { _ in opens(first.host) } == [true, true, true, true])
        #expect(!opens(first.host) && !opens(first.host))
        #expect(world.refused(.clientConnectionRate) == 2)
        #expect(opens(world.nextClientHost()))
        first.run(.milliseconds(260))
        #expect(opens(first.host) && !opens(first.host))
        first.run(.seconds(1))
        #expect((0..<5).map { _ in opens(first.host) } == [true, true, true, true, false])
        world.check()
    }

    @Test("SYNs alone use up nothing: whoever forges an address harms nobody")
    func forged() {
        let (world, first, _) = World.raw {
            $0.services[0].limits.perClientNewConnections = 1
            $0.services[0].limits.perClientConnections = 1
        }
        for port in 0..<50 { RawPeer(first.host, port: 42_000 + UInt16(port)).send(.syn) }
        #expect(first.open() != nil)
        world.check()
    }

    @Test("per-client-requests: one more is answered 429 with Retry-After, and the connection closes; it never reaches a server")
    func requests() throws {
        let splice = try #require(Spliced { $0.services[0].limits.perClientRequests = 1 })
        let world = splice.world
        splice.server.advance([.ack, .psh], RawPeer.head(length: 2) + [UInt8](text: "ok"))
        splice.client.run()
        splice.client.acknowledge()
        splice.client.run()
        splice.client.skip()
        let other = RawPeer(splice.client.host, port: 40_007)
        other.open()
        for peer in [splice.client, other] {
            peer.advance([.ack, .psh], World.get)
            let text = String(decoding: peer.arrivals().flatMap(\.payload), as: UTF8.self)
            #expect(text.hasPrefix("HTTP/1.1 429 Too Many Requests\r\n"))
            #expect(text.contains("\r\nRetry-After: 1\r\n") && text.contains("\r\nConnection: close\r\n"))
            #expect(peer.received.last?.flags.contains(.fin) == true)
        }
        #expect(world.refused(.clientRequestRate) == 2 && world.firstServer.requests == 1)
        let late = RawPeer(splice.client.host, port: 40_008)
        late.open()
        late.run(.seconds(1))
        late.advance([.ack, .psh], World.get)
        late.run()
        #expect(world.firstServer.requests == 2)
        world.check()
    }

    @Test("queue.per-client: a client's part of the queue, then 503 with Retry-After; others find their place")
    func queueShare() throws {
        let (world, first, server) = World.raw {
            $0.pools[0].servers[0].initialLimit = 1
            $0.pools[0].queue.capacity = 10
            $0.pools[0].queue.refuseAbove = 10
            $0.pools[0].queue.perClient = 25
            $0.pools[0].queue.wait = .seconds(3)
        }
        let splice = try #require(Spliced(world, first, server, request: World.get))
        let waiting = (1...3).map { RawPeer(first.host, port: 40_000 + UInt16($0)) }
        for peer in waiting {
            peer.open()
            peer.advance([.ack, .psh], World.get)
            peer.run()
        }
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 2 && world.refused(.clientQueueShare) == 1)
        let text = String(decoding: waiting[2].arrivals().flatMap(\.payload), as: UTF8.self)
        #expect(text.hasPrefix("HTTP/1.1 503 ") && text.contains("\r\nRetry-After: 1\r\n"))
        let other = world.rawClient(port: 40_009)
        other.open()
        other.advance([.ack, .psh], World.get)
        other.run()
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 3 && world.dispatcher.snapshot.clientsHold == 3)
        // A place that was left can be had again.
        waiting[0].send(.rst)
        let again = RawPeer(first.host, port: 40_010)
        again.open()
        again.advance([.ack, .psh], World.get)
        again.run()
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 3 && world.refused(.clientQueueShare) == 1)
        splice.client.run(.seconds(4))
        #expect(world.refused(.queueWait) == 3 && world.dispatcher.snapshot.clientsHold == 0)
        world.check()
    }

    @Test("with every limit on, ordinary traffic passes and nothing stays counted (I7)", arguments: [1, 2, 3])
    func traffic(seed: UInt64) {
        var impairments = Impairments()
        (impairments.loss, impairments.calmAfter) = (0.03, .seconds(20))
        let world = World(seed: seed, servers: 2, client: impairments) { configuration in
            configuration.services[0].limits.perClientConnections = 10
            configuration.services[0].limits.perClientNewConnections = 10
            configuration.services[0].limits.perClientRequests = 100
            configuration.pools[0].queue.perClient = 50
            configuration.pools[0].queue.wait = .seconds(60)
            for server in 0..<2 { configuration.pools[0].servers[server].initialLimit = 1 }
        }
        for index in 0..<20 {
            world.client((0..<5).map { _ in world.exchange(.get(), ResponsePlan.length(3_000).after(.milliseconds(5))) }) {
                $0.start = .milliseconds(Int64(index) * 3)
            }
        }
        world.finish()
    }

    // MARK: Room for new connections

    /// A service for ten, and raw clients that are connected.
    private func crowd(_ count: Int) -> (World, [RawPeer]) {
        let (world, first, _) = World.raw {
            $0.services[0].limits.connections = 10
            $0.services[0].limits.headTime = .seconds(600)
        }
        let peers = [first] + (1..<count).map { world.rawClient(port: 40_000 + UInt16($0)) }
        for peer in peers { #expect(peer.open() != nil) }
        return (world, peers)
    }

    private func evictions(_ world: World) -> Int { Int(world.dispatcher.snapshot.counters.idleEvictions) }

    @Test("from 90 % on a new connection closes the one that is idle longest")
    func evicts() {
        let (world, peers) = crowd(9)
        #expect(evictions(world) == 0)
        // The first has a request; the second has had one meanwhile.
        peers[0].advance([.ack, .psh], Array(World.get[..<10]))
        peers[0].run()
        let late = world.rawClient(port: 40_100)
        #expect(late.open() != nil)
        #expect(peers[1].arrivals().map(\.flags) == [[.ack, .fin]])
        #expect(peers.indices.filter { !peers[$0].received.contains { $0.flags.contains(.fin) } } == [0, 2, 3, 4, 5, 6, 7, 8])
        #expect(evictions(world) == 1 && world.frontConnections == 10)
        peers[1].advance([.ack, .fin])
        peers[1].run()
        #expect(world.frontConnections == 9 && world.refused(.connectionLimit) == 0)
        world.check()
    }

    @Test("a full table resets the one that is idle longest; who was told to go and has not gone comes after the idle")
    func resetsWhenFull() {
        let (world, peers) = crowd(10)
        // The tenth has closed the first, which does not answer.
        #expect(peers[0].arrivals().map(\.flags) == [[.ack, .fin]])
        #expect(world.frontConnections == 10)
        let late = world.rawClient(port: 40_100)
        #expect(late.open() != nil)
        #expect(peers[1].arrivals().contains { $0.flags.contains(.rst) })
        #expect(world.frontConnections == 10)
        for peer in peers[2...] + [late] {
            peer.advance([.ack, .psh], Array(World.get[..<10]))
            peer.run()
        }
        #expect(world.rawClient(port: 40_101).open() != nil)
        #expect(peers[0].arrivals().contains { $0.flags.contains(.rst) })
        #expect(world.frontConnections == 10 && evictions(world) == 2)
        world.check()
    }

    @Test("when everybody has a request a full table refuses")
    func fullOfWork() {
        let (world, peers) = crowd(8)
        let more = [world.rawClient(port: 40_100), world.rawClient(port: 40_101)]
        for peer in peers + more {
            if peer.acknowledgement == 0 { #expect(peer.open() != nil) }
            peer.advance([.ack, .psh], Array(World.get[..<10]))
            peer.run()
        }
        let late = world.rawClient(port: 40_200)
        late.send(.syn)
        #expect(late.arrivals().map(\.flags) == [[.rst, .ack]])
        #expect(world.refused(.connectionLimit) == 1 && evictions(world) == 0 && world.frontConnections == 10)
        world.check()
    }

    @Test("idle connections that are used again move back in the order")
    func order() {
        let world = World { $0.services[0].limits.connections = 10 }
        let exchange = { world.exchange(.get(), .length(10)) }
        for _ in 0..<9 {
            world.client([exchange(), exchange()]) { script in
                script.thinkTime = .milliseconds(script.exchanges.first!.id == 1 ? 50 : 10)
                script.ending = .stay
            }
        }
        world.simulation.run(for: .milliseconds(200))
        #expect(world.frontConnections == 9)
        let late = world.client([exchange()])
        world.simulation.run(for: .milliseconds(100))
        #expect(late.answered == 1 && evictions(world) == 1)
        #expect(world.clients[0].endpoint.peerFinish == nil, "it was the last to use its connection")
        world.finish()
    }

    // MARK: Slowness

    @Test("a head that comes byte by byte: its time runs from the first byte, and no server is bothered")
    func slowHead() {
        let (world, client, _) = World.raw { $0.services[0].limits.headTime = .seconds(10) }
        client.open()
        for byte in World.get[..<9] {
            client.advance([.ack, .psh], [byte])
            client.run(.seconds(1))
            #expect(world.firstServer.active == 0)
        }
        #expect(client.payloadReceived == 0)
        client.advance([.ack, .psh], [World.get[9]])
        client.run(.seconds(1) + .milliseconds(10))
        #expect(String(decoding: client.received.flatMap(\.payload), as: UTF8.self).hasPrefix("HTTP/1.1 408 "))
        #expect(world.refused(.headTime) == 1)
        client.run(.seconds(100))
        #expect(world.frontConnections == 0)
        world.check()
    }

    /// A body of 40,000 bytes that comes in pieces of `size` bytes a second.
    private func slowBody(_ size: Int, seconds: Int, chunked: Bool, rate: Int = 500) -> (World, RawPeer) {
        let (world, client, _) = World.raw { $0.services[0].limits.bodyRate = rate }
        client.open()
        let framing = chunked ? "Transfer-Encoding: chunked\r\n\r\n9c40\r\n" : "Content-Length: 40000\r\n\r\n"
        client.advance([.ack, .psh], [UInt8](text: "POST /x/1 HTTP/1.1\r\nHost: a\r\n" + framing))
        client.run()
        for _ in 0..<seconds {
            client.advance([.ack, .psh], [UInt8](repeating: 120, count: size))
            client.run(.seconds(1))
            #expect(world.firstServer.active == 0)
        }
        return (world, client)
    }

    @Test("a body below body-rate is given up after 10 s with 408; one above it is not", arguments: [false, true])
    func slowBody(chunked: Bool) {
        let (tooSlow, client) = slowBody(490, seconds: 11, chunked: chunked)
        #expect(String(decoding: client.received.flatMap(\.payload), as: UTF8.self).hasPrefix("HTTP/1.1 408 "))
        #expect(tooSlow.refused(.bodyRate) == 1 && tooSlow.refused(.headTime) == 0)
        tooSlow.check()
        let (fastEnough, patient) = slowBody(510, seconds: 60, chunked: chunked)
        #expect(patient.payloadReceived == 0 && fastEnough.refused(.bodyRate) == 0)
        // It stops: the next look finds out.
        patient.run(.seconds(21))
        #expect(fastEnough.refused(.bodyRate) == 1)
        fastEnough.check()
        // Without a rate it must only go on.
        let (any, slow) = slowBody(1, seconds: 100, chunked: chunked, rate: 0)
        #expect(any.refused(.bodyRate) == 0)
        slow.run(.seconds(151))
        #expect(any.refused(.bodyRate) == 1)
        any.check()
    }

    @Test("H11 a client that acknowledges a byte a second is reset after send-idle, whatever its window; its server's slot is free")
    func slowReader() throws {
        for window: UInt16 in [65_535, 1_200, 1] {
            let splice = try #require(Spliced { $0.services[0].limits.sendIdle = .seconds(20) })
            splice.client.followsPeer = false
            splice.client.window = window
            splice.client.acknowledge()
            splice.client.run()
            splice.server.advance([.ack, .psh], RawPeer.head(length: 1_000_000))
            for second in 0..<22 {
                splice.client.acknowledgement &+= 1
                splice.client.acknowledge()
                splice.client.run(.seconds(1))
                // As much as the client lets pass.
                splice.server.advance(.ack, [65])
                if second == 17 { #expect(splice.world.frontConnections == 1) }
            }
            #expect(splice.world.frontConnections == 0 && splice.world.firstServer.active == 0, "window \(window)")
            #expect(splice.client.received.contains { $0.flags.contains(.rst) })
            #expect(splice.server.received.contains { $0.flags.contains(.rst) })
            splice.world.check()
        }
    }

    @Test("a client that takes a segment in send-idle stays, and so does one whose server is slow")
    func patientReader() throws {
        let reader = try #require(Spliced { $0.services[0].limits.sendIdle = .seconds(7) })
        reader.server.advance([.ack, .psh], RawPeer.head(length: 1_000_000))
        reader.client.run()
        reader.client.acknowledge()
        reader.client.run()
        reader.client.followsPeer = false
        for _ in 0..<8 { reader.server.advance(.ack, [UInt8](repeating: 65, count: 1_400)) }
        for _ in 0..<16 {
            reader.client.run(.seconds(2))
            reader.client.acknowledgement &+= 700
            reader.client.acknowledge()
        }
        reader.client.run()
        #expect(reader.world.frontConnections == 1)
        reader.world.check()

        let slow = try #require(Spliced { $0.services[0].limits.sendIdle = .seconds(5) })
        slow.server.advance([.ack, .psh], RawPeer.head(length: 1_000))
        for _ in 0..<30 {
            slow.client.run(.milliseconds(500))
            slow.client.acknowledge()
            slow.client.run(.milliseconds(2_500))
            slow.server.advance([.ack, .psh], [65])
        }
        #expect(slow.world.frontConnections == 1)
        slow.world.check()
    }

    @Test("a tunnel with a slow writer stays; without a byte acknowledged it ends after tunnel-idle, keep-alives or not")
    func slowTunnel() throws {
        let (world, client, server) = World.raw {
            $0.pools[0].open = .onRequest
            $0.services[0].limits.tunnelIdle = .seconds(5)
        }
        client.open()
        client.advance([.ack, .psh], [UInt8](text: FuzzWorld.upgrade))
        try #require(server.accept() != nil)
        server.advance(
            [.ack, .psh], [UInt8](text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
        client.run()
        client.acknowledge()
        client.run()
        for turn in 0..<20 {
            let (writer, reader) = turn % 2 == 0 ? (client, server) : (server, client)
            writer.advance([.ack, .psh], [UInt8(65 + turn)])
            writer.run()
            reader.acknowledge()
            reader.run(.seconds(1))
        }
        #expect(world.firstServer.tunnels == 1 && world.firstServer.active == 0)
        for _ in 0..<4 {
            client.send(.ack) { $0.sequence &-= 1 }
            client.run(.seconds(1))
        }
        #expect(world.firstServer.tunnels == 1)
        client.send([.ack, .psh], [1])
        client.run(.seconds(3))
        #expect(world.firstServer.tunnels == 0 && world.frontConnections == 0)
        #expect(client.received.contains { $0.flags.contains(.rst) } && server.received.contains { $0.flags.contains(.rst) })
        world.check()
    }
}
