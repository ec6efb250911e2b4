import DispatcherCore
import Testing

@Suite("I. Close")
struct CloseScenarios {
    /// A raw client that has had its whole answer.
    private func answered(configure: (inout EngineConfiguration) -> Void = { _ in }) throws -> Spliced {
        let opened = Spliced(configure: configure)
        let splice = try #require(opened)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 2) + [UInt8](text: "ok"))
        splice.client.run()
        splice.client.acknowledge()
        splice.client.run()
        splice.client.skip()
        splice.server.skip()
        return splice
    }

    @Test("I01 I07 the client closes after its answer: FIN both ways, the server hears nothing")
    func i01() throws {
        let splice = try answered()
        splice.client.advance([.ack, .fin])
        let came = splice.clientArrivals()
        #expect(came.contains { $0.flags.contains(.fin) && $0.acknowledgement == splice.client.sequence })
        splice.client.acknowledge()
        splice.client.run()
        #expect(splice.world.frontConnections == 0)
        #expect(splice.serverArrivals().isEmpty)
        #expect(splice.world.firstServer.idle == 1)
        splice.world.check()
    }

    @Test("I02 I03 a client that half-closes with its request gets the whole answer, then our FIN")
    func i02() {
        let world = World()
        let one = world.client([world.exchange(.get(), ResponsePlan.length(90_000).after(.milliseconds(50)))]) { $0.ending = .halfClose }
        let two = world.client([world.exchange(), world.exchange(.get(), .length(20_000))]) { script in
            script.pipeline = 2
            script.ending = .halfClose
        }
        world.finish()
        #expect(one.end == .finished && two.end == .finished)
    }

    @Test("I03 FIN in the request's own segment")
    func i03() throws {
        let (world, client, server) = World.raw()
        client.open()
        #expect(server.accept() != nil)
        client.advance([.ack, .psh, .fin], World.get)
        #expect(client.arrivals(after: .milliseconds(60)).contains { $0.flags == .ack && $0.acknowledgement == client.sequence })
        server.run()
        server.advance([.ack, .psh], RawPeer.head(length: 2) + [UInt8](text: "ok"))
        client.run()
        client.acknowledge()
        let came = client.arrivals()
        #expect(client.stream(from: came[0].sequence).suffix(2) == [UInt8](text: "ok"))
        #expect(client.received.contains { $0.flags.contains(.fin) })
        world.check()
    }

    @Test("I04 a FIN before missing data waits for it")
    func i04() throws {
        let (world, client, server) = World.raw()
        client.open()
        #expect(server.accept() != nil)
        let start = server.acknowledgement
        client.send([.ack, .fin], Array(World.get[20...])) { $0.sequence &+= 20 }
        let first = client.arrivals()
        #expect(first.allSatisfy { $0.acknowledgement == client.sequence && !$0.flags.contains(.fin) })
        client.send(.ack, Array(World.get[..<20]))
        client.send([.ack, .fin], Array(World.get[20...])) { $0.sequence &+= 20 }
        client.run(.milliseconds(60))
        #expect(client.received.contains { $0.acknowledgement == client.sequence &+ UInt32(World.get.count) &+ 1 })
        #expect(server.stream(from: start).starts(with: [UInt8](text: "GET /x/1")))
        world.check()
    }

    @Test("I04 a FIN alone before missing data is answered at once, with what is missing")
    func i04Alone() {
        let (world, client, _) = World.raw()
        client.open()
        client.skip()
        client.send([.ack, .fin]) { $0.sequence &+= UInt32(World.get.count) }
        let answers = client.arrivals()
        #expect(answers.map(\.flags) == [.ack] && answers.first?.acknowledgement == client.sequence)
        client.advance(.ack, World.get)
        client.advance([.ack, .fin])
        client.run(.milliseconds(60))
        #expect(client.received.contains { $0.acknowledgement == client.sequence })
        world.check()
    }

