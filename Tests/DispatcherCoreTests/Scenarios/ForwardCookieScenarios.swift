import DispatcherCore
import Testing

@Suite("Mode l4/3: SYNs answered by cookie")
struct ForwardCookieScenarios {
    private static let everything: [UInt8] = TestSegment.maximumSegmentSize(1_460) + [1, 1, 4, 2, 1, 3, 3, 5]

    private static func world(_ limit: Int = 1, servers: Int = 1) -> (World, RawPeer, RawPeer) {
        World.rawForwarding(servers: servers, limit: limit) { $0.pools[0].l4.cookie = true }
    }

    /// A client that has completed its handshake with the dispatcher.
    private func admitted(_ client: RawPeer, _ options: [UInt8] = everything) -> TestSegment? {
        client.send(.syn) { $0.options = options }
        client.sequence &+= 1
        guard let answer = client.arrivals().last, answer.flags == [.syn, .ack] else { return nil }
        client.acknowledgement = answer.sequence &+ 1
        client.send(.ack)
        client.run()
        client.skip()
        return answer
    }

    @Test("requests and answers pass, whatever both ends can", arguments: [Families.v4] + Families.withIPv6)
    func exchanges(families: Families) {
        for (scale, sack) in [(nil, false), (0, true), (7, true), (14, false)] as [(Int?, Bool)] {
            let options = TestTCPOptions(windowScale: scale, sackPermitted: sack, receiveBuffer: scale == nil ? 65_535 : 200_000)
            let world = World.forwarding(servers: 2, serverOptions: TestTCPOptions(windowScale: 3, sackPermitted: true), families: families)
            {
                $0.pools[0].l4.cookie = true
            }
            for _ in 0..<2 {
                world.client([world.exchange(.get(), .length(300_000)), world.exchange(.post(100_000), .length(10))], options: options)
            }
            world.finish()
            #expect(world.dispatcher.snapshot.pools[0].servers.map(\.connects) == [1, 1])
        }
    }

    @Test("a server that scales no windows and knows no SACK is spoken to without either", arguments: [false, true])
    func plainServer(loses: Bool) {
        var impairments = Impairments.clean()
        if loses { impairments.loss = 0.02 }
        let world = World.forwarding(client: impairments) { $0.pools[0].l4.cookie = true }
        var options = TestTCPOptions(windowScale: 7, sackPermitted: true, receiveBuffer: 500_000)
        options.retransmissionLimit = 40
        world.client([world.exchange(.get(), .length(400_000)), world.exchange(.post(200_000), .length(10))], options: options)
        world.finish()
    }

    @Test("spoofed SYNs are answered and store nothing")
    func spoofed() {
        let (world, client, server) = Self.world()
        for port in 0..<500 { RawPeer(client.host, port: 42_000 + UInt16(port)).send(.syn) }
        client.run()
        #expect(world.emitted(.handshake) == 500)
        let snapshot = world.dispatcher.snapshot
        #expect(world.queueLength == 0 && snapshot.services[0].connectionsTotal == 0 && snapshot.timers == 0)
        #expect(server.arrivals().isEmpty)
        // An ACK that nobody asked for is a cookie of nobody's.
        client.send(.ack)
        #expect(client.arrivals().map(\.flags) == [.rst] && world.dropped(.cookieInvalid) == 1)
        world.check()
    }

    @Test("a segment that overtakes the end of the handshake waits for its repetition")
    func early() throws {
        let (world, client, server) = Self.world()
        client.send(.syn)
        client.sequence &+= 1
        let answer = try #require(client.arrivals().last)
        client.acknowledgement = answer.sequence &+ 1
        client.send([.fin, .ack]) { $0.sequence &+= 1_000 }
        #expect(client.arrivals().isEmpty && world.dropped(.cookieEarlySegment) == 1)
        client.send(.ack)
        #expect(server.takeSYNs().count == 1)
        world.check()
    }

