import DispatcherCore
import Testing

@Suite("H. Resets and attacks")
struct AttackScenarios {
    @Test("H01 H02 only the exact number resets; one inside the window is challenged (RFC 5961)")
    func h02() throws {
        let splice = try #require(Spliced())
        splice.client.send(.rst) { $0.sequence &+= 1_000 }
        let challenge = splice.clientArrivals()
        #expect(challenge.count == 1 && challenge[0].flags == .ack && challenge[0].acknowledgement == splice.client.sequence)
        #expect(splice.world.frontConnections == 1)
        splice.client.send(.rst)
        #expect(splice.clientArrivals().isEmpty)
        #expect(splice.world.frontConnections == 0)
        splice.world.check()
    }

    @Test("H03 a RST outside of the window is dropped in silence", arguments: [-1, -1_000, 1_000_000])
    func h03(offset: Int) throws {
        let splice = try #require(Spliced())
        splice.client.send(.rst) { $0.sequence &+= UInt32(truncatingIfNeeded: offset) }
        #expect(splice.clientArrivals().isEmpty)
        #expect(splice.world.frontConnections == 1)
        splice.world.check()
    }

    @Test("H04 a SYN in an open connection is challenged, and the connection lives")
    func h04() throws {
        let splice = try #require(Spliced())
        for sequence in [splice.client.sequence, splice.client.sequence &+ 100, 3_000_000_000] {
            splice.client.send(.syn) { $0.sequence = sequence }
            let answer = splice.clientArrivals()
            #expect(answer.count == 1 && answer[0].flags == .ack && answer[0].acknowledgement == splice.client.sequence)
        }
        splice.server.advance([.ack, .psh], RawPeer.head(length: 1) + [65])
        #expect(splice.clientArrivals().flatMap(\.payload) == RawPeer.head(length: 1) + [65])
        splice.world.check()
    }

    @Test("H05 H06 challenges are limited per connection; another connection's budget is untouched")
    func h05() throws {
        let splice = try #require(Spliced())
        let other = splice.world.rawClient(port: 40_009)
        other.open()
        for _ in 0..<1_000 { splice.client.send(.rst) { $0.sequence &+= 100 } }
        let challenges = splice.clientArrivals().count
        #expect(challenges >= 1 && challenges <= 100, "\(challenges) challenges")
        other.send(.syn)
        #expect(other.arrivals().count == 1)
        // Repeated data is always acknowledged again.
        splice.client.send([.ack, .psh], World.get) { $0.sequence &-= UInt32(World.get.count) }
        #expect(splice.clientArrivals().contains { $0.acknowledgement == splice.client.sequence })
        splice.world.check()
    }

    @Test("H07 a server's RST in the middle: the client is reset with the number it expects")
    func h07() throws {
        let splice = try #require(Spliced())
        splice.server.advance([.ack, .psh], RawPeer.head(length: 50_000) + Tagged.bytes(1, count: 1_000))
        splice.client.run()
        splice.client.acknowledge()
        splice.client.run()
        splice.client.skip()
        splice.server.send(.rst)
        let reset = splice.clientArrivals()
        #expect(reset.contains { $0.flags.contains(.rst) && $0.sequence == splice.client.acknowledgement })
        #expect(splice.world.frontConnections == 0)
        splice.world.check()
    }

    @Test("H08 H09 the forms of RST without a connection")
    func h08() {
        let (world, client, server) = World.raw()
        client.followsPeer = false
        client.send([.ack, .psh], [1, 2, 3]) { $0.acknowledgement = 99 }
        client.send([.ack, .fin]) { $0.acknowledgement = 98 }
        let answers = client.arrivals()
        #expect(answers.filter { $0.flags == .rst }.map(\.sequence).allSatisfy { [98, 99].contains($0) })
        client.send(.rst)
        #expect(client.arrivals().isEmpty)
        // Toward the servers: anything unknown.
        server.remote.port = 12_345
        server.followsPeer = false
        server.send([.ack, .psh], [1, 2, 3]) { $0.acknowledgement = 77 }
        let reset = server.arrivals()
        #expect(reset.count == 1 && reset[0].flags == .rst && reset[0].sequence == 77)
        server.send([.rst, .ack])
        #expect(server.arrivals().isEmpty)
        world.check()
    }

    @Test("resets for strangers are limited to 1,000 a second")
    func resetRate() {
        let (world, client, _) = World.raw()
        for index in 0..<5_000 {
            world.simulation.after(.microseconds(Int64(index) * 20)) {
                client.send(.ack) { ($0.acknowledgement, $0.source.port) = (UInt32(index), UInt16(2_000 + index)) }
            }
        }
        var resets = 0
        world.dispatcher.onEmit = { _, segment in if segment.flags.contains(.rst) { resets += 1 } }
        world.simulation.run(for: .milliseconds(200))
        #expect(resets > 0 && resets <= 2_000, "\(resets) resets in 0.1 s")
        // A few look as if they came before the end of a handshake, and deserve none.
        let early = world.dropped(.cookieEarlySegment)
        #expect(world.dispatcher.snapshot.counters.resetsWithheld == UInt64(5_000 - resets - early))
        world.check()
    }

