import DispatcherCore
import Testing

@Suite("A. Parsing and checksums")
struct ParsingScenarios {
    @Test("A01 full checksum: a forwarded segment's sum equals a full recompute")
    func a01() throws {
        let splice = try #require(Spliced())
        let response = RawPeer.head(length: 1_000) + Tagged.bytes(1, count: 1_000)
        splice.server.advance([.ack, .psh], response)
        let came = splice.clientArrivals()
        #expect(came.flatMap(\.payload) == response)
        #expect(came.allSatisfy { $0.checksum == .full })
        splice.world.check()
    }

    @Test("A02 bad checksum: dropped, counted, no reply")
    func a02() throws {
        let (world, client, _) = World.raw()
        #expect(client.open() != nil)
        client.send([.ack, .psh], World.get) { $0.checksum = .bad }
        #expect(client.arrivals(after: .milliseconds(100)).isEmpty)
        #expect(world.dropped(.badTCPChecksum) == 1)
        world.check()
    }

    @Test("A03 partial checksum: accepted, and sent on with a full one")
    func a03() throws {
        let (world, client, server) = World.raw()
        client.open()
        server.accept()
        client.sequence &-= 0
        client.send([.ack, .psh], World.get) { $0.checksum = .partial }
        let arrived = server.arrivals().filter { !$0.payload.isEmpty }
        #expect(arrived.count == 1 && arrived[0].checksum == .full)
        client.sequence &+= UInt32(World.get.count)
        server.send([.ack, .psh], RawPeer.head(length: 3) + [1, 2, 3]) { $0.checksum = .partial }
        let answer = client.arrivals().filter { !$0.payload.isEmpty }
        #expect(answer.flatMap(\.payload) == RawPeer.head(length: 3) + [1, 2, 3])
        #expect(answer.allSatisfy { $0.checksum == .full })
        world.check()
    }

    @Test("A04 partial checksum of another address pair: dropped")
    func a04() {
        let (world, client, _) = World.raw()
        client.open()
        var frame = client.frame(
            {
                var segment = client.segment([.ack, .psh], World.get)
                segment.checksum = .partial
                return segment
            }())
        frame[29] ^= 4
        TestSegment.store(0, at: 24, in: &frame)
        TestSegment.store(~TestChecksum.fold(TestChecksum.sum(frame[14..<34])), at: 24, in: &frame)
        world.inject(frame, from: client)
        #expect(client.arrivals().isEmpty)
        #expect(world.dropped(.badTCPChecksum) == 1)
        world.check()
    }

    @Test("A06 corruption is not laundered")
    func a06() throws {
        let splice = try #require(Spliced())
        splice.server.send([.ack, .psh], RawPeer.head(length: 4) + [1, 2, 3, 4]) { $0.checksum = .bad }
        #expect(splice.clientArrivals(.milliseconds(30)).filter { !$0.payload.isEmpty }.isEmpty)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 4) + [1, 2, 3, 4])
        #expect(splice.clientArrivals().flatMap(\.payload) == RawPeer.head(length: 4) + [1, 2, 3, 4])
        splice.world.check()
    }

    @Test("A07 a data offset below 5 or beyond the segment: dropped, counted", arguments: [0, 4, 15])
    func a07(offset: Int) {
        let (world, client, _) = World.raw()
        client.send(.syn) { $0.dataOffset = offset }
        #expect(client.arrivals().isEmpty)
        #expect(world.dropped(.badTCPHeader) == 1)
        world.check()
    }

    @Test("A09 an option that runs past the header is not read; the rest is ignored")
    func a09() {
        let (world, client, _) = World.raw()
        for options: [UInt8] in [[1, 1, 1, 2], [2, 40, 5, 180], [2, 0, 1, 1], [2, 1, 1, 1]] {
            client.send(.syn) { $0.options = options }
            let answer = client.arrivals()
            #expect(answer.count == 1 && answer[0].flags == [.syn, .ack])
        }
        world.check()
    }

    @Test("A11 unknown options are ignored and not copied to the other leg")
    func a11() throws {
        let (world, client, server) = World.raw()
        client.send(.syn) { $0.options = [253, 6, 1, 2, 3, 4, 1, 1] + TestSegment.maximumSegmentSize(1_460) }
        client.sequence &+= 1
        let answer = try #require(client.arrivals().last)
        #expect(answer.flags == [.syn, .ack] && answer.options == TestSegment.maximumSegmentSize(1_460))
        client.acknowledgement = answer.sequence &+ 1
        client.send(.ack)
        server.accept()
        client.send([.ack, .psh], World.get) { $0.options = [253, 6, 1, 2, 3, 4, 1, 1] }
        let request = server.arrivals().filter { !$0.payload.isEmpty }
        #expect(request.count == 1 && request[0].options.isEmpty)
        world.check()
    }

    @Test("A12 options behind EOL are ignored: MSS 536 is assumed")
    func a12() throws {
        let splice = try #require(Spliced(options: [0, 2, 4, 5, 180, 0, 0, 0]))
        splice.server.advance(.ack, RawPeer.head(length: 5_000) + Tagged.bytes(1, count: 1_400))
        let came = splice.clientArrivals().filter { !$0.payload.isEmpty }
        #expect(came.count >= 3 && came.allSatisfy { $0.payload.count <= 536 })
        splice.world.check()
    }

