import DispatcherCore
import Testing

@Suite("E. Responses: translation from server to client")
struct ResponseScenarios {
    private let head = RawPeer.head(length: 10_000)
    private let body = Tagged.bytes(1, count: 10_000)

    /// A splice whose head the client has acknowledged: from here on everything goes end to end.
    private func inBody(length: Int = 10_000, window: UInt16 = 65_535, configure: (inout EngineConfiguration) -> Void = { _ in }) throws
        -> Spliced
    {
        let opened = Spliced(clientWindow: window, configure: configure)
        var splice = try #require(opened)
        splice.server.advance([.ack, .psh], RawPeer.head(length: length))
        splice.client.run()
        splice.client.acknowledge()
        splice.client.run()
        splice.client.skip()
        splice.server.skip()
        splice.clientStart = splice.client.acknowledgement
        splice.serverStart = splice.server.sequence
        return splice
    }

    @Test("E01 E25 the first segment: seq B0 becomes X0, the acknowledgement is ours")
    func e01() throws {
        let splice = try #require(Spliced())
        splice.server.advance([.ack, .psh], RawPeer.head(length: 3) + [1, 2, 3])
        let came = splice.clientArrivals()
        #expect(came.count == 1 && came[0].sequence == splice.clientStart && came[0].acknowledgement == splice.client.sequence)
        #expect(came[0].payload == RawPeer.head(length: 3) + [1, 2, 3])
        #expect(came[0].source == World.service && came[0].destination == splice.client.local)
        splice.world.check()
    }

    @Test("E01 E04 body segments are translated one by one, and acknowledged to the server when the client has")
    func e04() throws {
        let splice = try inBody()
        for start in stride(from: 0, to: 4_000, by: 1_000) { splice.server.advance(.ack, Array(body[start..<start + 1_000])) }
        let came = splice.clientArrivals()
        #expect(came.map(\.sequence) == (0..<4).map { splice.clientStart &+ UInt32($0 * 1_000) })
        #expect(splice.serverArrivals(.milliseconds(100)).allSatisfy { Int32(bitPattern: $0.acknowledgement &- splice.serverStart) <= 0 })
        splice.client.send(.ack) { $0.acknowledgement = splice.clientStart &+ 2_000 }
        let passed = splice.serverArrivals()
        #expect(passed.count == 1 && passed[0].acknowledgement == splice.serverStart &+ 2_000 && passed[0].payload.isEmpty)
        splice.world.check()
    }

    @Test("E05 a segment lost toward the client: duplicates pass, the server sends it again, the dispatcher does not")
    func e05() {
        let world = World { $0.tcp.tailCustody = 0 }
        world.client([world.exchange(.get(), .length(60_000))])
        var data = 0
        world.links["client1"]!.down.filter = { segment in
            if !segment.payload.isEmpty { data += 1 }
            return segment.payload.isEmpty || data != 6
        }
        var connection: TestTCPEndpoint?
        world.servers[0].onRequest = { _ in connection = world.servers[0].connections[0].endpoint }
        world.runClients()
        #expect(connection?.fastRetransmissions == 1 && connection?.timeouts == 0)
        world.finish()
        #expect(world.dispatcher.snapshot.counters.retransmitted[0].reduce(0, +) == 0)
    }

    @Test("E06 E07 segments lost or reordered toward the dispatcher")
    func e06() {
        let world = World()
        world.client([world.exchange(.get(), .length(60_000)), world.exchange(.get(), .chunked(60_000, size: 900))])
        var data = 0
        world.links["server1"]!.up.filter = { segment in
            if !segment.payload.isEmpty { data += 1 }
            return segment.payload.isEmpty || ![2, 9, 50].contains(data)
        }
        world.finish()
    }