    @Test("I06 our FIN is lost: it comes again, its timeout doubling, and in the end a RST or silence leaves nothing behind")
    func i06() throws {
        let splice = try answered()
        var fins: [Instant] = []
        splice.client.followsPeer = false
        splice.client.advance([.ack, .fin])
        let (world, client) = (splice.world, splice.client)
        client.run(.seconds(20))
        for (segment, time) in zip(client.received, client.times) where segment.flags.contains(.fin) { fins.append(time) }
        #expect(fins.count >= 4)
        let gaps = zip(fins, fins.dropFirst()).map { ($1 - $0).milliseconds }
        for (one, next) in zip(gaps, gaps.dropFirst()) { #expect(abs(next - 2 * one) <= one / 5, "gaps \(gaps)") }
        client.run(.seconds(1_500))
        #expect(world.frontConnections == 0)
        world.check()
    }

    @Test("I08 FINs that cross")
    func i08() {
        // The server's answer ends the connection while the client closes as well.
        let world = World(client: .clean(.milliseconds(10)))
        var closing = ResponsePlan.length(3_000)
        closing.closes = true
        for index in 0..<4 {
            world.client([world.exchange(.get(), closing)]) { script in
                script.ending = index % 2 == 0 ? .close : .halfClose
            }
        }
        world.finish()
    }

    @Test("I09 I10 I11 I12 TIME_WAIT: a repeated FIN is acknowledged again, a RST is ignored, a newer SYN opens, an older one does not")
    func i09() throws {
        // A response that closes makes us the first to send FIN.
        let splice = try #require(Spliced())
        let (world, client) = (splice.world, splice.client)
        splice.server.advance([.ack, .psh], [UInt8](text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"))
        client.run()
        client.acknowledge()
        client.run()
        #expect(client.received.contains { $0.flags.contains(.fin) })
        client.acknowledge()
        client.advance([.ack, .fin])
        #expect(client.arrivals().last?.acknowledgement == client.sequence)
        #expect(world.frontConnections == 0 && world.dispatcher.snapshot.timeWaits == 1)
        // I09
        client.send([.ack, .fin]) { $0.sequence &-= 1 }
        #expect(client.arrivals().last.map { $0.flags == .ack && $0.acknowledgement == client.sequence } == true)
        // I12
        client.send(.rst)
        #expect(client.arrivals().isEmpty)
        // I11
        client.send(.syn) { $0.sequence &-= 500 }
        let old = client.arrivals()
        #expect(old.count == 1 && old[0].flags == .ack && old[0].acknowledgement == client.sequence, "\(old)")
        #expect(world.dispatcher.snapshot.timeWaits == 1)
        // I10
        client.sequence &+= 1_000
        #expect(client.open() != nil)
        #expect(world.frontConnections == 1 && world.dispatcher.snapshot.timeWaits == 0)
        world.check()
    }

    @Test("I13 TIME_WAIT lasts as long as it is told to", arguments: [1, 60])
    func i13(seconds: Int) {
        let world = World { $0.tcp.timeWait = .seconds(Int64(seconds)) }
        var closing = ResponsePlan.length(100)
        closing.closes = true
        world.client([world.exchange(.get(), closing)])
        world.runClients()
        world.simulation.run(for: .milliseconds(200))
        #expect(world.dispatcher.snapshot.timeWaits == 1)
        world.simulation.run(for: .seconds(Int64(seconds)) - .milliseconds(500))
        #expect(world.dispatcher.snapshot.timeWaits == 1)
        world.simulation.run(for: .seconds(2))
        #expect(world.dispatcher.snapshot.timeWaits == 0)
        world.finish()
    }

    @Test("I15 a client that never closes after our FIN does not keep its entry")
    func i15() throws {
        let splice = try #require(Spliced())
        splice.server.advance([.ack, .psh], [UInt8](text: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"))
        splice.client.run()
        splice.client.acknowledge()
        splice.client.run()
        splice.client.acknowledge()
        splice.client.run(.seconds(200))
        #expect(splice.world.frontConnections == 0)
        splice.world.check()
    }

    @Test("I16 keep-alives of a client are answered by us; I17 those of an idle server too")
    func i16() throws {
        let splice = try answered()
        splice.client.send(.ack) { $0.sequence &-= 1 }
        splice.client.send(.ack, [0]) { $0.sequence &-= 1 }
        let answers = splice.clientArrivals()
        #expect(answers.count == 2 && answers.allSatisfy { $0.flags == .ack && $0.acknowledgement == splice.client.sequence })
        #expect(splice.serverArrivals().isEmpty)
        _ = splice.serverArrivals(.milliseconds(100))
        splice.server.send(.ack) { $0.sequence &-= 1 }
        #expect(splice.serverArrivals().contains { $0.flags == .ack && $0.acknowledgement == splice.server.sequence })
        #expect(splice.clientArrivals().isEmpty)
        splice.world.check()
    }

    @Test("I16 keep-alives in the middle of a response do not keep a slot")
    func keepAliveInBody() throws {
        let opened = Spliced { $0.services[0].limits.sendIdle = .seconds(5) }
        let splice = try #require(opened)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 50_000) + Tagged.bytes(1, count: 1_000))
        for _ in 0..<10 {
            splice.client.run(.seconds(1))
            splice.client.send(.ack) { ($0.sequence, $0.acknowledgement) = ($0.sequence &- 1, splice.clientStart) }
        }
        splice.client.run()
        #expect(splice.world.frontConnections == 0)
        #expect(splice.world.firstServer.active == 0)
        splice.world.check()
    }

    @Test("a client that resets in the middle of a response frees the slot; nobody else gets its bytes")
    func abort() {
        let world = World { configuration in
            configuration.pools[0].servers[0].initialLimit = 2
            configuration.pools[0].queue.wait = .seconds(20)
        }
        for index in 0..<6 {
            world.client([world.exchange(.get(), .length(100_000))]) { script in
                if index % 2 == 0 { script.ending = .abort(after: 20_000) }
            }
        }
        world.finish(expectComplete: false)
        for (index, client) in world.clients.enumerated() { #expect(client.outcome == (index % 2 == 0 ? .aborted : .complete)) }
    }

    @Test("HTTP/1.0 and Connection: close end the connection after the answer; keep-alive keeps it")
    func versions() {
        let world = World()
        var old = RequestPlan.get()
        old.version = "HTTP/1.0"
        let oldKeeps = old.with("Connection", "keep-alive")
        var oldAnswer = ResponsePlan.length(300)
        oldAnswer.fields = [("Connection", "keep-alive")]
        let one = world.client([world.exchange(old, .length(300))]) { $0.ending = .stay }
        let two = world.client([world.exchange(oldKeeps, oldAnswer), world.exchange(oldKeeps, oldAnswer)])
        let three = world.client([world.exchange(RequestPlan.get().with("Connection", "close"))]) { $0.ending = .stay }
        world.runClients(atMost: .seconds(5))
        #expect(one.end == .finished && three.end == .finished)
        world.finish()
        #expect(two.outcome == .complete)
    }

    @Test("I15 a client that acknowledges our FIN with the end of its response and stays is given 10 s, and not reset: it may be reading")
    func lingers() throws {
        let opened = Spliced()
        let splice = try #require(opened)
        splice.server.advance([.ack, .psh], [UInt8](text: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"))
        #expect(splice.clientArrivals().last?.flags.contains(.fin) == true)
        splice.client.acknowledge()
        splice.client.run(.seconds(9))
        #expect(splice.world.frontConnections == 1)
        splice.client.run(.seconds(3))
        #expect(splice.world.frontConnections == 0)
        #expect(!splice.client.received.contains { $0.flags.contains(.rst) })
        splice.world.check()
    }
}
