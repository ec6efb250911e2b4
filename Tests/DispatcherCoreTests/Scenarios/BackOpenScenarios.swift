import DispatcherCore
import Testing

@Suite("C. Back-end connections: open, pool, ports")
struct BackOpenScenarios {
    private static let oneSlot = PortPlan(first: 10_000, last: 10_100, layers: 1, servers: 1, connections: 1)

    @Test("C01 a connection is opened when a client connects and none is idle, and kept for the next request")
    func c01() {
        let world = World()
        let one = world.client([world.exchange(), world.exchange(), world.exchange()])
        world.runClients()
        #expect(one.outcome == .complete)
        world.client([world.exchange()])
        world.finish()
        #expect(world.servers[0].connectionsAccepted == 1)
        #expect(world.firstServer.idle == 1 && world.firstServer.connects == 1)
    }

    @Test("C01 the SYN: MSS, window scale, SACK permitted; a port of the plan, from the source address")
    func syn() throws {
        let (world, client, server) = World.raw()
        client.open()
        let syn = try #require(server.accept())
        #expect(syn.options == TestSegment.maximumSegmentSize(1_460) + [1, 1, 4, 2, 1, 3, 3, 7])
        #expect(syn.source.address == World.sourceAddress && syn.source.port == 10_000)
        world.check()
    }

    @Test("C02 a lost SYN is retransmitted after 1, 2, 4 s with the same number")
    func c02() {
        let (world, client, server) = World.raw { configuration in
            configuration.pools[0].connectTimeout = .seconds(20)
            configuration.pools[0].queue.wait = .seconds(30)
        }
        client.open()
        client.advance([.ack, .psh], World.get)
        server.run(.seconds(8))
        let syns = server.received.filter { $0.flags == .syn }
        #expect(syns.count == 4 && Set(syns.map(\.sequence)).count == 1)
        let gaps = zip(server.times, server.times.dropFirst()).map { ($1 - $0).milliseconds }
        for (gap, wanted) in zip(gaps, [1_000, 2_000, 4_000]) { #expect(abs(gap - Int64(wanted)) <= Int64(wanted) / 10, "gaps \(gaps)") }
        #expect(world.retransmitted(.connect, on: .server) == 3)
        world.check()
    }

    @Test("C02 a server that stays silent is passed over: the next one answers")
    func nextServer() {
        let world = World(servers: 1, rawServers: 1) { $0.pools[0].queue.wait = .seconds(10) }
        _ = world.rawServer(1)
        for _ in 0..<6 { world.client([world.exchange()]) }
        world.finish()
        #expect(world.servers[0].requestsServed == 6)
        #expect(world.dispatcher.snapshot.pools[0].servers[1].isUp == false || world.dispatcher.snapshot.pools[0].servers[1].connects == 0)
    }

    @Test("L05 C02 no server at all: 503, and the connection ends well")
    func noServer() {
        let world = World(servers: 0, rawServers: 1)
        _ = world.rawServer()
        let exchange = world.exchange()
        let client = world.client([exchange]) { $0.ownAnswers = [exchange.id: 503] }
        world.finish()
        #expect(client.ownStatuses == [503])
    }

    @Test("C03 a refused SYN: 503 at once, not after the timeout")
    func refused() {
        let world = World()
        world.servers[0].host.stopListening(8_080)
        let exchange = world.exchange()
        let client = world.client([exchange]) { $0.ownAnswers = [exchange.id: 503] }
        world.runClients(atMost: .milliseconds(1_500))
        #expect(client.ownStatuses == [503])
        world.finish()
        #expect(world.firstServer.connectFailures >= 1 && !world.firstServer.isUp)
    }

    @Test("C04 RSTs that do not acknowledge the SYN are ignored")
    func c04() throws {
        let (world, client, server) = World.raw()
        client.open()
        world.simulation.run(atMost: .seconds(1)) { !server.received.isEmpty }
        let syn = try #require(server.received.first)
        server.remote = syn.source
        server.send(.rst)
        server.send([.rst, .ack]) { $0.acknowledgement = syn.sequence }
        server.send([.rst, .ack]) { $0.acknowledgement = syn.sequence &+ 2 }
        server.run()
        server.acknowledgement = syn.sequence &+ 1
        server.send([.syn, .ack])
        let answer = server.arrivals().last
        #expect(answer?.flags == .ack && answer?.acknowledgement == server.sequence &+ 1)
        world.check()
    }

    @Test("C05 a SYN-ACK of another number: RST with it, the SYN again, and the right one still works")
    func c05() throws {
        let (world, client, server) = World.raw()
        client.open()
        world.simulation.run(atMost: .seconds(1)) { !server.received.isEmpty }
        let syn = try #require(server.received.first)
        server.remote = syn.source
        server.skip()
        _ = server.arrivals()
        server.send([.syn, .ack]) { $0.acknowledgement = syn.sequence &+ 2 }
        let answers = server.arrivals()
        #expect(answers.map(\.flags) == [.rst, .syn])
        #expect(answers.first?.sequence == syn.sequence &+ 2 && answers.last?.sequence == syn.sequence)
        server.send([.syn, .ack]) { $0.acknowledgement = syn.sequence &+ 1 }
        #expect(server.arrivals().last?.flags == .ack)
        world.check()
    }

    @Test("C06 a port is used again over the server's TIME_WAIT: the number is above the last, and the server takes it at once")
    func c06() {
        let world = World { configuration in
            configuration.ports = Self.oneSlot
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].servers[0].maximumLimit = 1
            configuration.pools[0].queue.wait = .seconds(20)
        }
        var closing = ResponsePlan.length(5_000)
        closing.closes = true
        var syns: [UInt32] = []
        world.dispatcher.onEmit = { side, segment in
            if side == .server, segment.flags == .syn { syns.append(segment.sequence) }
        }
        for index in 0..<4 { world.client([world.exchange(.get(), closing)]) { $0.start = .milliseconds(Int64(index) * 2_500) } }
        world.finish()
        #expect(syns.count == 4)
        for (one, next) in zip(syns, syns.dropFirst()) { #expect(Int32(bitPattern: next &- one) > 0) }
        #expect(world.retransmitted(.connect, on: .server) == 0)
    }

    @Test("C06 layers give a slot a fresh port while the last one rests")
    func layers() {
        let world = World { configuration in
            configuration.ports = PortPlan(first: 10_000, last: 10_100, layers: 3, servers: 1, connections: 1)
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].queue.wait = .seconds(20)
        }
        var closing = ResponsePlan.length(500)
        closing.closes = true
        var ports: [UInt16] = []
        world.dispatcher.onEmit = { side, segment in
            if side == .server, segment.flags == .syn { ports.append(segment.source.port) }
        }
        for index in 0..<3 { world.client([world.exchange(.get(), closing)]) { $0.start = .milliseconds(Int64(index) * 50) } }
        world.finish()
        #expect(Set(ports) == [10_000, 10_001, 10_002])
    }

