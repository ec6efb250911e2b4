import DispatcherCore
import Testing

@Suite("G. SACK, timestamps, ECN")
struct OptionScenarios {
    private static let sackPermitted: [UInt8] = TestSegment.maximumSegmentSize(1_460) + [1, 1, 4, 2]
    private static let none = TestSegment.maximumSegmentSize(1_460)

    /// A long response under way to a client that has acknowledged 2,000 bytes of its body; 10,000 more were sent.
    private func inBody(
        clientOptions: [UInt8] = sackPermitted, serverOptions: [UInt8] = sackPermitted, serverSequence: UInt32 = 500_000
    ) throws -> Spliced {
        let opened = Spliced(options: clientOptions, serverOptions: serverOptions, serverSequence: serverSequence)
        var splice = try #require(opened)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 500_000) + [UInt8](repeating: 88, count: 1_000))
        splice.server.advance(.ack, [UInt8](repeating: 88, count: 1_000))
        splice.client.run()
        splice.client.acknowledge()
        splice.client.run()
        splice.clientStart = splice.client.acknowledgement
        splice.serverStart = splice.server.sequence
        for _ in 0..<10 { splice.server.advance(.ack, [UInt8](repeating: 88, count: 1_000)) }
        splice.client.run()
        splice.client.acknowledgement = splice.clientStart
        splice.client.followsPeer = false
        splice.server.skip()
        return splice
    }

