import DispatcherCore
import Testing

/// A raw client that uploads to a raw server, as far as the test says.
struct Upload {
    let world: World
    let client: RawPeer
    let server: RawPeer
    /// What the client sends in all.
    let bytes: [UInt8]
    private(set) var sent = 0
    /// The number of the request's first byte at the server.
    let start: UInt32
    /// Whether the server acknowledges what comes.
    var acknowledges = true

    static func head(_ length: Int, method: String = "POST") -> [UInt8] {
        [UInt8](text: "\(method) /x/1 HTTP/1.1\r\nHost: a\r\nContent-Length: \(length)\r\n\r\n")
    }

    static let chunkedHead = [UInt8](text: "POST /x/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")

    init?(_ bytes: [UInt8], configure: (inout EngineConfiguration) -> Void = { _ in }) {
        let (world, client, server) = World.raw(configure: configure)
        self.init(bytes, world, client, server)
    }

    init?(_ bytes: [UInt8], _ world: World, _ client: RawPeer, _ server: RawPeer) {
        (self.world, self.client, self.server, self.bytes) = (world, client, server, bytes)
        guard client.open() != nil else { return nil }
        if server.remote.port == 0, server.accept() == nil { return nil }
        start = server.acknowledgement
        server.skip()
    }

    /// Sends up to byte `end`, in segments, as long as the window that was shown allows.
    mutating func send(upTo end: Int, every pause: Interval = .milliseconds(1)) {
        while sent < min(end, bytes.count) {
            let last = client.received.last!
            let edge = last.acknowledgement &+ UInt32(last.window)
            let room = Int(Int32(bitPattern: edge &- client.sequence))
            let count = min(1_400, min(end, bytes.count) - sent, room)
            guard count > 0 else { break }
            client.advance(.ack, Array(bytes[sent..<sent + count]))
            sent += count
            client.run(pause)
            if acknowledges { server.acknowledge() }
        }
        client.run(pause)
        if acknowledges { server.acknowledge() }
        client.run(.milliseconds(1))
    }

    /// What reached the server, in order.
    var atServer: [UInt8] { server.stream(from: start) }
    /// The body that the server has, behind the head.
    var bodyAtServer: [UInt8] {
        let stream = atServer
        let ends = stream.indices.first { $0 >= 3 && Array(stream[$0 - 3...$0]) == [13, 10, 13, 10] }
        return ends.map { Array(stream[($0 + 1)...]) } ?? []
    }
    var wasReset: Bool { server.received.contains { $0.flags.contains(.rst) } }
    /// The status that the client was answered.
    var status: Int? { ReceivedAnswer(client.received.flatMap(\.payload))?.status }
    var record: RequestRecord? {
        world.dispatcher.drainRecords()
        return world.dispatcher.records.last
    }
    /// Nothing of it is left at the server.
    var isFree: Bool {
        let server = world.firstServer
        return server.active == 0 && server.streamed == 0 && world.dispatcher.snapshot.bodyBytes == 0
    }
}

@Suite("N. Bodies that are streamed")
struct BodyScenarios {
    @Test(
        "1 MiB is exact at the server, by length and in chunks, whatever is lost on both legs",
        arguments: [(0.0, 0), (0.0, 1_000), (0.02, 0), (0.02, 70_000), (0.1, 0), (0.1, 300)])
    func exact(loss: Double, chunk: Int) {
        var impairments = Impairments.clean(.milliseconds(2))
        (impairments.loss, impairments.duplication, impairments.reordering, impairments.calmAfter) = (loss, loss / 2, loss, .seconds(400))
        let world = World(client: impairments, server: impairments) {
            $0.services[0].limits.bodyRate = 0
            $0.pools[0].responseTimeout = .seconds(300)
        }
        var plan = RequestPlan.post(1 << 20)
        plan.chunk = chunk
        world.client([world.exchange(plan, .length(3_000)), world.exchange(.get(), .length(10))])
        world.finish()
        #expect(world.servers[0].requestsServed == 2)
        #expect(world.dispatcher.snapshot.counters.streamedRequests == 1)
    }