    @Test("C08 a server that still has the connection: its challenge is answered by RST, and the SYN comes again right behind it, once")
    func c08() throws {
        let (world, client, server) = World.raw { $0.pools[0].connectTimeout = .seconds(10) }
        client.open()
        world.simulation.run(atMost: .seconds(1)) { !server.received.isEmpty }
        let syn = try #require(server.received.first)
        server.remote = syn.source
        _ = server.arrivals()
        server.send(.ack) { ($0.sequence, $0.acknowledgement) = (900_000, syn.sequence &- 70_000) }
        let answers = server.arrivals(after: .milliseconds(1))
        #expect(answers.map(\.flags) == [.rst, .syn])
        #expect(answers.first?.sequence == syn.sequence &- 70_000 && answers.last?.sequence == syn.sequence)
        // Whatever else comes of that kind, the SYN is not sent again before its time.
        server.send(.ack) { ($0.sequence, $0.acknowledgement) = (900_000, syn.sequence &- 70_000) }
        #expect(server.arrivals().map(\.flags) == [.rst])
        server.acknowledgement = syn.sequence &+ 1
        server.advance([.syn, .ack])
        #expect(server.arrivals().map(\.flags) == [.ack])
        client.advance([.ack, .psh], World.get)
        #expect(server.arrivals().contains { !$0.payload.isEmpty })
        world.check()
    }

    @Test("C07 a server in TIME_WAIT that takes only higher numbers: with ours below its last, it challenges, and RST and SYN are taken")
    func c07() throws {
        let (world, client, server) = World.raw { $0.pools[0].connectTimeout = .seconds(10) }
        client.open()
        world.simulation.run(atMost: .seconds(1)) { !server.received.isEmpty }
        let syn = try #require(server.received.first)
        server.remote = syn.source
        _ = server.arrivals()
        // Its old connection ended at a number above ours: the SYN is an old duplicate to it (RFC 9293 3.10.7.4).
        let old = syn.sequence &+ 50_000
        server.send(.ack) { ($0.sequence, $0.acknowledgement) = (700_000, old) }
        let answers = server.arrivals(after: .milliseconds(1))
        #expect(answers.map(\.flags) == [.rst, .syn] && answers.first?.sequence == old)
        // One that ignores a RST in TIME_WAIT (RFC 1337) stays silent until its 2 MSL are over: then the timer's SYN is taken.
        server.run(.milliseconds(1_500))
        #expect(server.arrivals().contains { $0.flags == .syn && $0.sequence == syn.sequence })
        server.acknowledgement = syn.sequence &+ 1
        server.advance([.syn, .ack])
        #expect(server.arrivals().map(\.flags) == [.ack])
        world.check()
    }

