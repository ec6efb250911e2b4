import Testing

@testable import DispatcherCore

@Suite("Waiting for an idle server")
struct WaitingScenarios {
    @Test("a thousand requests over one connection are served in the order in which they came")
    func order() {
        let world = World { configuration in
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].queue.wait = .seconds(600)
        }
        world.runLong()
        world.servers[0].limit = 1
        world.visitors(1_000, every: .microseconds(20), .get(), .length(100).after(.microseconds(300)))
        world.finish()
        #expect(world.servers[0].order == Array(1...1_000))
        #expect(world.servers[0].connectionsAccepted == 1 && world.dispatcher.snapshot.pools[0].queueHigh > 900)
    }

    @Test("4,096 small requests that wait take less than 4 MiB")
    func memory() {
        let world = World { configuration in
            configuration.pools[0].queue = QueueConfiguration()
            configuration.pools[0].queue.refuseAbove = 5_000
            configuration.pools[0].queue.wait = .seconds(600)
            configuration.pools[0].servers[0].minimumLimit = 0
            configuration.pools[0].servers[0].initialLimit = 0
        }
        world.runLong()
        for _ in 0..<64 {
            let host = world.nextClientHost()
            for port in 0..<64 {
                var script = ClientScript()
                script.exchanges = [world.exchange(.get().with("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)").with("Accept", "*/*"))]
                script.start = .microseconds(Int64(port) * 500)
                _ = world.client(on: host, port: UInt16(30_000 + port), script: script, options: TestTCPOptions())
            }
        }
        world.simulation.run(for: .seconds(1))
        let snapshot = world.dispatcher.snapshot
        #expect(snapshot.pools[0].queueLength == 4_096)
        let taken = snapshot.bufferBytes + 4_096 * MemoryLayout<RequestQueue.Entry>.stride
        #expect(taken < 4 << 20, "\(taken)")
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 200))
        world.finish()
        #expect(world.servers[0].requestsServed == 4_096)
    }

    @Test("hopeless requests are refused at once when the rate is known, and none that would have been served in time")
    func hopeless() {
        let world = World { configuration in
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].queue.wait = .seconds(1)
        }
        world.runLong()
        let crowd = Crowd(world)
        crowd.response = .length(100).after(.milliseconds(10))
        crowd.ask(20)
        world.simulation.run(for: .seconds(4))
        #expect(crowd.refused.isEmpty && world.refused(.queueHopeless) == 0)
        let rate = world.shown(0).performance?.requestRate ?? 0
        #expect(rate > 80 && rate < 100)
        var late = 0
        for _ in 0..<400 {
            let exchange = world.exchange(.get(), .length(100).after(.milliseconds(10)))
            let client = world.client([exchange]) { ($0.acceptsErrors, $0.mayFail) = ([503], true) }
            client.onFinished = { [unowned client] in if client.outcome == .refused { late += 1 } }
        }
        world.simulation.run(for: .milliseconds(50))
        #expect(world.refused(.queueHopeless) >= 200 && late >= 200, "refused at once, not after a second")
        #expect(world.dispatcher.snapshot.pools[0].queueHigh >= Int(1.4 * rate), "one and a half of what can be served in time is let in")
        world.simulation.run(for: .seconds(3))
        let refused = world.refused(.queueHopeless)
        #expect(world.refused(.queueWait) > 0)
        world.simulation.run(for: .seconds(3))
        #expect(world.refused(.queueHopeless) == refused, "the steady demand is served")
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test("above the threshold new connections are answered 503 with Retry-After; those that were there are served; below the other, all")
    func refusedByAnswer() {
        let world = World { configuration in
            configuration.pools[0].servers[0].initialLimit = 1
            configuration.pools[0].queue.wait = .seconds(60)
            configuration.pools[0].queue.refuseAbove = 10
            configuration.pools[0].queue.resumeBelow = 5
            configuration.pools[0].queue.refuseWith = .answer
        }
        let quiet = world.rawClient(port: 41_000)
        quiet.open()
        world.visitors(12, every: .microseconds(10), .get(), .length(100).after(.milliseconds(50)))
        world.simulation.run(for: .milliseconds(20))
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 11)
        let late = world.rawClient(port: 41_001)
        let patient = world.rawClient(port: 41_002)
        late.open()
        patient.open()
        late.skip()
        late.advance([.ack, .psh], [UInt8](text: "GET /x/99 HTTP/1.1\r\nHost: a\r\n\r\n"))
        let answer = String(decoding: late.arrivals().flatMap(\.payload), as: UTF8.self)
        #expect(answer.hasPrefix("HTTP/1.1 503 ") && answer.contains("\r\nRetry-After: 1\r\n"))
        #expect(world.refused(.queueThreshold) == 1)
        // A connection that was there before is served: its request waits like the others.
        let exchange = world.exchange()
        quiet.advance([.ack, .psh], [UInt8](text: "GET /x/\(exchange.id) HTTP/1.1\r\nHost: a\r\n\r\n"))
        quiet.run()
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 12)
        world.simulation.run(for: .milliseconds(300))
        let length = world.dispatcher.snapshot.pools[0].queueLength
        #expect((5...10).contains(length))
        let another = world.rawClient(port: 41_003)
        another.open()
        another.advance([.ack, .psh], [UInt8](text: "GET /x/98 HTTP/1.1\r\nHost: a\r\n\r\n"))
        another.run()
        #expect(world.refused(.queueThreshold) == 2, "refused until there are fewer than the other threshold")
        world.simulation.run(for: .milliseconds(500))
        #expect(world.dispatcher.snapshot.pools[0].queueLength < 5)
        // Who connected meanwhile and asks only now is served, and so is who connects now.
        for peer in [patient, world.rawClient(port: 41_004)] {
            let exchange = world.exchange()
            if peer !== patient { peer.open() }
            peer.skip()
            peer.advance([.ack, .psh], [UInt8](text: "GET /x/\(exchange.id) HTTP/1.1\r\nHost: a\r\n\r\n"))
            #expect(String(decoding: peer.arrivals(after: .seconds(1)).flatMap(\.payload), as: UTF8.self).hasPrefix("HTTP/1.1 200 "))
        }
        #expect(world.refused(.queueThreshold) == 2)
        #expect(world.clients.allSatisfy { $0.outcome == .complete })
        world.check()
    }
}
