import DispatcherCore
import Testing

@Suite("J. ICMP")
struct ICMPScenarios {
    /// A response of 100,000 bytes under way: ten full segments of its body are with the client, which has acknowledged the head only.
    private func inBody() throws -> Spliced {
        let opened = Spliced()
        var splice = try #require(opened)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 100_000))
        splice.client.run()
        splice.client.acknowledge()
        splice.client.run()
        splice.clientStart = splice.client.acknowledgement
        splice.serverStart = splice.server.sequence
        splice.client.followsPeer = false
        splice.client.skip()
        for _ in 0..<5 { splice.server.advance(.ack, [UInt8](repeating: 88, count: 1_460)) }
        splice.client.run()
        splice.server.skip()
        return splice
    }

    /// A response whose head, 3,000 bytes in three segments, was held: the client has it from the dispatcher, which has it in flight.
    private func withHeldHead() throws -> (Spliced, head: [UInt8]) {
        let opened = Spliced()
        let splice = try #require(opened)
        splice.client.followsPeer = false
        let pad = String(repeating: "p", count: 2_900)
        let head = [UInt8](text: "HTTP/1.1 200 OK\r\nX-Pad: \(pad)\r\nContent-Length: 50000\r\n\r\n")
        for start in stride(from: 0, to: head.count, by: 1_460) {
            splice.server.advance(.ack, Array(head[start..<min(start + 1_460, head.count)]))
        }
        return (splice, head)
    }

    @Test("J01 frag needed for bytes of the server: later segments and repetitions are cut, the server is not told")
    func j01() throws {
        let splice = try inBody()
        let (client, server) = (splice.client, splice.server)
        let sent = client.arrivals()
        #expect(sent.count == 5 && sent.allSatisfy { $0.payload.count == 1_460 })
        for segment in sent { splice.world.inject(TestICMP.error(3, 4, mtu: 1_400, about: segment), from: client) }
        #expect(client.arrivals().isEmpty && server.arrivals().isEmpty)
        // The server repeats what nobody acknowledges; then it goes on.
        server.send(.ack, [UInt8](repeating: 88, count: 1_460)) { $0.sequence = splice.serverStart }
        let again = client.arrivals()
        #expect(again.map(\.payload.count) == [1_360, 100] && again.map(\.sequence) == [splice.clientStart, splice.clientStart &+ 1_360])
        server.advance(.ack, [UInt8](repeating: 88, count: 1_460))
        #expect(client.arrivals().map(\.payload.count) == [1_360, 100])
        #expect(splice.world.dropped(.icmpSoft) == 0 && splice.world.dropped(.icmpNotInFlight) == 0)
        splice.world.check()
    }

    @Test("J01 frag needed for own bytes: all of them are sent again at once, smaller, and no congestion is taken from it")
    func j01Own() throws {
        let (splice, head) = try withHeldHead()
        let client = splice.client
        let sent = client.arrivals()
        #expect(sent.map(\.payload.count) == [1_460, 1_460, head.count - 2_920])
        splice.world.inject(TestICMP.error(3, 4, mtu: 1_400, about: sent[0]), from: client)
        let again = client.arrivals(after: .milliseconds(1))
        #expect(again.map(\.payload.count) == [1_360, 1_360, head.count - 2_720] && again[0].sequence == splice.clientStart)
        #expect(again.flatMap(\.payload) == head)
        #expect(splice.world.retransmitted(.answer, on: .client) == 1, "one packet, cut by whoever transmits")
        // What the router says of the other segments that it dropped changes nothing more.
        splice.world.inject(TestICMP.error(3, 4, mtu: 1_400, about: sent[1]), from: client)
        #expect(client.arrivals(after: .milliseconds(1)).isEmpty)
        // The timer repeats them cut as well.
        let later = client.arrivals(after: .milliseconds(1_500))
        #expect(!later.isEmpty && later.allSatisfy { $0.payload.count <= 1_360 })
        splice.world.check()
    }

