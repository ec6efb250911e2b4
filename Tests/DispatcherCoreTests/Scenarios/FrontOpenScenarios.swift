import DispatcherCore
import Testing

@Suite("B. Front-end connections: open")
struct FrontOpenScenarios {
    @Test("B01 handshake: SYN-ACK with the option MSS only when the client offers no other, state only after the third segment")
    func b01() throws {
        let (world, client, _) = World.raw()
        client.send(.syn)
        let answer = try #require(client.arrivals().last)
        #expect(answer.flags == [.syn, .ack] && answer.acknowledgement == client.sequence &+ 1)
        #expect(answer.options == TestSegment.maximumSegmentSize(1_460))
        #expect(answer.window > 0)
        #expect(world.frontConnections == 0)
        client.sequence &+= 1
        client.acknowledgement = answer.sequence &+ 1
        client.send(.ack)
        client.run()
        #expect(world.frontConnections == 1)
        world.check()
    }

    @Test("B01 cookies: bits of tick, MSS class, no scale and no SACK stand at the top")
    func cookieLayout() throws {
        let (world, client, _) = World.raw()
        func cookie(_ options: [UInt8]) throws -> UInt32 {
            client.send(.syn) { $0.options = options }
            return try #require(client.arrivals().last).sequence
        }
        let classes: [(Int, UInt32)] = [
            (48, 0), (535, 0), (536, 1), (1_219, 1), (1_220, 2), (1_360, 3), (1_400, 4), (1_440, 5), (1_460, 6), (8_960, 7), (9_000, 7),
        ]
        for (size, wanted) in classes {
            let value = try cookie(TestSegment.maximumSegmentSize(size))
            #expect(value >> 27 & 7 == wanted, "MSS \(size)")
        }
        let first = try cookie([])
        #expect(first >> 27 & 7 == 1)
        client.run(.seconds(64))
        let later = try cookie([])
        #expect(later >> 30 == (first >> 30 &+ 1) & 3)
        world.check()
    }

