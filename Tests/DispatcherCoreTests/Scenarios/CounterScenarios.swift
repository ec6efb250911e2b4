import DispatcherCore
import Testing

/// What the other scenarios do not reach: frames that are no business of ours, and what happens when memory or the way out is used up.
@Suite("Counters")
struct CounterScenarios {
    private static let request = [UInt8](text: "GET /x/1 HTTP/1.1\r\nHost: test.example\r\n\r\n")

    private func good(_ client: RawPeer) -> [UInt8] { client.frame(client.segment(.syn)) }

    /// The IPv4 header's checksum is made good again.
    private func repaired(_ frame: [UInt8]) -> [UInt8] {
        var frame = frame
        TestSegment.store(0, at: 24, in: &frame)
        TestSegment.store(~TestChecksum.fold(TestChecksum.sum(frame[14..<34])), at: 24, in: &frame)
        return frame
    }

    @Test("frames that are not for us, or not well formed, are dropped for the reason that they give")
    func frames() {
        let (world, client, _) = World.raw()
        func expect(_ reason: DropReason, on side: Side = .client, _ frame: [UInt8]) {
            let before = world.dropped(reason, on: side)
            world.dispatcher.receive(SimulatedFrame(bytes: frame), on: side)
            #expect(world.dropped(reason, on: side) == before + 1, "\(reason)")
        }
        let frame = good(client)
        func changed(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
            var frame = frame
            change(&frame)
            return frame
        }
        expect(.truncatedFrame, Array(frame.prefix(10)))
        expect(.truncatedFrame, Array(frame.prefix(40)))
        expect(.unsupportedEtherType, changed { $0[12] = 0x12 })
        expect(.vlanTag, changed { ($0[12], $0[13]) = (0x81, 0) })
        expect(.badIPHeader, changed { $0[24] ^= 1 })
        expect(.ipFragment, repaired(changed { $0[20] |= 0x20 }))
        expect(.unsupportedProtocol, repaired(changed { $0[23] = 99 }))
        expect(.badTCPFlags, client.frame(client.segment([.syn, .fin])))
        expect(.badTCPChecksum, changed { $0[50] ^= 1 })
        expect(.badSource, repaired(changed { $0[26] = 224 }))
        expect(.wrongSide, on: .server, frame)
        expect(.badICMP, TestICMP.frame([8, 0, 0, 0], to: World.service.address))
        world.check()
    }

    @Test("what the way out has no room for is lost and counted, and nothing else goes wrong")
    func egressFull() {
        let (world, client, server) = World.raw { $0.recordCapacity = 1 }
        client.open()
        server.accept()
        client.run(.seconds(1))
        world.dispatcher.isStuck = true
        var syn = client.segment(.syn)
        for port in 0..<UInt16(2_200) {
            syn.source.port = 50_000 + port % 15_000
            world.dispatcher.receive(SimulatedFrame(bytes: client.frame(syn)), on: .client)
        }
        let echo = TestICMP.frame([8, 0, 0, 0, 1, 2, 3, 4], from: client.local.address, to: World.service.address)
        for _ in 0..<101 { world.dispatcher.receive(SimulatedFrame(bytes: echo), on: .client) }
        world.dispatcher.receive(SimulatedFrame(bytes: client.frame(client.segment([.ack, .psh], Self.request))), on: .client)
        let counters = world.dispatcher.snapshot.counters
        #expect(counters.egressLost[0] > 0 && counters.egressLost[1] > 0)
        let (full, limited) = (world.dropped(.egressFull), world.dropped(.rateLimited))
        #expect(full > 0 && limited > 0 && full + limited == 101)
        world.dispatcher.isStuck = false
        // The request that was lost on its way out is sent again.
        client.run(.seconds(3))
        #expect(server.payloadReceived > 0)
        world.check()
    }

    @Test("records that nobody takes in time are lost and counted")
    func recordsLost() {
        let (world, client, _) = World.raw { $0.recordCapacity = 1 }
        let other = world.rawClient(port: 40_001)
        client.open()
        other.open()
        world.dispatcher.isStuck = true
        for peer in [client, other] {
            let segment = peer.segment([.ack, .psh], [UInt8](text: "nonsense\r\n\r\n"))
            world.dispatcher.receive(SimulatedFrame(bytes: peer.frame(segment)), on: .client)
        }
        world.dispatcher.isStuck = false
        client.run()
        #expect(world.dispatcher.snapshot.counters.recordsLost == 1)
        world.check()
    }

    @Test("without memory a request is not taken, and its refusal is left out: the client sees the end of its connection")
    func noMemory() {
        let (world, client, _) = World.raw {
            ($0.requestMemory, $0.tcp.stagingMemory) = (512, 0)
            $0.services[0].limits.headTime = .seconds(2)
        }
        client.open()
        client.advance([.ack, .psh], [UInt8](text: "GET /x/1 HTTP/1.1\r\n"))
        client.send(.ack, [UInt8](text: "A: " + String(repeating: "b", count: 1_400)))
        client.run()
        client.send(.ack, [UInt8](text: String(repeating: "c", count: 1_400))) { $0.sequence &+= 1_403 }
        client.run(.seconds(3))
        #expect(world.dropped(.receiveMemory) > 0)
        #expect(world.dispatcher.snapshot.counters.answersOmitted == 1)
        #expect(client.received.contains { $0.flags.contains(.fin) && $0.payload.isEmpty })
        world.check()
    }

    @Test("a client's bytes behind its FIN are dropped, and those behind an upgrade until it is answered")
    func afterFin() throws {
        let splice = try #require(Spliced())
        splice.client.advance([.ack, .fin])
        splice.client.run()
        splice.client.send([.ack, .psh], [1, 2, 3])
        #expect(splice.clientArrivals().allSatisfy { $0.acknowledgement == splice.client.sequence })
        #expect(splice.world.dropped(.afterFin) == 1)
        splice.world.check()

        let (world, client, server) = World.raw { $0.pools[0].open = .onRequest }
        client.open()
        client.advance([.ack, .psh], [UInt8](text: FuzzWorld.upgrade))
        try #require(server.accept() != nil)
        client.advance([.ack, .psh], [1, 2, 3])
        client.run()
        #expect(world.dropped(.whileUpgrading) == 1)
        world.check()
    }

    @Test("a request that no route takes is refused, and one that finds its queue full; a client that comes while we stop too")
    func refusals() {
        let world = World {
            $0.services[0].routes = [RouteConfiguration(pathPrefix: Array("/x/".utf8), pool: 0)]
            ($0.pools[0].queue.capacity, $0.pools[0].servers[0].initialLimit) = (1, 1)
        }
        world.client([world.exchange(RequestPlan(path: "/y/"))]) { $0.ownAnswers[1] = 503 }
        for number in 0..<3 {
            let exchange = world.exchange(.get(), ResponsePlan.length(10).after(.milliseconds(400)))
            world.client([exchange]) {
                $0.start = .milliseconds(Int64(20 * number + 20))
                if number == 2 { $0.ownAnswers[exchange.id] = 503 }
            }
        }
        world.runClients()
        #expect(world.refused(.noRoute) == 1 && world.refused(.queueFull) == 1)
        world.dispatcher.apply(.stop)
        let late = world.rawClient(port: 41_000)
        late.send(.syn)
        #expect(late.arrivals().allSatisfy { $0.flags.contains(.rst) })
        #expect(world.refused(.stopping) == 1 && world.dropped(.refusedStopping) == 1)
        world.finish()
    }
}