    @Test("A13 reserved bits are ignored on receipt and zero on sending")
    func a13() throws {
        let (world, client, server) = World.raw()
        client.send(.syn) { $0.reserved = 0x7 }
        client.sequence &+= 1
        let answer = try #require(client.arrivals().last)
        client.acknowledgement = answer.sequence &+ 1
        client.send(.ack) { $0.reserved = 0xF }
        #expect(server.accept() != nil)
        client.send([.ack, .psh], World.get) { $0.reserved = 0x1 }
        #expect(server.arrivals().contains { !$0.payload.isEmpty && $0.reserved == 0 })
        world.check()
    }

    @Test(
        "A14 illegal flag sets never open a connection, and do not harm one",
        arguments: [0x03, 0x06, 0x00, 0x29, 0x3F, 0x07, 0x01, 0x08, 0x05])
    func a14(raw: Int) throws {
        let flags = SegmentFlags(rawValue: UInt8(raw))
        let (world, stranger, server) = World.raw()
        stranger.send(flags) { $0.flags = flags }
        #expect(stranger.arrivals().allSatisfy { $0.flags.contains(.rst) })
        #expect(world.frontConnections == 0)
        let splice = try #require(Spliced(world, world.rawClient(port: 40_001), server, request: World.get))
        splice.client.send(flags) { $0.flags = flags }
        #expect(splice.clientArrivals(.milliseconds(1)).allSatisfy { !$0.flags.contains(.rst) && $0.payload.isEmpty })
        splice.server.advance([.ack, .psh], RawPeer.head(length: 1) + [65])
        #expect(splice.clientArrivals().flatMap(\.payload) == RawPeer.head(length: 1) + [65])
        world.check()
    }

    @Test("A15 fragments are dropped and counted")
    func a15() {
        let (world, client, _) = World.raw()
        client.send(.syn) { ($0.moreFragments, $0.dontFragment) = (true, false) }
        client.send(.syn) { ($0.fragmentOffset, $0.dontFragment) = (1_480, false) }
        #expect(client.arrivals().isEmpty)
        #expect(world.dropped(.ipFragment) == 2)
        world.check()
    }

    @Test("A17 a merged segment of 46,388 bytes is cut to the client's MSS")
    func a17() throws {
        let splice = try #require(Spliced(options: TestSegment.maximumSegmentSize(1_400)))
        let body = Tagged.bytes(1, count: 50_000)
        let head = RawPeer.head(length: body.count)
        splice.server.advance(.ack, head)
        splice.client.run()
        splice.client.acknowledge()
        splice.server.run()
        splice.client.skip()
        splice.server.advance([.ack, .psh], Array(body[..<46_388]))
        let came = splice.clientArrivals()
        #expect(came.flatMap(\.payload) == Array(body[..<46_388]))
        #expect(came.allSatisfy { $0.payload.count <= 1_400 })
        #expect(came.dropLast().allSatisfy { $0.flags == .ack })
        for (one, next) in zip(came, came.dropFirst()) { #expect(one.end == next.sequence) }
        splice.world.check()
    }

    @Test("A18 Ethernet padding behind the IP packet is not payload")
    func a18() throws {
        let (world, client, server) = World.raw()
        world.inject(client.frame(client.segment(.syn)) + [UInt8](repeating: 0xEE, count: 2), from: client)
        client.sequence &+= 1
        let answer = try #require(client.arrivals().last)
        client.acknowledgement = answer.sequence &+ 1
        world.inject(client.frame(client.segment(.ack)) + [UInt8](repeating: 0xEE, count: 6), from: client)
        #expect(server.accept() != nil)
        client.advance([.ack, .psh], World.get)
        let request = server.arrivals().flatMap(\.payload)
        #expect(request.starts(with: [UInt8](text: "GET /x/1 HTTP/1.1\r\n")))
        world.check()
    }

    @Test("A19 an 802.1Q tag is counted, not mis-read")
    func a19() {
        let (world, client, _) = World.raw()
        var frame = client.frame(client.segment(.syn))
        frame.insert(contentsOf: [0x81, 0x00, 0x00, 0x07], at: 12)
        world.inject(frame, from: client)
        #expect(client.arrivals().isEmpty)
        #expect(world.dropped(.vlanTag) == 1)
        world.check()
    }

    @Test("A20 the dispatcher's own frames, seen again, are ignored")
    func a20() throws {
        let (world, client, _) = World.raw()
        let answer = try #require(client.open())
        let own = answer.frame(from: SimulatedDispatcher.clientSideHardware, to: client.host.hardware)
        let before = world.dispatcher.snapshot.counters
        world.dispatcher.receive(SimulatedFrame(bytes: own), on: .client)
        #expect(client.arrivals().isEmpty)
        let after = world.dispatcher.snapshot.counters
        #expect(after.emitted == before.emitted && after.consumed == before.consumed && after.forwarded == before.forwarded)
        world.check()
    }

    @Test("M06 random and cut frames never stop the engine, and every one is accounted for")
    func garbage() {
        let world = World(servers: 1)
        world.client([world.exchange(.get(), .length(20_000)), world.exchange(.get(), .length(20_000))]) {
            $0.thinkTime = .milliseconds(20)
        }
        var random = world.simulation.random.fork("garbage")
        let peer = world.rawClient()
        let template = peer.frame(peer.segment([.ack, .psh], World.get))
        for index in 0..<2_000 {
            var frame = index % 3 == 0 ? random.bytes(random.below(120)) : Array(template.prefix(random.below(template.count + 1)))
            if index % 3 == 1, frame.count > 20 { frame[random.below(frame.count)] ^= UInt8(random.below(256)) }
            let side = random.chance(0.5) ? Side.client : .server
            world.simulation.after(.microseconds(Int64(index * 20))) { world.dispatcher.receive(SimulatedFrame(bytes: frame), on: side) }
        }
        world.finish()
    }
}