    @Test("E06 unknown length: what waits beyond a gap is told to the server once the client has what is before it")
    func e06Duplicates() throws {
        let splice = try #require(Spliced())
        splice.server.advance([.ack, .psh], [UInt8](text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\n"))
        let before = splice.server.sequence
        let lost = splice.server.segment(.ack, Array(body[..<1_000]))
        splice.server.sequence = lost.end
        for start in stride(from: 1_000, to: 6_000, by: 1_000) { splice.server.advance(.ack, Array(body[start..<start + 1_000])) }
        #expect(splice.serverArrivals(.milliseconds(20)).isEmpty)
        splice.client.acknowledge()
        splice.client.skip()
        let told = splice.serverArrivals()
        #expect(told.count == 4 && told.allSatisfy { $0.acknowledgement == before && $0.payload.isEmpty && $0.window == told[0].window })
        splice.server.send(lost)
        #expect(splice.clientArrivals().flatMap(\.payload) == Array(body[..<6_000]))
        splice.world.check()
    }

    @Test("E07 a body of known length is forwarded as it comes")
    func e07() throws {
        let splice = try inBody()
        let parts = (0..<3).map { Array(body[$0 * 1_000..<($0 + 1) * 1_000]) }
        for index in [1, 0, 2] {
            splice.server.send(.ack, parts[index]) { $0.sequence = splice.serverStart &+ UInt32(index * 1_000) }
        }
        let came = splice.clientArrivals().filter { !$0.payload.isEmpty }
        #expect(came.map { $0.sequence &- splice.clientStart } == [1_000, 0, 2_000])
        splice.world.check()
    }

    @Test("E08 E09 an old response sent again while another client's runs: not one byte is forwarded")
    func e08() throws {
        let splice = try #require(Spliced { $0.pools[0].servers[0].initialLimit = 1 })
        let (world, server) = (splice.world, splice.server)
        let first = RawPeer.head(length: 500) + Tagged.bytes(1, count: 500)
        let firstAt = server.sequence
        server.advance([.ack, .psh], first)
        splice.client.run()
        splice.client.acknowledge()
        server.run()
        let second = try #require(
            Spliced(world, world.rawClient(port: 40_002), server, request: [UInt8](text: "GET /x/2 HTTP/1.1\r\nHost: b\r\n\r\n")))
        #expect(second.request.starts(with: [UInt8](text: "GET /x/2")))
        splice.client.skip()
        server.send([.ack, .psh], first) { $0.sequence = firstAt }
        server.send([.ack, .psh], Array(first.suffix(100))) { $0.sequence = firstAt &+ UInt32(first.count - 100) }
        #expect(second.clientArrivals().allSatisfy { $0.payload.isEmpty })
        #expect(splice.clientArrivals().allSatisfy { $0.payload.isEmpty })
        #expect(server.arrivals().contains { $0.flags == .ack && $0.acknowledgement == server.sequence })
        // One that begins in the old epoch and ends in the new is cut (E09).
        let answer = RawPeer.head(length: 5) + [UInt8](text: "hello")
        server.send([.ack, .psh], Array(first.suffix(50)) + answer) { $0.sequence &-= 50 }
        #expect(second.clientArrivals().flatMap(\.payload) == answer)
        world.check()
    }

    @Test("E10 bytes behind the end reset the server's connection and reach nobody")
    func e10() {
        let world = World()
        var surplus = ResponsePlan.length(3_000)
        surplus.fault = .surplus(10)
        let client = world.client([world.exchange(.get(), surplus), world.exchange()]) { $0.thinkTime = .milliseconds(100) }
        world.finish()
        #expect(client.outcome == .complete)
        #expect(world.servers[0].connectionsAccepted == 2 && world.servers[0].host.resetsReceived >= 1)
        #expect(
            world.dropped(.beyondResponse, on: .server) + world.dropped(.whileIdle, on: .server) >= 1
                || world.servers[0].host.resetsReceived >= 1)
    }

    @Test("E11 an acknowledgement of what was never sent: challenge, nothing passes")
    func e11() throws {
        let splice = try inBody()
        splice.server.advance(.ack, Array(body[..<1_000]))
        splice.client.run()
        splice.client.skip()
        splice.server.skip()
        splice.client.send(.ack) { $0.acknowledgement = splice.clientStart &+ 5_000 }
        let answer = splice.clientArrivals()
        #expect(answer.count == 1 && answer[0].flags == .ack && answer[0].acknowledgement == splice.client.sequence)
        #expect(splice.serverArrivals().isEmpty)
        #expect(splice.world.dropped(.acknowledgesUnsent) == 1)
        splice.world.check()
    }