    @Test("the client waits with a closed window; then the handshake with the server is completed in its name and the window opens")
    func handshake() throws {
        let (world, client, server) = Self.world()
        client.window = 1_000
        let answer = try #require(admitted(client))
        #expect(answer.window == 0 && answer.optionValue(of: 3) == [7] && answer.optionValue(of: 4) == [])
        let syn = try #require(server.takeSYNs().first)
        #expect(syn.sequence == client.sequence &- 1 && syn.options == Self.everything && syn.window == 32_000)
        server.reply(to: syn, [.syn, .ack], sequence: 0xFFFF_FF00) {
            $0.options = TestSegment.maximumSegmentSize(1_400) + [1, 1, 4, 2, 1, 3, 3, 2]
            $0.window = 29_200
        }
        let completed = try #require(server.arrivals().first)
        #expect(completed.flags == .ack && completed.sequence == client.sequence && completed.acknowledgement == 0xFFFF_FF01)
        #expect(completed.window == 1_000)
        let opened = try #require(client.arrivals().first)
        #expect(opened.flags == .ack && opened.sequence == answer.sequence &+ 1 && opened.acknowledgement == client.sequence)
        #expect(opened.window == 29_200 >> 7)
        // A repeated answer is acknowledged again, and the client hears nothing of it.
        server.reply(to: syn, [.syn, .ack], sequence: 0xFFFF_FF00)
        #expect(server.arrivals().map(\.flags) == [.ack] && client.arrivals().isEmpty)
        // Bytes both ways, across the wrap of the server's numbers, and windows in the scale that each was told.
        client.advance([.ack, .psh], [UInt8](text: "hello"))
        #expect(server.arrivals().map(\.payload) == [[UInt8](text: "hello")])
        server.sequence = 0xFFFF_FF01
        server.acknowledgement = client.sequence
        server.remote = syn.source
        server.send([.ack, .psh], [UInt8](repeating: 5, count: 1_000)) { $0.window = 3_200 }
        let data = try #require(client.arrivals().first)
        #expect(data.sequence == answer.sequence &+ 1 && data.payload.count == 1_000 && data.window == (3_200 << 2) >> 7)
        // SACK blocks name the server's numbers.
        let start = answer.sequence &+ 1
        client.send(.ack) {
            $0.acknowledgement = start
            $0.options = TestSegment.sack([(start &+ 200, start &+ 400)])
        }
        let told = try #require(server.arrivals().first?.optionValue(of: 5))
        let edges = stride(from: 0, to: 8, by: 4).map { at in told[at..<at + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
        #expect(edges == [0xFFFF_FF01 &+ 200, 0xFFFF_FF01 &+ 400])
        world.check()
    }

    @Test("a client that asks while it waits is told that its window is closed; data is not taken; its RST removes it")
    func waiting() throws {
        let (world, client, server) = Self.world(0 + 1)
        let first = RawPeer(client.host, port: 41_000)
        #expect(admitted(first) != nil)
        let answer = try #require(admitted(client))
        #expect(world.queueLength == 1)
        client.send(.ack) { $0.sequence &-= 1 }
        let probe = client.arrivals()
        #expect(probe.map(\.flags) == [.ack] && probe[0].window == 0 && probe[0].acknowledgement == client.sequence)
        client.send([.ack, .psh], [1, 2, 3])
        #expect(client.arrivals().map(\.window) == [0] && world.dropped(.whileQueued) == 1)
        // What acknowledges something else is not its own.
        client.send(.ack) { $0.acknowledgement &+= 5 }
        #expect(client.arrivals().isEmpty && world.dropped(.whileQueued) == 2)
        // A SYN in its name is challenged.
        client.send(.syn) { $0.sequence = 5 }
        #expect(client.arrivals().map(\.sequence) == [answer.sequence &+ 1])
        client.send(.rst)
        client.run()
        #expect(world.queueLength == 0)
        #expect(server.takeSYNs().count == 1)
        world.check()
    }

    @Test("one that waits too long is reset in numbers that it takes at once; so is one whose server refuses")
    func ends() throws {
        let (world, client, server) = Self.world()
        let first = RawPeer(client.host, port: 41_000)
        let opened = try #require(admitted(first))
        let answer = try #require(admitted(client))
        let syn = try #require(server.takeSYNs().first)
        server.reply(to: syn, .ack, sequence: 12) { $0.acknowledgement = 4_242 }
        let reset = server.arrivals()
        #expect(reset.map(\.flags) == [.rst] && reset[0].sequence == 4_242)
        server.reply(to: syn, [.rst, .ack], sequence: 0)
        let refused = first.arrivals()
        #expect(refused.map(\.flags) == [[.rst, .ack]] && refused[0].sequence == opened.sequence &+ 1)
        // The second one's SYN is repeated for it, and given up in the end.
        let second = try #require(server.takeSYNs().first)
        #expect(server.takeSYNs(after: .milliseconds(4_000)).map(\.sequence) == [second.sequence, second.sequence])
        client.run(.seconds(2))
        let end = try #require(client.arrivals().last)
        #expect(end.flags == [.rst, .ack] && end.sequence == answer.sequence &+ 1)
        #expect(world.retransmitted(.connect, on: .server) == 2 && world.dispatcher.snapshot.counters.halfOpenExpired == 1)
        world.check()
    }

    @Test("above the queue's threshold SYNs are refused, not answered")
    func threshold() throws {
        let (world, client, _) = World.rawForwarding(limit: 0) {
            $0.pools[0].servers[0].minimumLimit = 0
            $0.pools[0].l4.cookie = true
            ($0.pools[0].queue.refuseAbove, $0.pools[0].queue.resumeBelow) = (1, 1)
        }
        for port in 0..<2 { #expect(admitted(RawPeer(client.host, port: 41_000 + UInt16(port))) != nil) }
        #expect(client.knock().map(\.flags) == [[.rst, .ack]])
        client.run(.seconds(11))
        #expect(world.queueLength == 0 && world.refused(.queueWait) == 2)
        world.check()
    }

    @Test("tcp.options: mss: nothing else is told")
    func onlyMSS() throws {
        let (world, client, server) = World.rawForwarding {
            $0.pools[0].l4.cookie = true
            $0.tcp.options = .mss
        }
        let answer = try #require(admitted(client))
        #expect(answer.options == TestSegment.maximumSegmentSize(1_460))
        #expect(server.takeSYNs().map(\.options) == [TestSegment.maximumSegmentSize(1_460)])
        world.check()
    }
}