    @Test("clients that are turned away are told, up to 20,000 a second")
    func refusalRate() {
        let (world, client, _) = World.raw { $0.services[0].limits.connections = 0 }
        for index in 0..<10_000 {
            world.simulation.after(.microseconds(Int64(index) * 10)) {
                client.send(.syn) { ($0.sequence, $0.source.port) = (UInt32(index), UInt16(2_000 + index)) }
            }
        }
        var resets = 0
        world.dispatcher.onEmit = { _, segment in if segment.flags.contains(.rst) { resets += 1 } }
        world.simulation.run(for: .milliseconds(200))
        #expect(resets >= 3_900 && resets <= 4_100, "\(resets) resets in 0.1 s, with 2,000 at once")
        #expect(world.dispatcher.snapshot.counters.resetsWithheld == 10_000 - UInt64(resets))
        world.check()
    }

    @Test("H10 two desynchronised ends do not acknowledge each other for ever")
    func h10() throws {
        let splice = try #require(Spliced())
        var turns = 0
        // Whatever the dispatcher says is answered by an ACK of nothing.
        splice.world.dispatcher.onEmit = { side, segment in
            guard side == .client, segment.payload.isEmpty, turns < 5_000 else { return }
            turns += 1
            splice.client.send(.ack) { $0.acknowledgement = splice.client.acknowledgement &+ 900_000 }
        }
        splice.client.send(.ack) { $0.acknowledgement = splice.client.acknowledgement &+ 900_000 }
        splice.client.run(.milliseconds(500))
        #expect(turns < 200, "\(turns) rounds in half a second")
        splice.world.check()
    }

    @Test("H10 nor when each answers the other's old number: toward the client, and toward the server")
    func h10OldNumbers() throws {
        for side in Side.allCases {
            let splice = try #require(Spliced())
            let peer = side == .client ? splice.client : splice.server
            var turns = 0
            splice.world.dispatcher.onEmit = { at, segment in
                guard at == side, segment.payload.isEmpty, turns < 5_000 else { return }
                turns += 1
                peer.send(.ack) { $0.sequence &-= 100 }
            }
            peer.send(.ack) { $0.sequence &-= 100 }
            peer.run(.milliseconds(500))
            #expect(turns < 200, "\(turns) rounds in half a second on the \(side) side")
            splice.world.check()
        }
    }

    @Test("H11 a client that acknowledges nothing for send-idle is reset and its slot freed")
    func h11() throws {
        let splice = try #require(Spliced { $0.services[0].limits.sendIdle = .seconds(5) })
        splice.server.advance([.ack, .psh], RawPeer.head(length: 50_000) + Tagged.bytes(1, count: 1_000))
        splice.client.run(.seconds(4))
        #expect(splice.world.frontConnections == 1)
        splice.client.run(.seconds(4))
        #expect(splice.world.frontConnections == 0)
        #expect(splice.client.received.contains { $0.flags.contains(.rst) })
        #expect(splice.world.firstServer.active == 0)
        #expect(splice.server.received.contains { $0.flags.contains(.rst) })
        splice.world.check()
    }

    @Test("H13 a server's packet on the client's device, or a client's on the servers', is dropped")
    func h13() throws {
        let splice = try #require(Spliced())
        let forged = splice.server.frame(splice.server.segment([.ack, .psh], RawPeer.head(length: 1) + [66]))
        splice.world.dispatcher.receive(SimulatedFrame(bytes: forged), on: .client)
        #expect(splice.clientArrivals().isEmpty)
        let other = splice.client.frame(splice.client.segment(.rst))
        splice.world.dispatcher.receive(SimulatedFrame(bytes: other), on: .server)
        splice.client.run()
        #expect(splice.world.frontConnections == 1)
        #expect(splice.world.dropped(.wrongSide) + splice.world.dropped(.notOurAddress) == 1)
        splice.world.check()
    }

    @Test("the head's time: a client that never finishes its head is answered 408 and closed")
    func headTime() throws {
        let (world, client, _) = World.raw { $0.services[0].limits.headTime = .seconds(5) }
        client.open()
        client.advance(.ack, Array(World.get[..<20]))
        client.run(.seconds(4))
        #expect(!client.received.contains { !$0.payload.isEmpty })
        client.run(.seconds(2))
        let text = String(decoding: client.received.flatMap(\.payload), as: UTF8.self)
        #expect(text.hasPrefix("HTTP/1.1 408 "))
        world.check()
    }

    @Test("a connection without a request is closed after idle")
    func idle() {
        let world = World { $0.services[0].limits.idle = .seconds(20) }
        let client = world.client([world.exchange()]) { $0.ending = .stay }
        world.simulation.run(for: .seconds(15))
        #expect(world.frontConnections == 1)
        world.finish()
        #expect(client.end == .finished || client.end == .resetByPeer)
    }

    @Test("what begins beyond the window, in a server's name, does not move what is known of that server's own window")
    func farWindow() throws {
        let (world, client, server) = World.raw()
        client.open()
        server.accept()
        server.window = 100
        server.acknowledge()
        server.run()
        for payload in [[], [1, 2, 3]] as [[UInt8]] {
            server.send(.ack, payload) { ($0.sequence, $0.window) = ($0.sequence &+ 10_000_000, 65_535) }
        }
        server.run()
        #expect(world.dropped(.outOfWindow, on: .server) == 2)
        server.skip()
        client.advance(
            [.ack, .psh], [UInt8](text: "GET /x/1 HTTP/1.1\r\nHost: test.example\r\nA: \(String(repeating: "b", count: 500))\r\n\r\n"))
        server.run()
        #expect(server.payloadReceived == 100)
        server.window = 65_535
        server.acknowledge()
        server.run()
        #expect(server.payloadReceived > 500)
        world.check()
    }
}