    @Test("E12 H12 a very old acknowledgement, with or without data, is not taken")
    func e12() throws {
        let splice = try inBody()
        splice.server.advance(.ack, Array(body[..<1_000]))
        splice.client.run()
        splice.client.acknowledge()
        splice.client.run()
        splice.client.skip()
        splice.server.skip()
        splice.client.send([.ack, .psh], World.get) { $0.acknowledgement = splice.clientStart &- 0x1000_0000 }
        #expect(splice.clientArrivals().allSatisfy { $0.flags == .ack && $0.acknowledgement == splice.client.sequence })
        #expect(splice.serverArrivals().isEmpty)
        #expect(splice.world.dropped(.oldAcknowledgement) == 1)
        splice.world.check()
    }

    @Test("E13 three duplicates reach the server as three, with the same window")
    func e13() throws {
        let splice = try inBody()
        for start in stride(from: 0, to: 5_000, by: 1_000) { splice.server.advance(.ack, Array(body[start..<start + 1_000])) }
        splice.client.run()
        splice.client.send(.ack) { $0.acknowledgement = splice.clientStart &+ 1_000 }
        splice.server.run()
        splice.server.skip()
        for _ in 0..<3 { splice.client.send(.ack) { $0.acknowledgement = splice.clientStart &+ 1_000 } }
        let passed = splice.serverArrivals()
        #expect(passed.count == 3)
        #expect(
            passed.allSatisfy { $0.acknowledgement == splice.serverStart &+ 1_000 && $0.window == passed[0].window && $0.payload.isEmpty })
        splice.world.check()
    }

    @Test("E13 acknowledgements of one turn go on as one, and duplicates among them as they came, behind it")
    func acknowledgementsOfATurn() throws {
        let splice = try inBody()
        for start in stride(from: 0, to: 5_000, by: 1_000) { splice.server.advance(.ack, Array(body[start..<start + 1_000])) }
        splice.client.run()
        splice.server.skip()
        for number: UInt32 in [1_000, 2_000, 3_000] { splice.client.send(.ack) { $0.acknowledgement = splice.clientStart &+ number } }
        #expect(splice.serverArrivals().map(\.acknowledgement) == [splice.serverStart &+ 3_000])
        for number: UInt32 in [4_000, 4_000, 4_000, 4_000] {
            splice.client.send(.ack) { $0.acknowledgement = splice.clientStart &+ number }
        }
        let passed = splice.serverArrivals()
        #expect(passed.map(\.acknowledgement) == [UInt32](repeating: splice.serverStart &+ 4_000, count: 4))
        #expect(passed.allSatisfy { $0.window == passed[0].window && $0.payload.isEmpty })
        splice.world.check()
    }

    @Test("E14 pipelined data with an unchanged acknowledgement makes no duplicate for the server")
    func e14() throws {
        let splice = try inBody()
        for start in stride(from: 0, to: 5_000, by: 1_000) { splice.server.advance(.ack, Array(body[start..<start + 1_000])) }
        splice.client.run()
        splice.client.send(.ack) { $0.acknowledgement = splice.clientStart &+ 1_000 }
        splice.server.run()
        splice.server.skip()
        let next = [UInt8](text: "GET /x/2 HTTP/1.1\r\nHost: a\r\n\r\n")
        splice.client.send([.ack, .psh], Array(next[..<10])) { $0.acknowledgement = splice.clientStart &+ 1_000 }
        splice.client.send([.ack, .psh], Array(next[10...])) {
            ($0.sequence, $0.acknowledgement) = ($0.sequence &+ 10, splice.clientStart &+ 1_000)
        }
        #expect(splice.serverArrivals().isEmpty)
        splice.world.check()
    }

    @Test("E15 an acknowledgement of many segments is forwarded as one")
    func e15() throws {
        let splice = try inBody(length: 50_000)
        for start in stride(from: 0, to: 10_000, by: 500) { splice.server.advance(.ack, Array(body[start..<start + 500])) }
        splice.client.run()
        splice.server.skip()
        splice.client.acknowledge()
        let passed = splice.serverArrivals()
        #expect(passed.count == 1 && passed[0].acknowledgement == splice.server.sequence)
        splice.world.check()
    }

    @Test("E16 the last acknowledgement is lost toward the server: it sends again and is answered by the dispatcher")
    func e16() throws {
        let splice = try inBody()
        splice.server.advance([.ack, .psh], body)
        splice.client.run()
        splice.world.links["raw-server1"]!.down.filter = { _ in false }
        splice.client.acknowledge()
        splice.client.run()
        splice.client.skip()
        splice.world.links["raw-server1"]!.down.filter = nil
        splice.server.skip()
        splice.server.send([.ack, .psh], Array(body.suffix(1_000))) { $0.sequence &-= 1_000 }
        #expect(splice.serverArrivals().contains { $0.flags == .ack && $0.acknowledgement == splice.server.sequence })
        #expect(splice.clientArrivals().isEmpty)
        #expect(splice.world.firstServer.active == 0 && splice.world.firstServer.idle == 1)
        splice.world.check()
    }

    @Test("E17 end to end, a slot is busy until the client has acknowledged the end")
    func e17() throws {
        let splice = try inBody()
        splice.server.advance([.ack, .psh], body)
        splice.client.run(.milliseconds(500))
        #expect(splice.world.firstServer.active == 1)
        splice.client.acknowledge()
        splice.client.run()
        #expect(splice.world.firstServer.active == 0 && splice.world.firstServer.idle == 1)
        splice.world.check()
    }

    @Test("E21 interim responses pass to 1.1 clients in the same epoch")
    func e21() {
        let world = World()
        var response = ResponsePlan.length(2_000)
        response.interim = 3
        world.client([world.exchange(.get(), response), world.exchange()])
        world.finish()
    }

    @Test("E23 a response that ends by close: the FIN reaches the client, the port is free")
    func e23() {
        let world = World()
        var response = ResponsePlan()
        response.framing = .untilClose(40_000)
        let client = world.client([world.exchange(.get(), response)])
        world.finish()
        #expect(client.end == .finished)
        #expect(world.firstServer.idle == 0)
    }

    @Test("E24 a FIN before the promised length: the client is reset, so that truncation shows")
    func e24() {
        let world = World()
        var response = ResponsePlan.length(20_000)
        response.fault = .finish(after: 9_000)
        let client = world.client([world.exchange(.get(), response)]) { $0.mayFail = true }
        world.finish(expectComplete: false)
        #expect(client.outcome == .reset)
    }

    @Test("I14 a FIN on the last segment of a known length: the client stays, the server's FIN is acknowledged")
    func i14() throws {
        let splice = try inBody(length: 1_000)
        splice.server.advance([.ack, .psh, .fin], Array(body[..<1_000]))
        let came = splice.clientArrivals()
        #expect(came.flatMap(\.payload).count == 1_000 && came.allSatisfy { !$0.flags.contains(.fin) })
        splice.client.acknowledge()
        let answer = splice.serverArrivals(.milliseconds(50))
        #expect(answer.contains { $0.acknowledgement == splice.server.sequence })
        #expect(splice.world.frontConnections == 1 && splice.world.firstServer.idle == 0)
        splice.world.check()
    }

    @Test("E06 a gap before a whole window of a response of unknown length: everything that was kept passes")
    func gapOfAWindow() throws {
        let opened = Spliced { $0.tcp.initialWindow = .client }
        let splice = try #require(opened)
        splice.server.advance([.ack, .psh], [UInt8](text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
        splice.client.run()
        splice.client.acknowledge()
        splice.server.run()
        let (start, clientStart) = (splice.server.sequence, splice.client.acknowledgement)
        let body = [UInt8](text: "ffffff\r\n") + Tagged.bytes(1, count: 65_527)
        for at in stride(from: 1_000, to: body.count, by: 1_400) {
            splice.server.send(.ack, Array(body[at..<min(at + 1_400, body.count)])) { $0.sequence = start &+ UInt32(at) }
        }
        splice.server.send(.ack, Array(body[..<1_000])) { $0.sequence = start }
        splice.client.run()
        #expect(splice.client.stream(from: clientStart) == body)
        splice.world.check()
    }
}