    @Test("J01 frag needed toward a server: the request is sent again at once, smaller; the connection stays so")
    func j01Server() throws {
        let body = [UInt8](repeating: 66, count: 4_000)
        let text = [UInt8](text: "POST /x/1 HTTP/1.1\r\nHost: test.example\r\nContent-Length: 4000\r\n\r\n") + body
        let (world, client, server) = World.raw()
        client.open()
        try #require(server.accept() != nil)
        server.followsPeer = false
        server.skip()
        for start in stride(from: 0, to: text.count, by: 1_400) {
            client.advance(.ack, Array(text[start..<min(start + 1_400, text.count)]))
        }
        let sent = server.arrivals().filter { !$0.payload.isEmpty }
        #expect(sent.count >= 3 && sent[0].payload.count == 1_460)
        world.inject(TestICMP.error(3, 4, mtu: 1_400, about: sent[0]), from: server)
        let again = server.arrivals(after: .milliseconds(1))
        #expect(again.flatMap(\.payload) == sent.flatMap(\.payload) && again.allSatisfy { $0.payload.count <= 1_360 })
        #expect(again.first?.payload.count == 1_360 && client.arrivals(after: .milliseconds(1)).allSatisfy { $0.payload.isEmpty })
        world.check()
    }

    @Test("J01 a router before a client: everything arrives, whether it tells its MTU or not", arguments: [true, false])
    func router(tellsMTU: Bool) throws {
        let world = World()
        let client = world.client([world.exchange(.get(), .length(200_000)), world.exchange(.get(), .chunked(50_000, size: 7_000))])
        let router = NarrowRouter(world, before: client.host, mtu: 1_400)
        router.tellsMTU = tellsMTU
        world.finish()
        #expect(router.dropped > 0 && router.largest == 1_500)
        #expect(client.outcome == .complete)
    }

    @Test("J01 a router before a server: a large request arrives")
    func routerBeforeServer() {
        let world = World()
        let router = NarrowRouter(world, before: world.hosts[0], mtu: 1_400)
        let started = world.simulation.elapsed
        let client = world.client([world.exchange(.post(40_000), .length(10)), world.exchange(.post(40_000), .length(10))])
        world.runClients()
        #expect(client.outcome == .complete && world.simulation.elapsed - started < .milliseconds(150), "no timer ran out")
        let dropped = router.dropped
        world.client([world.exchange(.post(40_000), .length(10))])
        world.finish()
        #expect(dropped > 0 && router.dropped == dropped, "what the server's path takes is known")
    }

    @Test("J01 what was learned holds for ten minutes, for this client only")
    func memory() throws {
        let splice = try inBody()
        let world = splice.world
        let sent = splice.client.arrivals()
        world.inject(TestICMP.error(3, 4, mtu: 1_000, about: sent[0]), from: splice.client)
        splice.client.run()
        /// The largest segment of a response to a new connection.
        func largest(_ host: TestHost, _ port: UInt16) throws -> Int {
            splice.server.send([.rst, .ack])
            let client = RawPeer(host, port: port, sequence: UInt32(port) << 8)
            try #require(client.open() != nil)
            let server = RawPeer(world.host("raw-server1"), port: 8_080, remote: splice.server.remote, sequence: UInt32(port) << 12)
            client.advance([.ack, .psh], World.get)
            try #require(server.accept() != nil)
            client.run()
            server.advance([.ack, .psh], RawPeer.head(length: 1_300) + [UInt8](repeating: 88, count: 1_300))
            let sizes = client.arrivals().map(\.payload.count)
            client.send(.rst)
            server.run()
            return sizes.max() ?? 0
        }
        #expect(try largest(splice.client.host, 41_000) == 960)
        #expect(try largest(world.nextClientHost(), 41_001) > 1_300)
        world.simulation.run(for: .seconds(590))
        #expect(try largest(splice.client.host, 41_002) == 960)
        world.simulation.run(for: .seconds(20))
        #expect(try largest(splice.client.host, 41_003) > 1_300)
    }

