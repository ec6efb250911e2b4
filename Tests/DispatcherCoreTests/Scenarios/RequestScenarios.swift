import DispatcherCore
import Testing

@Suite("D. Requests: client to dispatcher to server")
struct RequestScenarios {
    private static let get2 = [UInt8](text: "GET /x/2 HTTP/1.1\r\nHost: test.example\r\n\r\n")

    @Test("D01 a request is acknowledged at once in the source's way")
    func d01() throws {
        let splice = try #require(Spliced { $0.tcp.acknowledge = .immediate })
        let bare = splice.client.received.filter { $0.flags == .ack && $0.acknowledgement == splice.client.sequence }
        #expect(bare.count == 1)
        splice.world.check()
    }

    @Test("D01 by default the response's first segment acknowledges it, or a timer of 40 ms")
    func withResponse() throws {
        let quick = try #require(Spliced())
        #expect(!quick.client.received.contains { $0.acknowledgement == quick.client.sequence && $0.payload.isEmpty })
        quick.server.advance([.ack, .psh], RawPeer.head(length: 1) + [65])
        let came = quick.clientArrivals()
        #expect(came.count == 1 && came[0].acknowledgement == quick.client.sequence)
        quick.world.check()

        let slow = try #require(Spliced())
        let start = slow.client.times.last!
        slow.client.run(.milliseconds(100))
        let at = try #require(slow.client.received.lastIndex { $0.flags == .ack && $0.acknowledgement == slow.client.sequence })
        #expect((30...45).contains((slow.client.times[at] - start).milliseconds - 0) || (slow.client.times[at] - start).milliseconds <= 60)
        slow.world.check()
    }

    @Test("D02 a request in segments of one byte is one request")
    func d02() {
        let world = World()
        world.client([world.exchange()]) { script in
            script.writeSize = 1
            script.writePause = .milliseconds(3)
        }
        world.finish()
        #expect(world.servers[0].requestsServed == 1)
    }

    @Test("D04 D05 overlapping retransmissions: every byte once, the first one received wins")
    func d04() throws {
        for changes in [false, true] {
            let (world, client, server) = World.raw()
            client.open()
            #expect(server.accept() != nil)
            let start = server.acknowledgement
            let bytes = World.get
            client.send(.ack, Array(bytes[..<30]))
            client.run(.milliseconds(1))
            var overlap = Array(bytes[10...])
            if changes { for index in 0..<10 { overlap[index] = UInt8(ascii: "!") } }
            client.send([.ack, .psh], overlap) { $0.sequence &+= 10 }
            server.run()
            #expect(server.stream(from: start).starts(with: [UInt8](text: "GET /x/1 HTTP/1.1\r\n")))
            #expect(String(decoding: server.stream(from: start), as: UTF8.self).contains("test.example"))
            world.check()
        }
    }

    @Test("D06 a repeated request is acknowledged again and dispatched once")
    func d06() throws {
        let splice = try #require(Spliced())
        splice.server.skip()
        for _ in 0..<3 { splice.client.send([.ack, .psh], World.get) { $0.sequence &-= UInt32(World.get.count) } }
        let answers = splice.clientArrivals()
        #expect(!answers.isEmpty && answers.allSatisfy { $0.flags == .ack && $0.acknowledgement == splice.client.sequence })
        #expect(splice.serverArrivals().filter { !$0.payload.isEmpty }.isEmpty)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 1) + [65])
        #expect(splice.clientArrivals().flatMap(\.payload) == RawPeer.head(length: 1) + [65])
        splice.world.check()
    }