    @Test("a body goes on before it has all come, and no more of it is held than the buffer takes")
    func streams() throws {
        let body = Tagged.bytes(1, count: 300_000)
        var upload = try #require(Upload(Upload.head(body.count) + body))
        upload.send(upTo: 60_000)
        #expect(upload.atServer.isEmpty)
        upload.send(upTo: 200_000)
        #expect(upload.sent == 200_000 && upload.bodyAtServer.count > 150_000)
        #expect(upload.world.firstServer.streamed == 1)
        #expect(upload.world.dispatcher.snapshot.bodyBytes <= 128 << 10)
        #expect(upload.world.dispatcher.snapshot.bufferBytes <= 256 << 10)
        upload.send(upTo: 400_000)
        #expect(upload.bodyAtServer == body)
        #expect(String(decoding: upload.atServer.prefix(300), as: UTF8.self).contains("\r\nContent-Length: 300000\r\n"))
        upload.server.advance([.ack, .psh], RawPeer.head(length: 2) + [UInt8](text: "ok"))
        upload.client.run()
        upload.client.acknowledge()
        upload.client.run(.milliseconds(50))
        #expect(upload.isFree && upload.world.firstServer.idle == 1 && !upload.wasReset)
        let record = try #require(upload.record)
        #expect(record.status == 200 && record.bytesFromClient == UInt64(upload.bytes.count))
        // The head is long gone from the buffer; the log has its line all the same.
        #expect((0..<record.lineLength).map { record.line[$0] } == [UInt8](text: "POST /x/1 HTTP/1.1"))
        upload.world.check()
    }

    @Test("a chunked body longer than the buffer goes on in chunks, trailers and extensions left out")
    func chunked() throws {
        let body = Tagged.bytes(1, count: 200_000)
        var coded = Chunked.encode(body, size: 5_000)
        coded.removeLast(5)
        coded += [UInt8](text: "0;a=b\r\nX-Trailer: 1\r\n\r\n")
        var upload = try #require(Upload(Upload.chunkedHead + coded))
        upload.send(upTo: .max)
        let request = try #require(try ReceivedRequest(upload.atServer))
        #expect(request.body == body && request.length == upload.atServer.count)
        #expect(request.field("transfer-encoding") == "chunked" && request.field("content-length") == nil)
        #expect(upload.atServer.suffix(5) == [UInt8](text: "0\r\n\r\n")[...])
        upload.world.check()
    }

    @Test("a body of exactly body-buffer is read whole; one byte more is streamed", arguments: [0, 4_096])
    func boundary(chunk: Int) {
        for (size, streamed) in [(65_536, 0), (65_537, 1)] {
            let world = World()
            var plan = RequestPlan.post(size)
            plan.chunk = chunk
            world.client([world.exchange(plan, .length(10))])
            world.finish()
            #expect(world.dispatcher.snapshot.counters.streamedRequests == streamed)
        }
    }

    @Test("whatever body-buffer is, every chunking of every body arrives", arguments: [0, 1, 700, 20_000])
    func anyBuffer(bodyBuffer: Int) {
        let world = World { $0.services[0].limits.bodyBuffer = bodyBuffer }
        var random = SimulationRandom(seed: UInt64(bodyBuffer) + 1)
        for index in 0..<12 {
            var plan = RequestPlan.post(random.within(1...60_000))
            if index % 3 > 0 { plan.chunk = random.within(1...[3, 500, 30_000][index % 3]) }
            world.client([world.exchange(plan, .length(20)), world.exchange(.get(), .length(10))]) { script in
                script.pipeline = 2
                if index % 4 == 0 { script.writeSize = 3_001 }
            }
        }
        world.finish(atMost: .seconds(2_000))
    }

    @Test("a request behind a streamed body waits for its turn, and gets its answer")
    func pipelined() {
        let world = World()
        var chunked = RequestPlan.post(150_000)
        chunked.chunk = 9_999
        world.client([world.exchange(.post(200_000), .length(10)), world.exchange(), world.exchange(chunked), world.exchange()]) {
            $0.pipeline = 4
        }
        world.finish()
        #expect(world.servers[0].order == [1, 2, 3, 4] && world.servers[0].connectionsAccepted == 1)
    }