    @Test(
        "B02 B03 the peer's MSS bounds every segment",
        arguments: [(nil, 536), (0, 536), (10, 48), (48, 48), (536, 536), (1_459, 1_459), (9_000, 1_460)])
    func b03(announced: Int?, most: Int) throws {
        let splice = try #require(Spliced(options: announced.map { TestSegment.maximumSegmentSize($0) } ?? []))
        let body = Tagged.bytes(1, count: 1_400)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 1_400))
        splice.client.run()
        splice.client.acknowledge()
        splice.server.run()
        splice.server.advance([.ack, .psh], body)
        let came = splice.clientArrivals().filter { !$0.payload.isEmpty }
        #expect(Array(came.flatMap(\.payload).suffix(1_400)) == body)
        #expect(came.allSatisfy { $0.payload.count <= most })
        splice.world.check()
    }

    @Test("B04 repeated SYN: the same SYN-ACK, no state")
    func b04() {
        let (world, client, _) = World.raw()
        client.send(.syn)
        client.run(.seconds(1))
        client.send(.syn)
        let answers = client.arrivals()
        #expect(answers.count == 2)
        #expect(answers.first?.sequence == answers.last?.sequence && answers.first?.acknowledgement == answers.last?.acknowledgement)
        #expect(world.frontConnections == 0 && world.dispatcher.snapshot.timers == 0)
        world.check()
    }

    @Test("B05 a SYN with another number gets another valid cookie")
    func b05() throws {
        let (world, client, _) = World.raw()
        client.send(.syn)
        let first = try #require(client.arrivals().last)
        client.sequence = 77_000
        client.send(.syn)
        let second = try #require(client.arrivals().last)
        #expect(second.acknowledgement == 77_001 && second.sequence != first.sequence)
        client.sequence = 77_001
        client.acknowledgement = second.sequence &+ 1
        client.send(.ack)
        client.run()
        #expect(world.frontConnections == 1)
        world.check()
    }

    @Test("B06 the third segment is lost: data with the acknowledgement opens the connection")
    func b06() throws {
        let (world, client, server) = World.raw()
        client.send(.syn)
        client.sequence &+= 1
        client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
        client.advance([.ack, .psh], World.get)
        #expect(server.accept() != nil)
        #expect(server.arrivals().contains { $0.payload.starts(with: [UInt8](text: "GET /x/1")) })
        world.check()
    }

    @Test("B06 data before the request's first bytes is dropped in silence; the client's repetition is served")
    func earlySegment() throws {
        let (world, client, server) = World.raw()
        client.send(.syn)
        client.sequence &+= 1
        client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
        let cut = 10
        client.send([.ack, .psh], Array(World.get[cut...])) { $0.sequence &+= UInt32(cut) }
        #expect(client.arrivals().isEmpty && world.frontConnections == 0)
        #expect(world.dropped(.cookieEarlySegment) == 1)
        client.send(.ack, Array(World.get[..<cut]))
        client.send([.ack, .psh], Array(World.get[cut...])) { $0.sequence &+= UInt32(cut) }
        #expect(server.accept() != nil)
        #expect(server.arrivals().contains { $0.payload.starts(with: [UInt8](text: "GET /x/1")) })
        world.check()
    }

    @Test("B06 no segment within 16 KiB behind the first one is ever taken for it, whichever they are")
    func earlyNeverPasses() throws {
        let (world, client, _) = World.raw()
        client.send(.syn)
        client.sequence &+= 1
        client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
        client.followsPeer = false
        for offset in 1..<UInt32(16_384) { client.send(.ack, [65]) { $0.sequence &+= offset } }
        client.run(.seconds(1))
        #expect(world.frontConnections == 0 && world.dropped(.cookieEarlySegment) == 16_383)
        client.send(.ack, [65])
        client.run()
        #expect(world.frontConnections == 1)
        world.check()
    }

    @Test("B06 a bare FIN or ACK that overtakes the request is dropped in silence too", arguments: [[.ack, .fin], .ack] as [SegmentFlags])
    func earlyBare(flags: SegmentFlags) throws {
        let (world, client, server) = World.raw()
        client.send(.syn)
        client.sequence &+= 1
        client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
        client.send(flags) { $0.sequence &+= UInt32(World.get.count) }
        #expect(client.arrivals().isEmpty)
        client.advance([.ack, .psh], World.get)
        #expect(server.accept() != nil)
        #expect(server.arrivals().contains { $0.payload.starts(with: [UInt8](text: "GET /x/1")) })
        world.check()
    }

    @Test("B07 B16 a wrong acknowledgement of a SYN-ACK: RST with its number, no state", arguments: [-1, 1, 1_000_000, 0x4000_0000])
    func b07(offset: Int) throws {
        let (world, client, _) = World.raw()
        client.send(.syn)
        client.sequence &+= 1
        client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1 &+ UInt32(truncatingIfNeeded: offset)
        client.followsPeer = false
        client.send(.ack)
        let answer = client.arrivals()
        // So near the cookie that its first part holds: silence is right as well, as for what overtook the first segment.
        let mayBeSilent = abs(offset) < 1_024
        #expect(
            answer.isEmpty && mayBeSilent || answer.count == 1 && answer[0].flags == .rst && answer[0].sequence == client.acknowledgement)
        #expect(world.frontConnections == 0)
        world.check()
    }

    @Test("B08 a stray ACK: RST with its number; a stray RST: silence")
    func b08() {
        let (world, client, _) = World.raw()
        client.acknowledgement = 123_456
        client.followsPeer = false
        client.send(.ack)
        client.send([.ack, .fin])
        let answers = client.arrivals()
        #expect(answers.count == 2 && answers.allSatisfy { $0.flags == .rst && $0.sequence == 123_456 })
        client.send(.rst)
        client.send([.rst, .ack])
        #expect(client.arrivals().isEmpty)
        world.check()
    }

    @Test("B09 stray segments without ACK: RST|ACK of what they take, and a valid cookie in a field that says nothing opens nothing")
    func b09() throws {
        let (world, client, _) = World.raw()
        client.followsPeer = false
        client.send(.psh, [1, 2, 3])
        client.send(.fin)
        let answers = client.arrivals()
        #expect(answers.allSatisfy { $0.flags == [.rst, .ack] && $0.sequence == 0 })
        #expect(answers.map { $0.acknowledgement &- client.sequence } == [3, 1])
        client.send(.syn)
        let cookie = try #require(client.arrivals().last).sequence
        client.sequence &+= 1
        client.send(.psh, World.get) { $0.acknowledgement = cookie &+ 1 }
        client.run()
        #expect(world.frontConnections == 0)
        world.check()
    }

    @Test("B10 data in a SYN is not lost in the order: it is acknowledged later or comes again")
    func b10() throws {
        let (world, client, server) = World.raw()
        client.send(.syn, World.get)
        let answer = try #require(client.arrivals().last)
        #expect(answer.flags == [.syn, .ack] && answer.acknowledgement == client.sequence &+ 1)
        client.sequence &+= 1
        client.acknowledgement = answer.sequence &+ 1
        client.advance([.ack, .psh], World.get)
        #expect(server.accept() != nil)
        #expect(server.arrivals().flatMap(\.payload).starts(with: [UInt8](text: "GET /x/1")))
        world.check()
    }

    @Test("B11 B12 SYNs to broadcast or from impossible sources are dropped in silence")
    func b12() {
        let (world, client, _) = World.raw()
        for address in ["255.255.255.255", "224.0.0.1"] {
            client.send(.syn) { $0.destination = Endpoint(address: IPAddress(address)!, port: 80) }
        }
        for address in ["0.0.0.0", "127.0.0.1", "224.1.2.3", "255.255.255.255"] {
            client.send(.syn) { $0.source = Endpoint(address: IPAddress(address)!, port: 9) }
        }
        #expect(client.arrivals().isEmpty)
        #expect(world.dropped(.badSource) == 4)
        #expect(world.frontConnections == 0)
        world.check()
    }

    @Test("B14 B15 a SYN flood takes no memory, and good clients are served")
    func b14() {
        let world = World()
        let attacker = world.rawClient()
        for index in 0..<20_000 {
            world.simulation.after(.microseconds(Int64(index) * 5)) {
                attacker.send(.syn) { segment in
                    segment.source.port = UInt16(1_024 + index % 60_000)
                    segment.sequence = UInt32(index)
                }
            }
        }
        world.client([world.exchange(), world.exchange()]) { $0.start = .milliseconds(50) }
        world.simulation.run(for: .milliseconds(49))
        #expect(world.frontConnections == 0 && world.dispatcher.snapshot.timers == 0 && world.dispatcher.snapshot.bufferBytes == 0)
        world.finish()
    }

    @Test("B16 a cookie lives for its tick and the next")
    func b16() throws {
        for (wait, isGood) in [(60, true), (192, false), (256 + 20, false)] {
            let (world, client, _) = World.raw()
            client.send(.syn)
            client.sequence &+= 1
            client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
            client.followsPeer = false
            client.run(.seconds(Int64(wait)))
            client.send(.ack)
            let answers = client.arrivals()
            #expect(world.frontConnections == (isGood ? 1 : 0), "after \(wait) s")
            #expect(answers.contains { $0.flags == .rst } == !isGood, "after \(wait) s")
            world.check()
        }
    }

    @Test("B16 a cookie of another port or address opens nothing")
    func otherTuple() throws {
        let (world, client, _) = World.raw()
        client.send(.syn)
        client.sequence &+= 1
        client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
        client.send(.ack) { $0.source.port &+= 1 }
        client.run()
        #expect(world.frontConnections == 0)
        world.check()
    }

    @Test("B17 a cookie comes with ACK, PSH and FIN only")
    func b17() throws {
        for (flags, opens): (SegmentFlags, Bool) in [([.ack, .rst], false), ([.ack, .syn], false), ([.ack, .psh], true), (.ack, true)] {
            let (world, client, _) = World.raw()
            client.send(.syn)
            client.sequence &+= 1
            client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
            client.send(flags) { $0.options = [] }
            client.run()
            #expect(world.frontConnections == (opens ? 1 : 0), "flags \(flags.rawValue)")
            world.check()
        }
    }

    @Test("B18 above the queue's threshold a SYN is answered RST|ACK; those who are in stay; below it is open again")
    func b18() {
        let world = World { configuration in
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].queue.refuseAbove = 3
            configuration.pools[0].queue.resumeBelow = 2
            configuration.pools[0].queue.wait = .seconds(30)
        }
        for _ in 0..<6 { world.client([world.exchange(.get(), ResponsePlan.length(100).after(.milliseconds(500)))]) }
        world.simulation.run(for: .milliseconds(100))
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 5)
        let late = world.rawClient()
        late.send(.syn)
        let answer = late.arrivals()
        #expect(answer.count == 1 && answer[0].flags == [.rst, .ack] && answer[0].acknowledgement == late.sequence &+ 1)
        #expect(world.refused(.queueThreshold) >= 1)
        world.simulation.run(for: .seconds(4))
        late.send(.syn)
        #expect(late.arrivals().last?.flags == [.syn, .ack])
        world.finish()
    }

    @Test("B19 a RST before the third segment changes nothing (there is no state)")
    func b19() throws {
        let (world, client, _) = World.raw()
        client.send(.syn)
        client.sequence &+= 1
        client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
        client.send(.rst)
        #expect(client.arrivals().isEmpty)
        client.send(.ack)
        client.run()
        #expect(world.frontConnections == 1)
        world.check()
    }

    @Test("a SYN to a port without a service: RST|ACK")
    func closedPort() {
        let (world, client, _) = World.raw()
        client.send(.syn) { $0.destination.port = 81 }
        let answer = client.arrivals()
        #expect(answer.isEmpty || answer[0].flags == [.rst, .ack] && answer[0].acknowledgement == client.sequence &+ 1)
        #expect(!answer.isEmpty)
        world.check()
    }
}