    @Test("D07 a request that is lost toward the server is retransmitted with the same number, its timeout doubling")
    func d07() throws {
        let (world, client, server) = World.raw()
        client.open()
        #expect(server.accept() != nil)
        var lost: [(UInt32, Instant)] = []
        world.links["raw-server1"]!.down.filter = { segment in
            guard !segment.payload.isEmpty else { return true }
            lost.append((segment.sequence, world.simulation.now))
            return lost.count > 4
        }
        client.advance([.ack, .psh], World.get)
        server.run(.seconds(60))
        #expect(lost.count >= 4 && Set(lost.map(\.0)).count == 1)
        let gaps = zip(lost, lost.dropFirst()).map { ($1.1 - $0.1).milliseconds }
        #expect(gaps.first ?? 0 >= 200)
        for (one, next) in zip(gaps, gaps.dropFirst()) { #expect(abs(next - 2 * one) <= one / 5, "gaps \(gaps)") }
        world.check()
    }

    @Test("D08 the response acknowledges the request: nothing is retransmitted")
    func d08() {
        let world = World()
        world.links["server1"]!.up.filter = { !($0.flags == .ack && $0.payload.isEmpty) }
        world.client([world.exchange(.get(), ResponsePlan.length(700).after(.milliseconds(150)))])
        world.finish()
        #expect(world.retransmitted(.request, on: .server) == 0)
    }

    @Test("D09 a partial acknowledgement: only the rest comes again")
    func d09() throws {
        let (world, client, server) = World.raw()
        client.open()
        #expect(server.accept() != nil)
        server.skip()
        let start = server.acknowledgement
        server.followsPeer = false
        let body = Tagged.bytes(1, count: 4_000)
        let request = [UInt8](text: "POST /x/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n") + body
        for at in stride(from: 0, to: request.count, by: 1_400) {
            client.advance(.ack, Array(request[at..<min(request.count, at + 1_400)]))
        }
        let first = server.arrivals().filter { !$0.payload.isEmpty }
        #expect(first.count >= 3)
        server.acknowledgement = start &+ UInt32(first[0].payload.count)
        server.acknowledge()
        let again = server.arrivals(after: .milliseconds(1_500)).filter { !$0.payload.isEmpty }
        #expect(!again.isEmpty && again.allSatisfy { Int32(bitPattern: $0.sequence &- server.acknowledgement) >= 0 })
        #expect(again.first?.sequence == server.acknowledgement)
        #expect(Array(server.stream(from: start).suffix(4_000)) == body)
        world.check()
    }

    @Test("D11 D12 a server's window smaller than the request is respected, a closed one probed")
    func d11() throws {
        let (world, client, server) = World.raw()
        client.open()
        server.window = 60
        #expect(server.accept() != nil)
        let start = server.acknowledgement
        client.advance([.ack, .psh], World.get)
        server.run(.milliseconds(20))
        #expect(server.stream(from: start).count == 60)
        server.window = 0
        server.acknowledge()
        server.skip()
        let probes = server.arrivals(after: .seconds(5))
        #expect(!probes.isEmpty)
        #expect(probes.allSatisfy { $0.payload.count <= 1 })
        #expect(server.stream(from: start).count <= 61)
        server.window = 1_000
        server.acknowledge()
        server.run(.seconds(2))
        #expect(server.stream(from: start).suffix(4) == [13, 10, 13, 10])
        world.check()
    }

    @Test("D14 pipelined requests in one segment are answered in order, one outstanding a connection")
    func d14() {
        let world = World()
        world.client([world.exchange(.get(), .length(9_000)), world.exchange(.get(), .length(0)), world.exchange(.get(), .length(77_000))])
        { $0.pipeline = 3 }
        world.finish()
        #expect(world.servers[0].order == [1, 2, 3])
    }

    @Test("D16 client data without ACK is dropped in silence")
    func d16() throws {
        let (world, client, server) = World.raw()
        client.open()
        #expect(server.accept() != nil)
        server.skip()
        client.send(.psh, World.get)
        client.send([], World.get)
        #expect(client.arrivals().isEmpty && server.arrivals().isEmpty)
        client.advance([.ack, .psh], World.get)
        #expect(server.arrivals().contains { !$0.payload.isEmpty })
        world.check()
    }

    @Test("D15 data beyond the window is not taken; the answer is an ACK")
    func d15() throws {
        let (world, client, server) = World.raw()
        let answer = try #require(client.open())
        #expect(server.accept() != nil)
        server.skip()
        client.send([.ack, .psh], World.get) { $0.sequence &+= UInt32(answer.window) &+ 200_000 }
        let came = client.arrivals()
        #expect(came.count == 1 && came[0].flags == .ack && came[0].acknowledgement == client.sequence)
        #expect(server.arrivals().isEmpty)
        #expect(world.dropped(.outOfWindow) == 1)
        world.check()
    }

    @Test("a gap in a request is filled: data that came early is not lost")
    func gap() throws {
        let (world, client, server) = World.raw()
        client.open()
        #expect(server.accept() != nil)
        let start = server.acknowledgement
        client.send([.ack, .psh], Array(World.get[20...])) { $0.sequence &+= 20 }
        #expect(client.arrivals().last?.acknowledgement == client.sequence)
        client.send(.ack, Array(World.get[..<20]))
        client.run(.milliseconds(50))
        client.send([.ack, .psh], Array(World.get[20...])) { $0.sequence &+= 20 }
        server.run()
        #expect(server.stream(from: start).starts(with: [UInt8](text: "GET /x/1 HTTP/1.1\r\n")))
        world.check()
    }

    @Test("every segment beyond a gap is acknowledged at once, also when it cannot be kept")
    func manyGaps() throws {
        let (world, client, server) = World.raw()
        client.open()
        #expect(server.accept() != nil)
        let bytes = [UInt8](text: "POST /x/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n") + Tagged.bytes(1, count: 20_000)
        for index in 0..<40 {
            let at = 200 + index * 400
            client.send(.ack, Array(bytes[at..<at + 100])) { $0.sequence &+= UInt32(at) }
            let answers = client.arrivals(after: .milliseconds(1))
            guard answers.count == 1, answers[0].acknowledgement == client.sequence else {
                Issue.record("gap \(index): \(answers)")
                break
            }
        }
        world.check()
    }

    @Test("bodies up to the buffer go through, by length and in chunks, in pieces of any size", arguments: [1, 100, 5_000, 60_000])
    func bodies(size: Int) {
        let world = World()
        var chunked = RequestPlan.post(size)
        chunked.chunk = 777
        world.client([world.exchange(.post(size), .length(10)), world.exchange(chunked, .length(10))])
        world.client([world.exchange(.post(min(size, 3_000)))]) { script in
            script.writeSize = 7
            script.writePause = .microseconds(300)
        }
        world.finish()
    }

    @Test("the head is rewritten: Via and X-Forwarded-For are added, hop-by-hop fields are gone")
    func head() {
        let world = World()
        let exchange = world.exchange(
            RequestPlan.get().with("Connection", "keep-alive, X-Secret").with("X-Secret", "1").with("X-Kept", "2"))
        world.client([exchange])
        world.finish()
        let head = exchange.headReceived.lowercased()
        #expect(head.contains("via: 1.1 sluice") && head.contains("x-forwarded-for: 10.77.16.1"))
        #expect(head.contains("x-kept: 2") && !head.contains("x-secret"))
    }
}