    @Test("J02 forged: a number that is not in flight is not heeded", arguments: [-1, -60_000, 7_300, 1 << 30])
    func j02(offset: Int) throws {
        let splice = try inBody()
        let (client, server) = (splice.client, splice.server)
        var segment = try #require(client.arrivals().first)
        segment.sequence &+= UInt32(truncatingIfNeeded: offset)
        splice.world.inject(TestICMP.error(3, 4, mtu: 68, about: segment), from: client)
        server.advance(.ack, [UInt8](repeating: 88, count: 1_460))
        #expect(client.arrivals().map(\.payload.count) == [1_460])
        #expect(splice.world.dropped(.icmpNotInFlight) == 1)
        splice.world.check()
    }

    @Test("J02 nothing is cut below 576 bytes, and a packet that would have fitted is not believed (RFC 5927 7.2)")
    func j02Floor() throws {
        let splice = try inBody()
        let (client, server) = (splice.client, splice.server)
        let segment = try #require(client.arrivals().first)
        for mtu in [1_500, 65_535] { splice.world.inject(TestICMP.error(3, 4, mtu: mtu, about: segment), from: client) }
        client.run()
        #expect(splice.world.dropped(.icmpAbsorbed) == 2)
        splice.world.inject(TestICMP.error(3, 4, mtu: 68, about: segment), from: client)
        server.advance(.ack, [UInt8](repeating: 88, count: 1_460))
        #expect(client.arrivals().map(\.payload.count) == [536, 536, 388])
        splice.world.check()
    }

    @Test("J02 a quote of no connection of ours, or on the wrong side, is dropped")
    func notOurs() throws {
        let splice = try inBody()
        let world = splice.world
        let segment = try #require(splice.client.arrivals().first)
        var other = segment
        other.destination.port += 1
        world.inject(TestICMP.error(3, 4, mtu: 1_000, about: other), from: splice.client)
        other = segment
        other.source.port = 81
        world.inject(TestICMP.error(3, 4, mtu: 1_000, about: other), from: splice.client)
        // The message went to an address of ours, but quotes another one's segment.
        let message = [3, 4, 0, 0, 0, 0, 3, 0xE8] + TestICMP.quote(segment)
        world.inject(TestICMP.frame(message, to: World.sourceAddress), from: splice.server)
        world.inject(TestICMP.error(3, 4, mtu: 1_000, about: segment), from: splice.server)
        world.simulation.run(for: .milliseconds(5))
        #expect(world.dropped(.icmpNotOurs) == 2 && world.dropped(.icmpNotOurs, on: .server) == 1)
        #expect(world.dropped(.wrongSide, on: .server) == 1)
        splice.server.advance(.ack, [UInt8](repeating: 88, count: 1_460))
        #expect(splice.client.arrivals().map(\.payload.count) == [1_460])
        world.check()
    }

    @Test(
        "J03 J06 errors about an open connection are counted, and end nothing: the hard ones neither (RFC 5927 5.2)",
        arguments: [(3, 0), (3, 1), (3, 2), (3, 3), (3, 5), (3, 13), (11, 0), (11, 1), (12, 0)] as [(UInt8, UInt8)])
    func j03(type: UInt8, code: UInt8) throws {
        let splice = try inBody()
        let (world, client, server) = (splice.world, splice.client, splice.server)
        let segment = try #require(client.arrivals().first)
        world.inject(TestICMP.error(type, code, about: segment), from: client)
        #expect(client.arrivals().isEmpty && server.arrivals().isEmpty)
        #expect(world.dropped(.icmpSoft) == 1 && world.frontConnections == 1)
        server.advance(.ack, [UInt8](repeating: 88, count: 1_460))
        #expect(client.arrivals().map(\.payload.count) == [1_460])
        world.check()
    }