    /// The client acknowledges nothing new and tells of blocks, given as offsets from where it is.
    private func answer(_ splice: Spliced, _ blocks: [(Int, Int)]) -> [(Int, Int)] {
        func client(_ offset: Int) -> UInt32 { splice.clientStart &+ UInt32(truncatingIfNeeded: offset) }
        splice.client.send(.ack) { $0.options = TestSegment.sack(blocks.map { (client($0.0), client($0.1)) }) }
        let told = splice.serverArrivals()
        guard told.count == 1 else { return [(-1, told.count)] }
        guard let bytes = told[0].optionValue(of: 5) else { return [] }
        let edges = stride(from: 0, to: bytes.count, by: 4).map { at in bytes[at..<at + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
        let offsets = edges.map { Int(Int32(bitPattern: $0 &- splice.serverStart)) }
        return stride(from: 0, to: offsets.count, by: 2).map { (offsets[$0], offsets[$0 + 1]) }
    }

    @Test("G01 G05 up to four blocks are translated, also where numbers wrap", arguments: [500_000, 0xFFFF_F000] as [UInt32])
    func g01(serverSequence: UInt32) throws {
        let splice = try inBody(serverSequence: serverSequence)
        let blocks = [(6_000, 7_000), (1_000, 2_000), (3_000, 4_000), (8_000, 10_000)]
        #expect(answer(splice, blocks).elementsEqual(blocks) { $0 == $1 })
        splice.world.check()
    }

    @Test(
        "A10 options that are not aligned: SACK at every offset, behind timestamps that nobody asked for, is read and translated right",
        arguments: 0...3)
    func a10(offset: Int) throws {
        let splice = try inBody()
        let edges = [(1_000, 2_000), (3_000, 4_000)].flatMap { [$0.0, $0.1] }
        let times: [UInt8] = [8, 10, 0, 0, 0, 9, 0, 0, 0, 0]
        splice.client.send(.ack) { segment in
            let numbers = edges.map { splice.clientStart &+ UInt32($0) }
            var sack: [UInt8] = [5, 18]
            for number in numbers { sack += [24, 16, 8, 0].map { (shift: UInt32) in UInt8(number >> shift & 255) } }
            segment.options = [UInt8](repeating: 1, count: offset) + (offset == 3 ? times : []) + sack
            segment.options += [UInt8](repeating: 1, count: (4 - segment.options.count % 4) % 4)
        }
        let told = splice.serverArrivals()
        let bytes = try #require(told.last?.optionValue(of: 5))
        let read = stride(from: 0, to: bytes.count, by: 4).map { at in bytes[at..<at + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } }
        #expect(read == edges.map { splice.serverStart &+ UInt32($0) })
        #expect(told.last?.optionValue(of: 8) == nil)
        splice.world.check()
    }

    @Test("G02 a block from an earlier response, or of what was never sent, is left out; the others stay")
    func g02() throws {
        let splice = try inBody()
        #expect(answer(splice, [(-50_000, -40_000), (1_000, 2_000)]).elementsEqual([(1_000, 2_000)]) { $0 == $1 })
        #expect(answer(splice, [(3_000, 2_000), (1_000, 2_000)]).elementsEqual([(1_000, 2_000)]) { $0 == $1 })
        #expect(answer(splice, [(9_000, 10_001), (1_000, 2_000)]).elementsEqual([(1_000, 2_000)]) { $0 == $1 })
        #expect(answer(splice, [(-50_000, -40_000)]).isEmpty)
        splice.world.check()
    }

    @Test("G03 a D-SACK, below the acknowledgement, is kept and translated (RFC 2883)")
    func g03() throws {
        let splice = try inBody()
        let blocks = [(-1_000, 0), (1_000, 2_000)]
        #expect(answer(splice, blocks).elementsEqual(blocks) { $0 == $1 })
        splice.world.check()
    }

    @Test("G04 a server without SACK sees none")
    func g04() throws {
        let splice = try inBody(serverOptions: Self.none)
        #expect(answer(splice, [(1_000, 2_000)]).isEmpty)
        splice.world.check()
    }

    @Test("G06 G10 timestamps and ECN are not negotiated, whatever the client offers")
    func g06() throws {
        let (world, client, _) = World.raw()
        client.send([.syn, .ece, .cwr]) { $0.options = Self.sackPermitted + [1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0] }
        let answer = try #require(client.arrivals().last)
        #expect(answer.flags == [.syn, .ack] && answer.optionValue(of: 8) == nil)
        world.check()
    }

    @Test("our own blocks to a client: the piece that came last first")
    func ownToClient() throws {
        let (world, client, server) = World.raw()
        client.send(.syn) { $0.options = Self.sackPermitted }
        client.sequence &+= 1
        client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
        client.send(.ack)
        #expect(server.accept() != nil)
        let bytes = [UInt8](text: "POST /x/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n") + Tagged.bytes(1, count: 500)
        let start = client.sequence
        client.skip()
        func send(_ range: Range<Int>) -> [ClosedRange<UInt32>] {
            client.send(.ack, Array(bytes[range])) { $0.sequence = start &+ UInt32(range.lowerBound) }
            return client.arrivals().last?.sackBlocks ?? []
        }
        func block(_ range: Range<Int>) -> ClosedRange<UInt32> { start &+ UInt32(range.lowerBound)...start &+ UInt32(range.upperBound) }
        #expect(send(100..<200) == [block(100..<200)])
        #expect(send(300..<400) == [block(300..<400), block(100..<200)])
        #expect(send(200..<250) == [block(100..<250), block(300..<400)])
        #expect(send(0..<100) == [block(300..<400)])
        client.send(.ack, Array(bytes[250...])) { $0.sequence = start &+ 250 }
        server.run()
        #expect(server.stream(from: server.received[0].sequence &+ 1).count > 500)
        world.check()
    }

    @Test("without SACK in the handshake no block is sent to anybody")
    func withoutSACK() throws {
        let (world, client, server) = World.raw()
        client.open()
        #expect(server.accept() != nil)
        client.send(.ack, World.get) { $0.sequence &+= 10 }
        #expect(client.arrivals().allSatisfy { $0.options.isEmpty })
        world.check()
    }

    @Test("in a tunnel blocks pass both ways, in the other side's numbers")
    func tunnel() throws {
        let upgrade = [UInt8](
            text: "GET /x/1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        let world = World(servers: 0, rawServers: 1) { $0.pools[0].open = .onRequest }
        let (client, server) = (world.rawClient(), world.rawServer())
        client.send(.syn) { $0.options = Self.sackPermitted + [1, 3, 3, 4] }
        client.sequence &+= 1
        client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
        client.advance([.ack, .psh], upgrade)
        #expect(server.accept(options: Self.sackPermitted + [1, 3, 3, 9]) != nil)
        _ = server.arrivals()
        server.advance(
            [.ack, .psh], [UInt8](text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
        client.run()
        client.acknowledge()
        client.run()
        let (clientStart, serverStart) = (client.acknowledgement, server.sequence)
        let (upStart, downStart) = (client.sequence, server.acknowledgement)
        for _ in 0..<3 { server.advance(.ack, [UInt8](repeating: 65, count: 1_000)) }
        for _ in 0..<3 { client.advance(.ack, [UInt8](repeating: 66, count: 500)) }
        client.run()
        server.skip()
        client.skip()
        client.window = 1_000
        client.send(.ack) { segment in
            segment.acknowledgement = clientStart
            segment.options = TestSegment.sack([(clientStart &+ 1_000, clientStart &+ 2_000)])
        }
        let up = try #require(server.arrivals().last)
        #expect(up.sackBlocks == [serverStart &+ 1_000...serverStart &+ 2_000])
        #expect(Int(up.window) << 7 == 1_000 << 4)
        server.window = 100
        server.send(.ack) { segment in
            segment.acknowledgement = downStart
            segment.options = TestSegment.sack([(downStart &+ 500, downStart &+ 1_500)])
        }
        let down = try #require(client.arrivals().last)
        #expect(down.sackBlocks == [upStart &+ 500...upStart &+ 1_500])
        #expect(Int(down.window) << 7 == 100 << 9)
        world.check()
    }
}