    @Test("Expect: 100-continue is answered at once, however long the body is")
    func expectContinue() throws {
        let body = Tagged.bytes(1, count: 150_000)
        let head = [UInt8](text: "PUT /x/1 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 150000\r\n\r\n")
        var upload = try #require(Upload(head + body))
        upload.send(upTo: head.count)
        #expect(upload.status == 100)
        upload.send(upTo: .max)
        #expect(upload.bodyAtServer == body)
        upload.world.check()
    }

    // MARK: Flow control

    @Test("a server that reads slowly slows its client down: windows close and open on both sides, and every byte arrives")
    func slowReader() {
        var options = TestTCPOptions(receiveBuffer: 20_000)
        options.reader = .paced(bytes: 4_000, interval: .milliseconds(20))
        let world = World(serverOptions: options)
        world.client([world.exchange(.post(400_000), .length(10))], options: TestTCPOptions(windowScale: 7, sackPermitted: true))
        world.finish()
    }

    @Test("a server's closed window closes the client's once the buffer is full; probes go both ways; nothing is taken back (F14)")
    func closedWindow() throws {
        let body = Tagged.bytes(1, count: 300_000)
        var upload = try #require(Upload(Upload.head(body.count) + body))
        upload.send(upTo: 100_000)
        upload.server.window = 0
        upload.server.acknowledge()
        upload.send(upTo: 300_000)
        let stuck = upload.sent
        #expect(stuck < 200_000)
        upload.client.run(.milliseconds(50))
        #expect(upload.client.received.last?.window == 0)
        upload.client.skip()
        upload.server.skip()
        // A probe of the client's is answered with the closed window; the dispatcher probes the server.
        upload.client.send(.ack) { $0.sequence &-= 1 }
        let answers = upload.client.arrivals(after: .seconds(5))
        #expect(answers.contains { $0.window == 0 && $0.acknowledgement == upload.client.sequence })
        let probes = upload.server.arrivals(after: .milliseconds(1)).filter { !$0.payload.isEmpty }
        #expect(!probes.isEmpty && probes.allSatisfy { $0.payload.count <= 1 })
        #expect(upload.world.firstServer.active == 1)

        // Opened a little at a time, it opens to the client by whole segments only.
        for _ in 0..<60 {
            upload.server.window = 700
            upload.server.acknowledge()
            upload.server.run(.milliseconds(250))
        }
        upload.server.window = 65_535
        upload.server.acknowledge()
        upload.client.run(.milliseconds(400))
        for _ in 0..<500 where upload.bodyAtServer.count < body.count { upload.send(upTo: .max) }
        #expect(upload.bodyAtServer == body)
        var edge: UInt32?
        for segment in upload.client.received where segment.flags.contains(.ack) && !segment.flags.contains(.syn) {
            let shown = segment.acknowledgement &+ UInt32(segment.window)
            if let edge {
                let step = Int32(bitPattern: shown &- edge)
                #expect(step == 0 || step >= 1_400, "the right edge moved by \(step)")
            }
            edge = shown
        }
        upload.world.check()
    }

    @Test("a server that takes nothing for timeouts.response: 504, and its place is free")
    func serverStalls() throws {
        let body = Tagged.bytes(1, count: 300_000)
        var upload = try #require(Upload(Upload.head(body.count) + body) { $0.pools[0].responseTimeout = .seconds(20) })
        upload.send(upTo: 100_000)
        upload.server.window = 0
        upload.server.acknowledge()
        upload.send(upTo: 300_000)
        upload.client.run(.seconds(15))
        #expect(upload.status == nil)
        upload.client.run(.seconds(8))
        #expect(upload.status == 504 && upload.wasReset && upload.isFree)
        upload.world.check()
    }

    @Test("a server that takes a byte at each probe does not keep its client for ever")
    func serverCrawls() throws {
        let body = Tagged.bytes(1, count: 300_000)
        var upload = try #require(Upload(Upload.head(body.count) + body) { $0.pools[0].responseTimeout = .seconds(20) })
        upload.send(upTo: 100_000)
        upload.server.window = 0
        upload.server.acknowledge()
        upload.send(upTo: 300_000)
        for _ in 0..<30 where upload.status == nil {
            upload.client.run(.seconds(1))
            upload.server.acknowledge()
        }
        #expect(upload.status == 504 && upload.isFree)
        upload.world.check()
    }