    @Test("J03 J06 about a request at a server: counted, and the response comes", arguments: [(3, 1), (3, 3), (11, 0)] as [(UInt8, UInt8)])
    func j03Server(type: UInt8, code: UInt8) throws {
        let opened = Spliced()
        let splice = try #require(opened)
        let segment = try #require(splice.server.received.last { !$0.payload.isEmpty })
        splice.world.inject(TestICMP.error(type, code, about: segment), from: splice.server)
        splice.server.run()
        #expect(splice.world.dropped(.icmpSoft, on: .server) == 1)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 1) + [65])
        #expect(splice.clientArrivals().flatMap(\.payload) == RawPeer.head(length: 1) + [65])
        splice.world.check()
    }

    @Test("J04 a hard error about our SYN ends the attempt at once", arguments: [2, 3] as [UInt8])
    func j04(code: UInt8) throws {
        let (world, client, server) = World.raw()
        client.open()
        client.advance([.ack, .psh], World.get)
        let syn = try #require(server.arrivals().first { $0.flags == .syn })
        let failures = world.firstServer.connectFailures
        world.inject(TestICMP.error(3, code, about: syn), from: server)
        server.run(.milliseconds(1))
        #expect(world.firstServer.connectFailures == failures + 1 && !world.firstServer.isUp)
        world.check()
    }

    @Test("J04 a server whose port is closed to us is passed over without waiting for a timer")
    func j04Next() {
        let world = World(servers: 1, rawServers: 1)
        let (up, down) = world.links["raw-server2"]!
        var refused = 0
        down.deliver = { [unowned up] frame in
            guard let syn = try? TestSegment(frame: frame.bytes), syn.flags == .syn else { return }
            refused += 1
            up.send(TestICMP.error(3, 3, about: syn))
        }
        for _ in 0..<6 { world.client([world.exchange()]) }
        world.runClients()
        #expect(refused > 0 && world.servers[0].requestsServed == 6 && world.simulation.elapsed < .milliseconds(900))
        world.finish()
    }

    @Test("J04 J03 J06 only a hard one, and only about the SYN's own number", arguments: [(3, 0, 0), (3, 1, 0), (11, 0, 0), (3, 3, 1)])
    func j04Soft(type: Int, code: Int, offset: Int) throws {
        let (world, client, server) = World.raw()
        client.open()
        client.advance([.ack, .psh], World.get)
        var syn = try #require(server.arrivals().first { $0.flags == .syn })
        syn.sequence &+= UInt32(offset)
        world.inject(TestICMP.error(UInt8(type), UInt8(code), about: syn), from: server)
        server.run(.milliseconds(1))
        #expect(world.firstServer.connectFailures == 0)
        #expect(world.dropped(offset == 0 ? .icmpSoft : .icmpNotInFlight, on: .server) == 1)
        // The SYN is repeated, and then the server is there.
        server.skip()
        try #require(server.accept() != nil)
        #expect(!server.stream(from: server.acknowledgement &- UInt32(server.payloadReceived)).isEmpty)
        world.check()
    }

    @Test(
        "J05 source quench is dropped in silence (RFC 6633), and so is what else there is to absorb",
        arguments: [4, 0, 5, 9, 13, 14, 200] as [UInt8])
    func j05(type: UInt8) throws {
        let splice = try inBody()
        let (world, client, server) = (splice.world, splice.client, splice.server)
        let segment = try #require(client.arrivals().first)
        world.inject(TestICMP.error(type, 0, about: segment), from: client)
        #expect(client.arrivals().isEmpty && server.arrivals().isEmpty)
        #expect(world.dropped(.icmpAbsorbed) == 1)
        server.advance(.ack, [UInt8](repeating: 88, count: 1_460))
        #expect(client.arrivals().map(\.payload.count) == [1_460])
        world.check()
    }
}
