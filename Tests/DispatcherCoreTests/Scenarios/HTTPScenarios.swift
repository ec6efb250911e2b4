import DispatcherCore
import Testing

@Suite("HTTP through the dispatcher")
struct HTTPScenarios {
    @Test("every framing of a response arrives byte for byte, one after the other on one connection")
    func framings() {
        let world = World()
        var head = RequestPlan.get()
        head.method = "HEAD"
        var noContent = ResponsePlan()
        (noContent.status, noContent.framing) = (204, .none)
        var notModified = ResponsePlan.length(777)
        notModified.status = 304
        var early = ResponsePlan.chunked(3_000, size: 100)
        early.interim = 2
        var long = ResponsePlan.length(100)
        long.headSize = 12_000
        world.client([
            world.exchange(.get(), .length(0)), world.exchange(head, .length(123_456)), world.exchange(.get(), noContent),
            world.exchange(.get(), notModified), world.exchange(.get(), early), world.exchange(.get(), .chunked(200_000, size: 16_384)),
            world.exchange(.get(), long), world.exchange(.get(), .length(300_000)), world.exchange(.get(), .chunked(0, size: 10)),
        ])
        world.finish()
        #expect(world.servers[0].connectionsAccepted == 1)
        #expect(
            world.dispatcher.snapshot.counters.retransmitted.flatMap { $0 }.allSatisfy { $0 == 0 },
            "\(world.dispatcher.snapshot.counters.retransmitted)")
    }

    @Test("responses written in pieces of any size, heads and chunks cut anywhere", arguments: [1, 2, 3, 17, 100, 1_000])
    func pieces(size: Int) {
        let world = World()
        for kind in 0..<3 {
            var response = kind == 0 ? ResponsePlan.length(900) : ResponsePlan.chunked(900, size: 37)
            response.pieces = size
            response.pause = .microseconds(400)
            response.interim = kind == 2 ? 1 : 0
            world.client([world.exchange(.get(), response), world.exchange(.get(), response)])
        }
        world.finish()
    }

    @Test("a head that spans segments is held until it is complete, then sent whole")
    func longHead() throws {
        let splice = try #require(Spliced())
        let head = [UInt8](text: "HTTP/1.1 200 OK\r\nX-A: " + String(repeating: "a", count: 3_000) + "\r\nContent-Length: 4\r\n\r\n")
        splice.server.advance(.ack, Array(head[..<1_400]))
        #expect(splice.clientArrivals(.milliseconds(20)).allSatisfy { $0.payload.isEmpty })
        #expect(
            splice.server.received.last?.acknowledgement == splice.server.sequence
                || splice.serverArrivals(.milliseconds(100)).last?.acknowledgement == splice.server.sequence)
        splice.server.advance(.ack, Array(head[1_400...]))
        splice.server.advance([.ack, .psh], [UInt8](text: "done"))
        splice.client.run()
        #expect(splice.client.stream(from: splice.clientStart) == head + [UInt8](text: "done"))
        splice.world.check()
    }

    @Test("a staged head that is lost toward the client is sent again by the dispatcher")
    func lostHead() {
        let world = World()
        var response = ResponsePlan.length(20_000)
        response.headSize = 5_000
        world.client([world.exchange(.get(), response), world.exchange(.get(), response)])
        var data = 0
        world.links["client1"]!.down.filter = { segment in
            if !segment.payload.isEmpty { data += 1 }
            return segment.payload.isEmpty || ![1, 3, 20].contains(data)
        }
        world.finish()
    }

    @Test("a staged head without a body that is lost is sent again too; the connection is not forgotten")
    func lostHeadWithoutBody() {
        let world = World()
        // Long after the request was acknowledged, so that no other timer is armed.
        var response = ResponsePlan.length(0).after(.milliseconds(500))
        response.headSize = 5_000
        world.client([world.exchange(.get(), response), world.exchange()])
        var lost = 0
        world.links["client1"]!.down.filter = { segment in
            if !segment.payload.isEmpty, lost < 6 {
                lost += 1
                return false
            }
            return true
        }
        world.finish(atMost: .seconds(60))
    }

    @Test(
        "requests that are refused get their documented answer and close; they never reach a server",
        arguments: [
            (400, "GET /x/1 HTTP/1.1\r\n\r\n"), (400, "GET  /x/1 HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET /x/1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
            (400, "POST /x/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            (400, "GET /x/1 HTTP/1.1\r\nHost : a\r\n\r\n"), (400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            (400, "\u{1}\u{2}\u{3}\u{4} garbage\r\n\r\n"),
            (501, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), (417, "GET /x/1 HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n"),
            (413, "POST /x/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n"),
        ])
    func refused(status: Int, text: String) {
        let world = World()
        var request = RequestPlan.get()
        request.raw = [UInt8](text: text)
        let exchange = world.exchange(request)
        let client = world.client([exchange]) { script in
            script.ownAnswers = [exchange.id: status]
            script.ending = .stay
        }
        world.runClients(atMost: .seconds(10))
        #expect(client.ownStatuses == [status])
        #expect(world.servers[0].requestsServed == 0)
        world.client([world.exchange()])
        world.finish(expectComplete: false)
        #expect(world.clients[1].outcome == .complete)
    }

    @Test("a head of 100 KiB: 431; too many fields: 431; a body above the limit: 413")
    func limits() {
        let world = World()
        var long = RequestPlan.get()
        long.fields = (0..<50).map { ("X-\($0)", String(repeating: "v", count: 2_000)) }
        var many = RequestPlan.get()
        many.fields = (0..<150).map { ("X-\($0)", "v") }
        for (request, status) in [(long, 431), (many, 431), (RequestPlan.post(1 << 20 | 1), 413)] {
            let exchange = world.exchange(request)
            let client = world.client([exchange]) { script in
                script.ownAnswers = [exchange.id: status]
                script.mayFail = true
            }
            world.runClients(atMost: .seconds(20))
            #expect(client.ownStatuses == [status])
        }
        world.client([world.exchange()])
        world.finish(expectComplete: false)
        #expect(world.clients[3].outcome == .complete && world.servers[0].requestsServed == 1)
    }

    @Test("Expect: 100-continue is answered when the body may come, and not forwarded")
    func expectContinue() {
        let world = World()
        let exchange = world.exchange(RequestPlan.post(2_000).with("Expect", "100-continue"))
        let client = world.client([exchange]) { script in
            script.writeSize = 60
            script.ownAnswers = [exchange.id: 0]
        }
        world.finish(expectComplete: false)
        #expect(client.ownStatuses.last == 200 && exchange.deliveries == 1)
        #expect(client.ownStatuses.dropLast().allSatisfy { $0 == 100 })
    }

    @Test(
        "nonsense from a server: 502, that connection is closed, the next request works",
        arguments: [
            "garbage\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nab",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nabcde",
        ])
    func nonsense(text: String) {
        let world = World()
        var response = ResponsePlan()
        response.fault = .nonsense([UInt8](text: text))
        let bad = world.exchange(.get(), response)
        let client = world.client([bad]) { script in
            script.ownAnswers = [bad.id: 502]
            script.ending = .stay
        }
        world.runClients(atMost: .seconds(10))
        #expect(client.ownStatuses == [502])
        world.client([world.exchange()])
        world.finish(expectComplete: false)
        #expect(world.clients[1].outcome == .complete && world.servers[0].connectionsAccepted == 2)
    }

    @Test("a head above the limit from a server: 502")
    func longResponseHead() {
        let world = World()
        var response = ResponsePlan.length(10)
        response.headSize = 40_000
        let exchange = world.exchange(.get(), response)
        let client = world.client([exchange]) { $0.ownAnswers = [exchange.id: 502] }
        world.finish(expectComplete: false)
        #expect(client.ownStatuses == [502])
    }

    @Test("a broken chunk in the middle: the client is reset, the server's connection too")
    func brokenChunk() throws {
        let splice = try #require(Spliced())
        splice.server.advance([.ack, .psh], [UInt8](text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"))
        splice.client.run(.milliseconds(50))
        #expect(
            splice.client.received.contains { $0.flags.contains(.rst) }
                || splice.client.received.contains { $0.payload.starts(with: [UInt8](text: "HTTP/1.1 502")) })
        #expect(splice.server.received.contains { $0.flags.contains(.rst) })
        splice.world.check()
    }

    @Test("a silent server: 504 after the response time")
    func silence() {
        let world = World { $0.pools[0].responseTimeout = .seconds(3) }
        var response = ResponsePlan()
        response.fault = .silence
        let exchange = world.exchange(.get(), response)
        let client = world.client([exchange]) { $0.ownAnswers = [exchange.id: 504] }
        world.runClients(atMost: .milliseconds(3_500))
        #expect(client.ownStatuses == [504])
        world.finish(expectComplete: false)
        #expect(world.firstServer.active == 0)
    }

    @Test("a server that resets before a byte: repeated once for a method that may be, else 502", arguments: ["GET", "POST"])
    func reset(method: String) {
        let world = World()
        world.servers[0].mayRepeat = true
        var request = RequestPlan.get()
        request.method = method
        request.body = method == "POST" ? 100 : 0
        var response = ResponsePlan.length(100)
        response.fault = .reset(after: 0)
        let exchange = world.exchange(request, response)
        let client = world.client([exchange]) { $0.ownAnswers = [exchange.id: 502] }
        world.finish(expectComplete: false)
        #expect(client.ownStatuses == [502])
        #expect(exchange.deliveries == (method == "GET" ? 2 : 1))
    }

    @Test("a server that resets in the middle: the client is reset")
    func resetInBody() {
        let world = World()
        var response = ResponsePlan.length(50_000)
        response.fault = .reset(after: 20_000)
        let client = world.client([world.exchange(.get(), response)]) { $0.mayFail = true }
        world.finish(expectComplete: false)
        #expect(client.outcome == .reset)
    }

    @Test("a response with Connection: close ends the client's connection; pipelined requests behind it are dropped")
    func closeDropsPipeline() {
        let world = World()
        var closing = ResponsePlan.length(3_000)
        closing.closes = true
        let client = world.client([world.exchange(.get(), closing), world.exchange(), world.exchange()]) { script in
            script.pipeline = 3
            script.mayFail = true
        }
        world.finish(expectComplete: false)
        #expect(client.answered == 1 && world.servers[0].requestsServed == 1)
        #expect(client.end == .finished || client.end == .resetByPeer)
    }
}