    @Test("the steps of a scaled window do not add up: what is shown is taken, whatever the segments' sizes")
    func scaledWindow() throws {
        let splice = try #require(Spliced(options: TestSegment.maximumSegmentSize(1_460) + [1, 3, 3, 7]))
        let client = splice.client
        let bytes = Upload.head(300_000) + Tagged.bytes(2, count: 120_000)
        var sent = 0
        client.run(.milliseconds(50))
        for _ in 0..<200 {
            let last = client.received.last!
            let count = min(1_041, Int(Int32(bitPattern: last.acknowledgement &+ UInt32(last.window) << 7 &- client.sequence)))
            guard count > 0 else { break }
            client.advance(.ack, Array(bytes[sent..<sent + count]))
            sent += count
            client.run(.milliseconds(50))
            #expect(client.received.last?.acknowledgement == client.sequence)
        }
        #expect(client.received.last?.window == 0 && (80_000..<90_500).contains(sent))
        splice.world.check()
    }

    @Test("timeouts.response begins with the last byte of the body, and so does the response time of the log")
    func responseTime() throws {
        let body = Tagged.bytes(1, count: 120_000)
        var upload = try #require(Upload(Upload.head(body.count) + body) { $0.pools[0].responseTimeout = .seconds(10) })
        upload.send(upTo: 70_000)
        // 25 s for the rest.
        upload.send(upTo: .max, every: .milliseconds(700))
        #expect(upload.bodyAtServer == body && upload.status == nil)
        upload.server.run(.seconds(8))
        upload.server.advance([.ack, .psh], RawPeer.head(length: 2) + [UInt8](text: "ok"))
        upload.client.run()
        upload.client.acknowledge()
        upload.client.run(.milliseconds(50))
        #expect(upload.status == 200)
        let record = try #require(upload.record)
        #expect((7_000...9_500).contains(record.response?.milliseconds ?? 0) && record.total.milliseconds > 30_000)
        upload.world.check()

        var late = try #require(Upload(Upload.head(body.count) + body) { $0.pools[0].responseTimeout = .seconds(10) })
        late.send(upTo: .max)
        late.client.run(.seconds(11))
        #expect(late.status == 504 && late.isFree)
        late.world.check()
    }

    // MARK: Bodies that do not end well

    @Test("a body that stops after its dispatch: 408 after 10 to 20 s, the server's connection reset, its place free")
    func stalls() throws {
        var upload = try #require(Upload(Upload.head(300_000) + Tagged.bytes(1, count: 100_000)))
        upload.send(upTo: .max)
        upload.client.run(.seconds(9))
        #expect(upload.status == nil && upload.world.firstServer.active == 1)
        upload.client.run(.seconds(12))
        #expect(upload.status == 408 && upload.wasReset && upload.isFree)
        #expect(upload.world.refused(.bodyRate) == 1)
        let record = try #require(upload.record)
        #expect(record.status == 408 && record.cause == .clientTimeout && record.phase == .headers && record.server == .server(0))
        upload.world.check()
    }

    @Test("body-rate after the dispatch: 400 bytes a second are too few, 600 are not", arguments: [400, 600])
    func rate(perSecond: Int) throws {
        var upload = try #require(Upload(Upload.head(200_000) + Tagged.bytes(1, count: 200_000)))
        upload.send(upTo: 80_000)
        for second in 1...30 where upload.status == nil { upload.send(upTo: 80_000 + second * perSecond, every: .milliseconds(490)) }
        #expect(upload.status == (perSecond < 500 ? 408 : nil))
        #expect(upload.isFree == (perSecond < 500))
        upload.world.check()
    }

    @Test("a client that resets in its body: the server's connection is reset, its place free, a record written")
    func clientResets() throws {
        var upload = try #require(Upload(Upload.head(300_000) + Tagged.bytes(1, count: 300_000)))
        upload.send(upTo: 150_000)
        upload.client.send(.rst)
        upload.client.run()
        #expect(upload.wasReset && upload.isFree && upload.world.frontConnections == 0)
        let record = try #require(upload.record)
        #expect(record.cause == .client && record.phase == .headers && record.status == 0)
        upload.world.check()
    }

