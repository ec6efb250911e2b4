import DispatcherCore
import Testing

/// Responses in our custody (tcp.md "Who sends a response byte"), with the defaults.
@Suite("E. Staged responses")
struct StagingScenarios {
    private static let body = Tagged.bytes(7, count: 20_000)
    /// MSS 1,460 and SACK permitted.
    private static let sack: [UInt8] = [2, 4, 5, 180, 4, 2, 1, 1]

    private func staged(
        window: UInt16 = 65_535, options: [UInt8]? = nil, configure: (inout EngineConfiguration) -> Void = { _ in }
    ) throws -> Spliced {
        try #require(
            Spliced(clientWindow: window, options: options) { configuration in
                configuration.tcp.tailCustody = 64 << 10
                configure(&configuration)
            })
    }

    private func delivered(_ way: Delivery, _ world: World) -> UInt64 {
        world.dispatcher.snapshot.counters.deliveries[Int(way.rawValue)]
    }

    /// Acknowledges all that came in order, as long as something comes.
    private func readAll(_ splice: Spliced) {
        for _ in 0..<40 {
            splice.client.acknowledge()
            if splice.clientArrivals(.milliseconds(2)).isEmpty { return }
        }
    }

    @Test("E17 the slot is free with the response's last byte, though the client has acknowledged nothing")
    func freeAtOnce() throws {
        let splice = try staged()
        splice.server.advance([.ack, .psh], RawPeer.head(length: 10_000) + Self.body[..<10_000])
        let told = splice.serverArrivals(.milliseconds(50))
        #expect(told.last?.acknowledgement == splice.server.sequence, "acknowledged by us, within 40 ms")
        #expect(splice.world.firstServer.active == 0 && splice.world.firstServer.idle == 1)
        #expect(splice.world.dispatcher.snapshot.stagingBytes > 0 && delivered(.staged, splice.world) == 1)
        _ = splice.clientArrivals()
        readAll(splice)
        #expect(splice.client.stream(from: splice.clientStart) == RawPeer.head(length: 10_000) + Self.body[..<10_000])
        #expect(splice.world.dispatcher.snapshot.stagingBytes == 0)
        splice.world.check()
    }

    @Test("a response in pieces is acknowledged to the server piece by piece, and sent on without waiting for the rest")
    func inPieces() throws {
        let splice = try staged()
        let head = RawPeer.head(length: 20_000)
        splice.server.advance(.ack, head + Self.body[..<1_000])
        #expect(splice.serverArrivals().last?.acknowledgement == splice.server.sequence)
        #expect(splice.clientArrivals(.milliseconds(1)).map(\.payload.count).reduce(0, +) == head.count + 1_000)
        for start in stride(from: 1_000, to: 20_000, by: 1_000) {
            splice.server.advance(.ack, Array(Self.body[start..<start + 1_000]))
            splice.server.run(.milliseconds(1))
            splice.client.acknowledge()
            splice.client.run(.milliseconds(1))
            if start < 19_000 { #expect(splice.world.dispatcher.snapshot.stagingBytes == 32_768, "its room stays until its end has come") }
        }
        readAll(splice)
        #expect(splice.client.stream(from: splice.clientStart) == head + Self.body && splice.world.firstServer.active == 0)
        #expect(splice.world.dispatcher.snapshot.stagingBytes == 0)
        splice.world.check()
    }

    @Test("the pieces of one turn are acknowledged to the server as one")
    func acknowledgedOnceATurn() throws {
        let splice = try staged()
        splice.server.advance(.ack, RawPeer.head(length: 20_000) + Self.body[..<1_000])
        for start in [1_000, 2_000, 3_000] { splice.server.advance(.ack, Array(Self.body[start..<start + 1_000])) }
        #expect(splice.serverArrivals(.milliseconds(2)).map(\.acknowledgement) == [splice.server.sequence])
        splice.world.check()
    }

    @Test("a rest of less than two segments is waited for, a quarter of a millisecond", arguments: [true, false])
    func restIsWaitedFor(comes: Bool) throws {
        let splice = try staged()
        let all = RawPeer.head(length: 10_000) + Self.body[..<10_000]
        splice.server.advance(.ack, Array(all[..<8_000]))
        #expect(splice.serverArrivals(.microseconds(150)).isEmpty)
        if comes { splice.server.advance([.ack, .psh], Array(all[8_000...])) }
        #expect(splice.serverArrivals(.milliseconds(1)).map(\.acknowledgement) == [splice.server.sequence])
        #expect(splice.world.firstServer.active == (comes ? 0 : 1))
        splice.world.check()
    }

    @Test("pieces that come in the wrong order are kept, reported to the server and put in order")
    func outOfOrder() throws {
        let splice = try staged()
        let all = RawPeer.head(length: 3_000) + Self.body[..<3_000]
        let first = splice.server.sequence
        for start in [0, 2_000, 1_000] {
            splice.server.send(.ack, Array(all[start..<min(start + 1_000, all.count)])) { $0.sequence = first &+ UInt32(start) }
            splice.server.run(.milliseconds(1))
        }
        splice.server.send(.ack, Array(all[3_000...])) { $0.sequence = first &+ 3_000 }
        _ = splice.clientArrivals()
        #expect(splice.client.stream(from: splice.clientStart) == all && splice.world.firstServer.active == 0)
        #expect(splice.serverArrivals(.milliseconds(50)).last?.acknowledgement == first &+ UInt32(all.count))
        splice.world.check()
    }

    @Test("what the client has lost comes from us: by its reports at once, without them after three duplicates", arguments: [true, false])
    func lost(reports: Bool) throws {
        let splice = try staged(options: reports ? Self.sack : nil)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 14_000) + Self.body[..<14_000])
        let came = splice.clientArrivals(.milliseconds(1))
        #expect(came.count >= 9)
        // The first of it is lost.
        splice.client.acknowledgement = splice.clientStart
        for index in 1...3 {
            splice.client.send(.ack) { segment in
                guard reports else { return }
                let edges = [came[1].sequence, came[index].end]
                segment.options = [1, 1, 5, 10] + edges.flatMap { edge in [24, 16, 8, 0].map { UInt8(edge >> UInt32($0) & 255) } }
            }
        }
        let again = splice.clientArrivals(.milliseconds(1))
        #expect(again.first?.sequence == splice.clientStart && again.first?.payload == came[0].payload)
        #expect(splice.world.retransmitted(.answer, on: .client) == 1)
        #expect(splice.serverArrivals(.milliseconds(50)).allSatisfy { $0.acknowledgement == splice.server.sequence })
        splice.world.check()
    }

    /// A client that acknowledges what it was not sent yet would otherwise get bytes that are not its own: those that the buffer, free
    /// again, is filled with before the packet has left.
    @Test(
        "what waits to be sent stays as it is, though it is acknowledged and more comes before it has left", arguments: [1, 2],
        [true, false])
    func acknowledgedBeforeItLeft(seed: UInt64, isAll: Bool) throws {
        let world = World(seed: seed, servers: 0, rawServers: 1) { $0.tcp.tailCustody = 64 << 10 }
        let splice = try #require(
            Spliced(world, world.rawClient(), world.rawServer(sequence: 500_000), request: World.get + World.get, clientWindow: 2_920))
        let first = RawPeer.head(length: 12_000) + Self.body[..<12_000]
        let second = RawPeer.head(length: 12_000) + [UInt8](repeating: 0x2E, count: 12_000)
        splice.server.advance(.ack, isAll ? first : Array(first[..<9_000]))
        #expect(splice.clientArrivals(.milliseconds(2)).reduce(0) { $0 + $1.payload.count } == 2_920)
        splice.server.skip()
        // All in one turn: the window opens, what then waits is acknowledged, and the buffer is wanted for other bytes.
        splice.client.window = 65_535
        splice.client.send(.ack) { $0.acknowledgement = splice.clientStart &+ 2_920 }
        splice.client.send(.ack) { $0.acknowledgement = splice.clientStart &+ UInt32(isAll ? first.count : 9_000) }
        splice.server.advance([.ack, .psh], isAll ? second : Array(first[9_000...]))
        _ = splice.clientArrivals()
        if !isAll {
            // The next request goes to a server once the client has this response.
            readAll(splice)
            #expect(splice.serverArrivals().contains { !$0.payload.isEmpty })
            splice.server.advance([.ack, .psh], second)
            _ = splice.clientArrivals()
        }
        readAll(splice)
        let stream = splice.client.stream(from: splice.clientStart)
        #expect(stream.count == first.count + second.count)
        #expect(zip(stream, first + second).enumerated().first { $1.0 != $1.1 }?.offset == nil)
        splice.world.check()
    }

    @Test("the last segment is lost: a probe brings it before the timer would")
    func tailProbe() throws {
        let splice = try staged(options: Self.sack)
        // A round trip of some milliseconds is known.
        splice.server.advance([.ack, .psh], RawPeer.head(length: 100) + Self.body[..<100])
        _ = splice.clientArrivals(.milliseconds(4))
        splice.client.acknowledge()
        splice.client.run(.milliseconds(1))
        splice.client.advance([.ack, .psh], World.get)
        splice.client.run()
        let start = splice.client.acknowledgement
        splice.server.advance([.ack, .psh], RawPeer.head(length: 5_000) + Self.body[..<5_000])
        let came = splice.clientArrivals(.milliseconds(1))
        let last = try #require(came.last)
        splice.client.send(.ack) { $0.acknowledgement = last.sequence }
        let again = splice.clientArrivals(.milliseconds(190)).filter { $0.sequence == last.sequence }
        #expect(again.isEmpty, "a single segment waits 200 ms for a delayed acknowledgement")
        #expect(splice.clientArrivals(.milliseconds(60)).contains { $0.sequence == last.sequence && $0.payload == last.payload })
        #expect(splice.client.stream(from: start) == RawPeer.head(length: 5_000) + Self.body[..<5_000])
        splice.world.check()
    }

    @Test("two segments and more are lost at the end: a probe after two round trips, not the timer")
    func tailProbeOfMore() throws {
        let splice = try staged(options: Self.sack)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 100) + Self.body[..<100])
        _ = splice.clientArrivals(.milliseconds(4))
        splice.client.acknowledge()
        splice.client.run(.milliseconds(1))
        splice.client.advance([.ack, .psh], World.get)
        splice.client.run()
        splice.server.advance([.ack, .psh], RawPeer.head(length: 5_000) + Self.body[..<5_000])
        let came = splice.clientArrivals(.milliseconds(1))
        try #require(came.count >= 3)
        splice.client.send(.ack) { $0.acknowledgement = came[0].end }
        let again = splice.clientArrivals(.milliseconds(100))
        #expect(again.contains { $0.end == came.last!.end && !$0.payload.isEmpty })
        #expect(splice.world.retransmitted(.tailProbe, on: .client) == 1 && splice.world.retransmitted(.answer, on: .client) == 0)
        splice.world.check()
    }

    @Test("a client that reads nothing holds no server; it is reset after send-idle, and its memory is free")
    func slowReader() throws {
        let splice = try staged(window: 0) { $0.services[0].limits.sendIdle = .seconds(5) }
        splice.server.advance([.ack, .psh], RawPeer.head(length: 10_000) + Self.body[..<10_000])
        splice.server.run()
        #expect(splice.world.firstServer.active == 0)
        splice.world.simulation.run(for: .seconds(12))
        #expect(splice.clientArrivals().last?.flags.contains(.rst) == true)
        #expect(splice.world.dispatcher.snapshot.stagingBytes == 0 && splice.world.frontConnections == 0)
        splice.world.check()
    }

    @Test("the next client's request goes out while the first has acknowledged nothing, and neither sees the other's bytes")
    func nextClient() throws {
        let world = World(servers: 0, rawServers: 1) { $0.pools[0].servers[0].initialLimit = 1 }
        let first = world.rawClient()
        let server = world.rawServer()
        let splice = try #require(Spliced(world, first, server, request: World.get))
        let body = Tagged.bytes(1, count: 9_000)
        let start = server.sequence
        server.advance([.ack, .psh], RawPeer.head(length: 9_000) + body)
        first.run(.milliseconds(50))
        let other = try #require(Spliced(world, world.rawClient(port: 40_001), server, request: World.get))
        // The server has not heard of our acknowledgement: it sends the end of the first response again.
        server.send([.ack, .psh], Array(body[8_000...])) { $0.sequence = start &+ UInt32(RawPeer.head(length: 9_000).count + 8_000) }
        server.run()
        #expect(other.client.payloadReceived == 0 && world.dropped(.oldEpoch, on: .server) == 1)
        server.advance([.ack, .psh], RawPeer.head(length: 4) + [UInt8](text: "done"))
        _ = other.clientArrivals()
        #expect(other.client.stream(from: other.clientStart) == RawPeer.head(length: 4) + [UInt8](text: "done"))
        readAll(splice)
        #expect(first.stream(from: splice.clientStart) == RawPeer.head(length: 9_000) + body)
        world.check()
    }

    @Test("E10 bytes behind the end: the client gets its response, the server's connection is reset")
    func surplus() throws {
        let splice = try staged()
        splice.server.advance([.ack, .psh], RawPeer.head(length: 5) + [UInt8](text: "hello and more"))
        #expect(splice.serverArrivals().contains { $0.flags.contains(.rst) })
        _ = splice.clientArrivals()
        #expect(splice.client.stream(from: splice.clientStart) == RawPeer.head(length: 5) + [UInt8](text: "hello"))
        splice.world.check()
    }

    @Test("I14 the server's FIN with the last byte: its port is closed, the client stays")
    func finWithTheEnd() throws {
        let splice = try staged()
        splice.server.advance([.ack, .psh, .fin], RawPeer.head(length: 5) + [UInt8](text: "hello"))
        #expect(splice.serverArrivals().contains { $0.flags.contains(.fin) })
        #expect(splice.clientArrivals().allSatisfy { !$0.flags.contains(.fin) })
        #expect(splice.world.firstServer.active == 0 && splice.world.firstServer.idle == 0 && splice.world.frontConnections == 1)
        splice.world.check()
    }

    @Test("E24 the server ends before the response does: the client is reset", arguments: [SegmentFlags.fin, .rst])
    func truncated(flag: SegmentFlags) throws {
        let splice = try staged()
        splice.server.advance([.ack, .psh], RawPeer.head(length: 5_000) + Self.body[..<1_000])
        _ = splice.clientArrivals()
        splice.server.advance([.ack, flag])
        #expect(splice.clientArrivals().last?.flags.contains(.rst) == true)
        #expect(splice.world.firstServer.active == 0 && splice.world.dispatcher.snapshot.stagingBytes == 0)
        splice.world.check()
    }

    @Test("the server dies once all has come: the client notices nothing")
    func serverGone() throws {
        let splice = try staged()
        splice.server.advance([.ack, .psh], RawPeer.head(length: 9_000) + Self.body[..<9_000])
        splice.server.run()
        splice.server.send([.rst, .ack])
        _ = splice.clientArrivals()
        readAll(splice)
        #expect(splice.client.stream(from: splice.clientStart) == RawPeer.head(length: 9_000) + Self.body[..<9_000])
        #expect(splice.client.received.allSatisfy { !$0.flags.contains(.rst) })
        splice.world.check()
    }

    @Test("without staging memory a response goes end to end, and that is counted")
    func noMemory() throws {
        let splice = try staged { $0.tcp.stagingMemory = 4_096 }
        splice.server.advance([.ack, .psh], RawPeer.head(length: 9_000) + Self.body[..<9_000])
        splice.server.run()
        #expect(splice.world.firstServer.active == 1 && delivered(.staged, splice.world) == 0)
        #expect(delivered(.withoutMemory, splice.world) >= 1 && delivered(.endToEnd, splice.world) == 1)
        _ = splice.clientArrivals()
        readAll(splice)
        #expect(splice.world.firstServer.active == 0)
        splice.world.check()
    }

    // MARK: The end of a long response

    /// A response of `length` bytes of which all but the last `open` bytes are acknowledged by the client; the server has sent all.
    private func long(_ length: Int, open: Int, _ splice: Spliced, framing: ([UInt8]) -> [UInt8]) -> (all: [UInt8], start: UInt32) {
        let all = framing(Tagged.bytes(3, count: length))
        let start = splice.clientStart
        var sent = 0
        while sent < all.count {
            let count = min(1_400, all.count - sent)
            splice.server.advance(.ack, Array(all[sent..<sent + count]))
            sent += count
            splice.client.run(.microseconds(200))
            if sent <= all.count - open { splice.client.acknowledge() }
        }
        splice.client.run(.milliseconds(1))
        return (all, start)
    }

    @Test("of a long response the end is kept: the slot is free when all has come and the client lacks no more", arguments: [true, false])
    func tail(knowsLength: Bool) throws {
        let splice = try staged()
        let (all, start) = long(100_000, open: 30_000, splice) { body in
            knowsLength
                ? RawPeer.head(length: body.count) + body
                : [UInt8](text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") + Chunked.encode(body, size: 5_000)
        }
        #expect(splice.world.firstServer.active == 0 && splice.world.firstServer.idle == 1)
        #expect(delivered(.endToEnd, splice.world) == 1 && delivered(.tailKept, splice.world) == 1)
        #expect(splice.serverArrivals(.milliseconds(50)).last?.acknowledgement == splice.server.sequence)
        // Two segments of it are lost: they are ours to send again.
        let missing = splice.client.acknowledgement &- 2_800
        splice.client.acknowledgement = missing
        for _ in 0..<4 { splice.client.send(.ack) { $0.acknowledgement = missing } }
        splice.client.run(.milliseconds(2))
        #expect(splice.world.retransmitted(.answer, on: .client) >= 1)
        splice.client.acknowledgement = start &+ UInt32(all.count)
        splice.client.acknowledge()
        splice.client.run()
        #expect(splice.client.stream(from: start) == all && splice.world.dispatcher.snapshot.stagingBytes == 0)
        splice.world.check()
    }

    @Test("what is open of the response is more than is kept: the slot stays until the client has acknowledged enough")
    func tailTooLong() throws {
        let splice = try staged { $0.tcp.tailCustody = 8_192 }
        let (all, start) = long(60_000, open: 20_000, splice) { RawPeer.head(length: $0.count) + $0 }
        #expect(splice.world.firstServer.active == 1)
        splice.client.send(.ack) { $0.acknowledgement = start &+ UInt32(all.count - 8_192) }
        splice.client.run(.milliseconds(1))
        #expect(splice.world.firstServer.active == 0 && delivered(.tailKept, splice.world) == 1)
        splice.client.acknowledge()
        splice.client.run()
        #expect(splice.client.stream(from: start) == all && splice.world.dispatcher.snapshot.stagingBytes == 0)
        splice.world.check()
    }

    @Test(
        "what a client's path took a moment ago is shown to the server at the start of its next response, an old figure is not",
        arguments: [true, false])
    func trustedFlight(recent: Bool) throws {
        let splice = try staged { $0.tcp.tailCustody = 0 }
        _ = long(120_000, open: 45_000, splice) { RawPeer.head(length: $0.count) + $0 }
        splice.client.acknowledge()
        splice.client.run(recent ? .milliseconds(20) : .seconds(5))
        splice.server.skip()
        splice.client.advance([.ack, .psh], World.get)
        splice.server.run(.milliseconds(1))
        let shown = Int(try #require(splice.serverArrivals().last).window)
        #expect(recent ? shown >= 40_000 : shown <= 14_720, "\(shown) bytes shown")
        splice.world.check()
    }

    @Test("as slow start would, a path is asked for twice what it took, until it loses something; bytes that came twice are no loss")
    func trustGrows() throws {
        // Field for field: neither end scales.
        let splice = try staged(options: Self.sack) { $0.tcp.tailCustody = 0 }
        /// The window shown for the next request, after a response of `length` bytes of which all but the last segment is acknowledged at
        /// once, and before that what `report` says.
        func shown(after length: Int, report: ([TestSegment]) -> Void = { _ in }) throws -> Int {
            let start = splice.client.acknowledgement
            let all = RawPeer.head(length: length) + Self.body[..<length]
            var came: [TestSegment] = []
            for at in stride(from: 0, to: all.count, by: 1_400) {
                splice.server.advance(.ack, Array(all[at..<min(at + 1_400, all.count)]))
            }
            came += splice.clientArrivals(.milliseconds(1))
            report(came)
            splice.client.acknowledge()
            splice.server.run(.milliseconds(5))
            #expect(splice.client.stream(from: start) == all)
            splice.server.skip()
            splice.client.advance([.ack, .psh], World.get)
            return Int(try #require(splice.serverArrivals(.milliseconds(5)).last { !$0.payload.isEmpty }).window)
        }
        func option(_ start: UInt32, _ end: UInt32) -> [UInt8] {
            [1, 1, 5, 10] + [start, end].flatMap { edge in [24, 16, 8, 0].map { UInt8(edge >> UInt32($0) & 255) } }
        }
        let grown = try shown(after: 14_000)
        #expect(grown >= 2 * 14_000 && grown < 2 * 14_300, "\(grown)")
        let twice = try shown(after: 14_000) { came in
            splice.client.send(.ack) {
                $0.acknowledgement = came[2].end
                $0.options = option(came[1].sequence, came[1].end)
            }
        }
        #expect(twice >= 2 * 12_000, "\(twice): the second segment came twice, and none was lost")
        let lost = try shown(after: 14_000) { came in
            splice.client.send(.ack) {
                $0.acknowledgement = came[0].end
                $0.options = option(came[2].sequence, came[2].end)
            }
        }
        #expect(lost <= 14_720, "\(lost): a gap was reported")
        splice.world.check()
    }
}
