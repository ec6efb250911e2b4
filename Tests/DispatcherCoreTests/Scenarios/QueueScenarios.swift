import DispatcherCore
import Testing

@Suite("L. The queue and the dispatcher's own answers")
struct QueueScenarios {
    @Test("L01 never more than the limit at a time, first in first out")
    func l01() {
        let world = World { $0.pools[0].queue.wait = .seconds(60) }
        for index in 0..<100 {
            world.client([world.exchange(.get(), ResponsePlan.length(600).after(.milliseconds(20)))]) {
                $0.start = .microseconds(Int64(index) * 50)
            }
        }
        world.finish()
        #expect(world.servers[0].activeHigh == 8)
        // Requests on eight connections overtake each other by less than a service time: in each group of eight, not beyond.
        for (position, id) in world.servers[0].order.enumerated() { #expect(abs(position - (Int(id) - 1)) < 8) }
        #expect(world.dispatcher.snapshot.pools[0].queueHigh >= 90)
    }

    @Test("L02 a queued client that leaves is never dispatched", arguments: [false, true])
    func l02(resets: Bool) throws {
        let (world, client, server) = World.raw { configuration in
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].queue.wait = .seconds(60)
        }
        let first = try #require(Spliced(world, client, server, request: World.get))
        let second = world.rawClient(port: 40_001)
        second.open()
        second.advance([.ack, .psh], [UInt8](text: "GET /x/2 HTTP/1.1\r\nHost: a\r\n\r\n"))
        second.run()
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 1)
        if resets { second.send(.rst) } else { second.send([.rst, .ack]) }
        second.run()
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 0)
        server.skip()
        first.server.advance([.ack, .psh], RawPeer.head(length: 2) + [UInt8](text: "ok"))
        first.client.run()
        first.client.acknowledge()
        #expect(server.arrivals(after: .milliseconds(50)).allSatisfy { $0.payload.isEmpty })
        world.check()
    }

    @Test("the wait in the queue is bounded: 503")
    func wait() {
        let world = World { configuration in
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].queue.wait = .milliseconds(500)
        }
        world.client([world.exchange(.get(), ResponsePlan.length(100).after(.seconds(3)))])
        let exchange = world.exchange()
        let late = world.client([exchange]) { script in
            script.start = .milliseconds(10)
            script.ownAnswers = [exchange.id: 503]
        }
        world.finish()
        #expect(late.ownStatuses == [503] && world.refused(.queueWait) == 1)
    }

    @Test("L06 a lost 503 is retransmitted until it is acknowledged")
    func l06() {
        let world = World(servers: 0, rawServers: 1)
        _ = world.rawServer()
        let exchange = world.exchange()
        let client = world.client([exchange]) { $0.ownAnswers = [exchange.id: 503] }
        var lost = 0
        world.links["client1"]!.down.filter = { segment in
            guard !segment.payload.isEmpty, lost < 3 else { return true }
            lost += 1
            return false
        }
        world.finish()
        #expect(lost == 3 && client.ownStatuses == [503])
        #expect(world.retransmitted(.answer, on: .client) == 3)
    }

    @Test("L07 a 503 for a client with a closed window: probes, then the end")
    func l07() {
        let world = World(servers: 0, rawServers: 1) { $0.services[0].limits.sendIdle = .seconds(30) }
        _ = world.rawServer()
        let client = world.rawClient()
        client.window = 0
        client.open()
        client.advance([.ack, .psh], World.get)
        client.run(.seconds(20))
        #expect(client.received.allSatisfy { $0.payload.count <= 1 })
        client.run(.seconds(1_000))
        #expect(world.frontConnections == 0)
        world.check()
    }

    @Test("a limit that changes while it runs is kept")
    func setLimit() {
        let world = World { $0.pools[0].queue.wait = .seconds(60) }
        world.servers[0].limit = nil
        for _ in 0..<40 { world.client([world.exchange(.get(), ResponsePlan.length(600).after(.milliseconds(50)))]) }
        world.simulation.run(for: .milliseconds(20))
        #expect(world.servers[0].active == 8)
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 2))
        world.simulation.run(for: .milliseconds(70))
        #expect(world.servers[0].active <= 2)
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 12))
        world.simulation.run(for: .milliseconds(100))
        #expect(world.servers[0].active == 12)
        world.finish()
        #expect(world.servers[0].activeHigh == 12)
    }

    @Test("stop: no new connections, the requests that are there are finished, then it is drained")
    func stop() {
        let world = World()
        let busy = world.client([world.exchange(.get(), ResponsePlan.length(50_000).after(.milliseconds(300)))]) { $0.ending = .stay }
        let idle = world.client([world.exchange()]) { $0.ending = .stay }
        world.simulation.run(for: .milliseconds(100))
        world.dispatcher.apply(.stop)
        world.simulation.run(for: .milliseconds(10))
        #expect(idle.endpoint.peerFinish != nil || idle.end != nil)
        let late = world.rawClient()
        late.send(.syn)
        #expect(late.arrivals().allSatisfy { $0.flags == [.rst, .ack] })
        #expect(!world.dispatcher.isDrained)
        world.runClients(atMost: .seconds(30))
        #expect(busy.answered == 1)
        world.simulation.run(for: .seconds(1))
        #expect(world.dispatcher.isDrained)
        world.finish()
    }

    @Test("abort: every connection is reset")
    func abort() {
        let world = World()
        for _ in 0..<3 { world.client([world.exchange(.get(), ResponsePlan.length(50_000).after(.seconds(3)))]) { $0.mayFail = true } }
        world.simulation.run(for: .milliseconds(100))
        world.dispatcher.apply(.stop)
        world.dispatcher.apply(.abort)
        world.finish(expectComplete: false)
        #expect(world.clients.allSatisfy { $0.outcome == .reset })
        #expect(world.dispatcher.isDrained)
    }

    @Test("records: one for each request, in the order of their ends, with times that add up")
    func records() {
        let world = World()
        world.client([world.exchange(.get(), ResponsePlan.length(5_000).after(.milliseconds(30))), world.exchange(.post(200), .length(0))])
        world.finish()
        let records = world.dispatcher.records
        #expect(records.count == 2)
        #expect(
            records.allSatisfy { $0.status == 200 && $0.cause == .normal && $0.phase == .normal && $0.server == .server(0) && $0.pool == 0 }
        )
        #expect(records.first.map { $0.total >= .milliseconds(30) && $0.bytesToClient > 5_000 } == true)
        #expect(records.first?.response.map { $0 >= .milliseconds(30) } == true)
        let line = records.first.map { record in (0..<record.lineLength).map { record.line[$0] } } ?? []
        #expect(String(decoding: line, as: UTF8.self) == "GET /x/1 HTTP/1.1")
    }
}