    @Test("C09 a server closes an idle connection: no client is affected, the next request opens another")
    func c09() {
        let world = World()
        world.servers[0].keepAlive = .seconds(3)
        let client = world.client([world.exchange(), world.exchange()]) { $0.thinkTime = .seconds(10) }
        world.simulation.run(for: .seconds(8))
        #expect(world.firstServer.idle == 0 && world.frontConnections == 1)
        world.finish()
        #expect(client.outcome == .complete && world.servers[0].connectionsAccepted == 2)
    }

    @Test("C10 a server resets an idle connection: the slot is free, the next request opens another")
    func c10() throws {
        let (world, client, server) = World.raw()
        client.open()
        let first = try #require(server.accept())
        server.send(.rst)
        server.run()
        #expect(world.firstServer.idle == 0)
        server.skip()
        client.advance([.ack, .psh], World.get)
        let second = try #require(server.accept())
        #expect(second.source.port != first.source.port)
        #expect(server.arrivals().contains { !$0.payload.isEmpty })
        world.check()
    }

    @Test("C11 a request that crosses the server's FIN is repeated elsewhere", arguments: ["GET", "POST"])
    func c11(method: String) {
        let world = World(server: .clean(.milliseconds(5)))
        world.servers[0].keepAlivePattern = { $0 == 1 ? .seconds(1) : nil }
        var request = RequestPlan.get()
        request.method = method
        request.body = method == "POST" ? 300 : 0
        let client = world.client([world.exchange(), world.exchange(request)]) { $0.thinkTime = .milliseconds(993) }
        world.finish()
        #expect(client.outcome == .complete)
        #expect(world.servers[0].connectionsAccepted == 2)
        #expect(world.dispatcher.snapshot.counters.repeatedRequests == 1)
    }

    @Test("C12 a server that has the request and resets acknowledges it with its RST: a POST is not repeated")
    func c12() throws {
        let opened = Spliced(request: [UInt8](text: "POST /x/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"))
        let splice = try #require(opened)
        splice.server.skip()
        // No acknowledgement was sent before: the number in the RST is the only one.
        splice.server.send([.rst, .ack])
        splice.client.run(.milliseconds(300))
        #expect(splice.server.arrivals().allSatisfy { $0.payload.isEmpty })
        #expect(splice.client.received.contains { $0.payload.starts(with: [UInt8](text: "HTTP/1.1 502 ")) })
        splice.world.check()
    }

    @Test("C14 a repeated SYN-ACK is acknowledged again; it stays one connection")
    func c14() throws {
        let (world, client, server) = World.raw()
        client.open()
        #expect(server.accept() != nil)
        server.skip()
        server.send([.syn, .ack]) { $0.sequence &-= 1 }
        let answers = server.arrivals()
        #expect(answers.count == 1 && answers[0].flags == .ack && answers[0].acknowledgement == server.sequence)
        #expect(world.firstServer.connects == 1 && world.firstServer.idle == 1)
        world.check()
    }

    @Test("B20 a SYN from a server is not a connection")
    func b20() throws {
        let (world, client, server) = World.raw()
        client.open()
        world.simulation.run(atMost: .seconds(1)) { !server.received.isEmpty }
        server.remote = try #require(server.received.first).source
        server.skip()
        server.send(.syn)
        #expect(server.arrivals(after: .milliseconds(20)).allSatisfy { $0.flags.contains(.rst) })
        server.remote.port = 60_123
        server.send(.syn)
        #expect(server.arrivals(after: .milliseconds(20)).allSatisfy { $0.flags == [.rst, .ack] })
        world.check()
    }

    @Test("round robin goes over the servers that are idle")
    func roundRobin() {
        let world = World(servers: 3)
        for index in 0..<9 { world.client([world.exchange()]) { $0.start = .milliseconds(Int64(index) * 20) } }
        world.finish()
        #expect(world.servers.map(\.requestsServed) == [3, 3, 3])
    }
}