    @Test("a client that closes in its body: 400, and the server never has the whole of a request", arguments: [false, true])
    func clientCloses(chunked: Bool) throws {
        let body = Tagged.bytes(1, count: 300_000)
        var upload = try #require(
            Upload(chunked ? Upload.chunkedHead + Chunked.encode(body, size: 10_000) : Upload.head(body.count) + body))
        upload.send(upTo: 150_000)
        upload.client.advance([.ack, .fin])
        upload.client.run()
        #expect(upload.status == 400 && upload.wasReset && upload.isFree)
        #expect(try ReceivedRequest(upload.atServer) == nil)
        upload.world.check()
    }

    @Test("a broken chunk in the middle: 400, the server's connection reset, nothing complete there")
    func brokenChunk() throws {
        let good = Array(Chunked.encode(Tagged.bytes(1, count: 100_000), size: 1_000).dropLast(5))
        var upload = try #require(Upload(Upload.chunkedHead + good + [UInt8](text: "0x5\r\nabcde\r\n0\r\n\r\nGET /x/9 HTTP/1.1\r\n\r\n")))
        upload.send(upTo: .max)
        #expect(upload.status == 400 && upload.wasReset && upload.isFree)
        #expect(try ReceivedRequest(upload.atServer) == nil)
        #expect(!String(decoding: upload.atServer, as: UTF8.self).contains("/x/9"))
        #expect(upload.world.refused(.malformed) == 1)
        upload.world.check()
    }

    @Test(
        "a client half-closes behind a body of which a part still waits for room toward the server: it gets its answer",
        arguments: [false, true])
    func halfClosed(isShort: Bool) throws {
        let body = Tagged.bytes(1, count: 75_000)
        var upload = try #require(Upload(Upload.head(isShort ? 80_000 : 75_000) + body))
        upload.acknowledges = false
        upload.send(upTo: .max)
        #expect(upload.sent == upload.bytes.count, "all of it fits what is shown while a request is read")
        upload.client.advance([.ack, .fin])
        upload.client.run(.seconds(15))
        #expect(upload.status == nil && !upload.wasReset)
        for _ in 0..<20 {
            upload.server.acknowledge()
            upload.server.run()
        }
        if isShort {
            #expect(upload.status == 400 && upload.wasReset)
        } else {
            #expect(upload.bodyAtServer == body)
            upload.server.advance([.ack, .psh], RawPeer.head(length: 2) + [UInt8](text: "ok"))
            upload.client.run()
            #expect(upload.status == 200)
        }
        upload.world.check()
    }

    @Test("a chunk broken before the request is queued never reaches a server")
    func brokenEarly() throws {
        let good = Array(Chunked.encode(Tagged.bytes(1, count: 70_000), size: 70_000).dropLast(7))
        let bytes = Upload.chunkedHead + good + [UInt8](text: "xx0\r\n\r\n")
        var upload = try #require(Upload(bytes) { $0.services[0].limits.bodyBuffer = 69_999 })
        upload.acknowledges = false
        upload.send(upTo: .max)
        #expect(upload.status == 400 && upload.atServer.isEmpty && upload.isFree)
        upload.world.check()
    }

    @Test("limits.body: announced, 413 before anything is sent; in chunks, 413 as soon as it grows beyond")
    func overLimit() throws {
        let body = Tagged.bytes(1, count: 10_000)
        var announced = try #require(Upload(Upload.head(200_001) + body) { $0.services[0].limits.body = 200_000 })
        announced.send(upTo: .max)
        #expect(announced.status == 413 && announced.atServer.isEmpty)
        announced.world.check()
        let coded = Chunked.encode(Tagged.bytes(1, count: 300_000), size: 10_000)
        var growing = try #require(Upload(Upload.chunkedHead + coded) { $0.services[0].limits.body = 200_000 })
        growing.send(upTo: .max)
        #expect(growing.status == 413 && growing.wasReset && growing.isFree)
        #expect(try ReceivedRequest(growing.atServer) == nil && growing.bodyAtServer.count > 100_000)
        #expect(growing.world.refused(.bodyTooLarge) == 1)
        growing.world.check()
    }

    // MARK: Servers that answer early, or leave

    @Test("an early answer is delivered, then both connections close: the client's after 64 KiB or 2 s, the server's by RST")
    func earlyAnswer() throws {
        for drains in [true, false] {
            var upload = try #require(Upload(Upload.head(1_000_000) + Tagged.bytes(1, count: 1_000_000)))
            upload.send(upTo: 100_000)
            let answer = [UInt8](text: "HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nno.")
            upload.server.advance([.ack, .psh], answer)
            upload.client.run()
            #expect(upload.client.received.flatMap(\.payload) == answer)
            #expect(upload.client.received.last?.flags.contains(.fin) == true)
            upload.client.acknowledge()
            upload.client.run()
            #expect(upload.wasReset && upload.isFree && upload.world.firstServer.idle == 0)
            let record = try #require(upload.record)
            #expect(record.status == 413 && record.cause == .normal)
            if drains {
                upload.send(upTo: 160_000)
                #expect(!upload.client.received.contains { $0.flags.contains(.rst) })
                upload.send(upTo: 190_000)
            } else {
                upload.client.run(.milliseconds(1_900))
                #expect(!upload.client.received.contains { $0.flags.contains(.rst) })
                upload.client.run(.milliseconds(300))
            }
            #expect(upload.client.received.contains { $0.flags.contains(.rst) } && upload.world.frontConnections == 0)
            upload.world.check()
        }
    }

    @Test("a server that answers while it reads gets the rest of the body meanwhile")
    func echo() throws {
        let body = Tagged.bytes(1, count: 200_000)
        var upload = try #require(Upload(Upload.head(body.count) + body))
        upload.send(upTo: 100_000)
        upload.server.advance(.ack, RawPeer.head(length: 10) + [UInt8](text: "hello"))
        upload.client.run()
        upload.client.acknowledge()
        upload.send(upTo: .max)
        #expect(upload.bodyAtServer == body && upload.world.firstServer.active == 1)
        upload.server.advance([.ack, .psh], [UInt8](text: "world"))
        upload.client.run()
        upload.client.acknowledge()
        upload.client.run(.milliseconds(50))
        #expect(upload.client.received.flatMap(\.payload) == RawPeer.head(length: 10) + [UInt8](text: "helloworld"))
        #expect(upload.client.received.contains { $0.flags.contains(.fin) })
        #expect(upload.isFree && upload.world.firstServer.idle == 0 && !upload.wasReset)
        upload.world.check()
    }

    @Test("a broken chunk behind an early answer: the answer is delivered, nothing more is read")
    func brokenAfterAnswer() throws {
        let good = Array(Chunked.encode(Tagged.bytes(1, count: 100_000), size: 1_000).dropLast(5))
        var upload = try #require(Upload(Upload.chunkedHead + good + [UInt8](text: "nonsense\r\nGET /x/9 HTTP/1.1\r\n\r\n")))
        upload.send(upTo: 90_000)
        upload.server.advance(.ack, RawPeer.head(length: 10) + [UInt8](text: "hello"))
        upload.client.run()
        upload.client.acknowledge()
        upload.send(upTo: .max)
        upload.server.advance([.ack, .psh], [UInt8](text: "world"))
        upload.client.run()
        upload.client.acknowledge()
        upload.client.run()
        #expect(upload.client.received.flatMap(\.payload) == RawPeer.head(length: 10) + [UInt8](text: "helloworld"))
        #expect(upload.wasReset && upload.isFree && !String(decoding: upload.atServer, as: UTF8.self).contains("/x/9"))
        upload.world.check()
    }

    @Test("a server that leaves in the body: 502, never repeated, whatever the method", arguments: [SegmentFlags.rst, [.fin, .ack]])
    func serverLeaves(flags: SegmentFlags) throws {
        let (world, client, server) = World.raw { $0.pools[0].retries = 5 }
        var upload = try #require(
            Upload(Upload.head(300_000, method: "PUT") + Tagged.bytes(1, count: 300_000), world, client, server))
        upload.send(upTo: 150_000)
        upload.server.advance(flags)
        upload.client.run(.milliseconds(100))
        #expect(upload.status == 502 && upload.isFree)
        #expect(world.dispatcher.snapshot.counters.repeatedRequests == 0)
        #expect(world.firstServer.requests == 1)
        world.check()
    }

    @Test("a server that cannot be reached has had nothing: another one takes it")
    func connectFails() {
        let world = World(servers: 2) {
            $0.pools[0].connectTimeout = .milliseconds(300)
            $0.pools[0].open = .onRequest
        }
        world.hosts.first { $0.name == "server1" }?.stopListening(8_080)
        world.client([world.exchange(.post(300_000), .length(10))])
        world.finish()
        #expect(world.servers[1].requestsServed == 1)
    }

    // MARK: Bounds

    @Test("streamed requests hold at most half of a server's limit, at least one; others pass them in the queue", arguments: [4, 1])
    func halfOfTheLimit(limit: Int) throws {
        let world = World { configuration in
            configuration.pools[0].servers[0].initialLimit = limit
            configuration.pools[0].queue.wait = .seconds(100)
            configuration.services[0].limits.bodyRate = 0
        }
        let most = max(1, limit / 2)
        // Uploads that take their time.
        for _ in 0..<5 {
            world.client([world.exchange(.post(150_000), .length(10))]) { script in
                (script.writeSize, script.writePause) = (1_000, .milliseconds(20))
            }
        }
        var high = 0
        world.simulation.run(for: .milliseconds(2_200))
        #expect(world.firstServer.streamed == most)
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 5 - most)
        if limit > 1 {
            for index in 0..<10 { world.client([world.exchange(.get(), .length(10))]) { $0.start = .milliseconds(Int64(index)) } }
            world.simulation.run(atMost: .milliseconds(200)) {
                high = max(high, world.firstServer.streamed)
                return world.clients[5...].allSatisfy { $0.outcome == .complete }
            }
            #expect(high == most && world.clients[5...].allSatisfy { $0.outcome == .complete })
        }
        world.finish()
        #expect(world.servers[0].requestsServed == (limit > 1 ? 15 : 5))
    }

    @Test("the memory for bodies is bounded: 503, counted; it is free again afterwards")
    func memory() throws {
        let (world, client, server) = World.raw { $0.bodyMemory = 200 << 10 }
        let body = Tagged.bytes(1, count: 300_000)
        var first = try #require(Upload(Upload.head(body.count) + body, world, client, server))
        first.send(upTo: 100_000)
        for (port, head) in [(40_001, Upload.head(300_000)), (40_002, Upload.head(64_000) + Tagged.bytes(2, count: 10_000))] {
            let other = world.rawClient(port: UInt16(port))
            other.open()
            other.advance([.ack, .psh], head)
            other.run()
            let answer = ReceivedAnswer(other.received.flatMap(\.payload))
            #expect((answer?.status == 503) == (port == 40_001))
        }
        #expect(world.refused(.bodyMemory) == 1)
        // What comes in chunks is noted as it comes.
        let other = world.rawClient(port: 40_003)
        other.open()
        let coded = Upload.chunkedHead + Chunked.encode(Tagged.bytes(3, count: 20_000), size: 5_000)
        for start in stride(from: 0, to: coded.count, by: 1_400) {
            other.advance(.ack, Array(coded[start..<min(coded.count, start + 1_400)]))
            other.run(.milliseconds(1))
        }
        #expect(ReceivedAnswer(other.received.flatMap(\.payload))?.status == 503 && world.refused(.bodyMemory) == 2)
        first.client.send(.rst)
        first.client.run(.seconds(100))
        #expect(world.dispatcher.snapshot.bodyBytes == 0 && world.frontConnections == 0)
        world.check()
    }

    @Test("SWS: a server that takes 100 bytes at a time moves its client's edge by whole segments")
    func smallSteps() {
        var options = TestTCPOptions(receiveBuffer: 6_000)
        options.reader = .paced(bytes: 100, interval: .milliseconds(2))
        let world = World(serverOptions: options)
        var edges: [UInt32] = []
        world.dispatcher.onEmit = { side, segment in
            guard side == .client, world.firstServer.streamed == 1 else { return }
            edges.append(segment.acknowledgement &+ UInt32(segment.window))
        }
        world.client([world.exchange(.post(120_000), .length(10))])
        world.finish()
        #expect(edges.count > 20)
        for (one, next) in zip(edges, edges.dropFirst()) {
            let step = Int32(bitPattern: next &- one)
            #expect(step == 0 || step >= 1_000)
        }
    }
}
