import DispatcherCore
import Testing

@Suite("Mode l4/3: the queue of SYNs")
struct ForwardQueueScenarios {
    private func peers(_ client: RawPeer, _ count: Int) -> [RawPeer] {
        (0..<count).map { RawPeer(client.host, port: 41_000 + UInt16($0), sequence: 1_000 + UInt32($0) * 10_000) }
    }

    @Test("a SYN waits while the server has as many connections as it may, and goes out when one ends; first come, first served")
    func fifo() throws {
        let (world, client, server) = World.rawForwarding(limit: 2)
        let peers = peers(client, 6)
        for peer in peers { peer.knock() }
        let first = server.takeSYNs()
        #expect(first.map(\.sequence) == [1_000, 11_000])
        #expect(world.queueLength == 4 && world.activeConnections == [2])
        // One after the other is refused: the next comes in the order in which they came.
        var order = first
        while order.count < 6 {
            server.reply(to: order[order.count - 2], [.rst, .ack], sequence: 0)
            let next = server.takeSYNs()
            try #require(next.count == 1)
            order += next
        }
        #expect(order.map(\.sequence) == peers.map { $0.segment(.syn).sequence })
        #expect(world.queueLength == 0 && world.dispatcher.snapshot.pools[0].queueHigh == 4)
        world.check()
    }

    @Test("a connection counts until both ends have closed, and not longer")
    func ends() throws {
        let pair = try #require(ForwardedPair())
        let (world, client, server) = (pair.world, pair.client, pair.server)
        let other = RawPeer(client.host, port: 41_000, sequence: 5_000)
        other.knock()
        #expect(server.takeSYNs().isEmpty && world.queueLength == 1)
        client.advance([.fin, .ack])
        server.run()
        #expect(world.queueLength == 1 && world.dispatcher.snapshot.services[0].phases[Int(FrontPhase.closing.rawValue)] == 1)
        server.advance([.fin, .ack])
        client.run()
        #expect(world.queueLength == 1)
        server.skip()
        client.send(.ack)
        #expect(server.takeSYNs().map(\.sequence) == [5_000])
        #expect(world.queueLength == 0 && world.activeConnections == [1])
        // What comes late still passes.
        server.remote = pair.syn.source
        server.send([.fin, .ack]) { $0.sequence &-= 1 }
        #expect(client.arrivals().last?.flags == [.fin, .ack])
        client.send(.ack)
        #expect(server.arrivals().map(\.flags) == [.ack])
        world.check()
    }

    @Test("a RST in the window ends a connection at once, from either end", arguments: [true, false])
    func reset(fromClient: Bool) throws {
        let pair = try #require(ForwardedPair())
        let other = RawPeer(pair.client.host, port: 41_000, sequence: 5_000)
        other.knock()
        let (sender, receiver) = fromClient ? (pair.client, pair.server) : (pair.server, pair.client)
        sender.send([.rst, .ack]) { $0.sequence &+= 10 }
        #expect(receiver.arrivals().first?.flags == [.rst, .ack])
        pair.server.run()
        #expect(pair.world.activeConnections == [1] && pair.world.queueLength == 0)
        let record = try #require(pair.world.dispatcher.records.first)
        #expect(record.kind == .connection && record.cause == (fromClient ? .client : .server) && record.phase == .data)
        pair.world.check()
    }

    @Test("a repeated SYN is the same entry, which ends five seconds after the last")
    func repeated() {
        let (world, client, server) = World.rawForwarding(limit: 0) { $0.pools[0].servers[0].minimumLimit = 0 }
        client.knock()
        client.run(.seconds(3))
        client.knock()
        #expect(world.queueLength == 1)
        client.run(.milliseconds(4_900))
        #expect(world.queueLength == 1)
        client.run(.milliseconds(200))
        #expect(world.queueLength == 0 && world.refused(.clientGone) == 1)
        #expect(client.arrivals().isEmpty && server.arrivals().isEmpty)
        world.check()
    }

    @Test("an entry ends after `wait`, however often its SYN is repeated, and its client is told")
    func wait() throws {
        let (world, client, _) = World.rawForwarding(limit: 0) { $0.pools[0].servers[0].minimumLimit = 0 }
        for _ in 0..<5 {
            client.knock()
            client.run(.seconds(2))
        }
        let end = client.received.last
        #expect(end?.flags == [.rst, .ack] && end?.acknowledgement == client.sequence &+ 1)
        #expect(world.queueLength == 0 && world.refused(.queueWait) == 1)
        let record = try #require(world.dispatcher.records.first)
        #expect(record.cause == .serverTimeout && record.phase == .queue && record.server == nil && record.queue == nil)
        #expect(record.total >= .seconds(10) && record.total < .milliseconds(10_010))
        world.check()
    }

    @Test("however many SYNs are turned away, or have waited too long, in a second, each client is told")
    func allAreTold() {
        let (world, client, _) = World.rawForwarding(limit: 0) {
            $0.pools[0].servers[0].minimumLimit = 0
            $0.services[0].limits.connections = 10_000
            ($0.pools[0].queue.capacity, $0.pools[0].queue.refuseAbove) = (3_000, 3_000)
            $0.pools[0].queue.wait = .seconds(1)
        }
        let count = 6_000
        for index in 0..<count {
            world.simulation.after(.microseconds(Int64(index) * 100)) {
                client.send(.syn) { ($0.sequence, $0.source.port) = (UInt32(index), UInt16(2_000 + index)) }
            }
        }
        var told: Set<UInt16> = []
        world.dispatcher.onEmit = { _, segment in if segment.flags.contains(.rst) { told.insert(segment.destination.port) } }
        world.simulation.run(for: .milliseconds(700))
        #expect(told.count == count - 3_000 && world.refused(.queueFull) == 3_000)
        world.simulation.run(for: .seconds(1))
        #expect(told.count == count && world.refused(.queueWait) == 3_000)
        #expect(world.dispatcher.snapshot.counters.resetsWithheld == 0)
        world.check()
    }

    @Test("a SYN with another number takes the place of one that waits, at the queue's end; a client's RST removes it")
    func replaced() {
        let (world, client, server) = World.rawForwarding(limit: 0) { $0.pools[0].servers[0].minimumLimit = 0 }
        let other = RawPeer(client.host, port: 41_000, sequence: 5_000)
        let third = RawPeer(client.host, port: 41_001, sequence: 6_000)
        for peer in [client, other, third] { peer.knock() }
        client.send(.syn) { $0.sequence = 77_000 }
        client.run()
        #expect(world.queueLength == 3)
        other.send(.rst) { $0.sequence = 9_999 }
        other.run()
        #expect(world.queueLength == 3 && world.dropped(.resetInexact) == 1)
        other.send(.rst) { $0.sequence = 5_001 }
        third.send(.ack) { $0.sequence = 6_001 }
        other.run()
        #expect(world.queueLength == 2 && world.dropped(.whileQueued) == 1)
        world.dispatcher.checker.raisedLimit = 8
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 8))
        #expect(server.takeSYNs().map(\.sequence) == [6_000, 77_000])
        world.check()
    }

    @Test("above refuse-above new SYNs are reset, until there are fewer than resume-below")
    func thresholds() {
        let (world, client, server) = World.rawForwarding(limit: 0) {
            $0.pools[0].servers[0].minimumLimit = 0
            ($0.pools[0].queue.refuseAbove, $0.pools[0].queue.resumeBelow) = (3, 2)
        }
        let peers = peers(client, 6)
        for peer in peers[0..<4] { #expect(peer.knock().isEmpty) }
        #expect(peers[4].knock().map(\.flags) == [[.rst, .ack]])
        #expect(world.queueLength == 4 && world.refused(.queueThreshold) == 1 && world.dropped(.refusedQueueFull) == 1)
        world.dispatcher.checker.raisedLimit = 3
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 2))
        #expect(server.takeSYNs().count == 2)
        #expect(peers[4].knock().map(\.flags) == [[.rst, .ack]])
        world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 3))
        peers[4].run()
        #expect(peers[4].knock().isEmpty && world.queueLength == 2)
        world.check()
    }

    @Test("the queue is bounded, and so is one client's part of it, and what a service and a client may have")
    func bounds() {
        let (world, client, _) = World.rawForwarding(limit: 0) {
            $0.pools[0].servers[0].minimumLimit = 0
            ($0.pools[0].queue.capacity, $0.pools[0].queue.perClient) = (4, 50)
        }
        let peers = peers(client, 3)
        for peer in peers[0..<2] { #expect(peer.knock().isEmpty) }
        #expect(peers[2].knock().map(\.flags) == [[.rst, .ack]] && world.refused(.clientQueueShare) == 1)
        for _ in 0..<2 { #expect(world.rawClient().knock().isEmpty) }
        #expect(world.rawClient().knock().map(\.flags) == [[.rst, .ack]] && world.refused(.queueFull) == 1)
        #expect(world.queueLength == 4)
        client.run(.seconds(6))
        #expect(world.queueLength == 0 && world.dispatcher.snapshot.clientsHold == 0)
        world.check()
    }

    @Test("limits of a service: connections in all, of one client, and how fast one comes")
    func limits() throws {
        let (world, client, server) = World.rawForwarding(limit: 8) {
            ($0.services[0].limits.connections, $0.services[0].limits.perClientConnections) = (3, 2)
            $0.services[0].limits.perClientNewConnections = 2
        }
        let peers = peers(client, 4)
        for peer in peers[0..<2] { #expect(peer.knock().isEmpty) }
        let syns = server.takeSYNs()
        #expect(syns.count == 2)
        #expect(peers[2].knock().map(\.flags) == [[.rst, .ack]] && world.refused(.clientConnections) == 1)
        #expect(world.rawClient().knock().isEmpty)
        #expect(world.rawClient().knock().map(\.flags) == [[.rst, .ack]] && world.refused(.connectionLimit) == 1)
        for syn in syns { server.reply(to: syn, [.rst, .ack], sequence: 0) }
        server.run()
        #expect(peers[2].knock().map(\.flags) == [[.rst, .ack]] && world.refused(.clientConnectionRate) == 1)
        client.run(.milliseconds(600))
        #expect(peers[2].knock().isEmpty)
        world.check()
    }

    @Test("a full table forgets the connections that have ended, the oldest first, before it refuses any")
    func table() throws {
        let (world, client, server) = World.rawForwarding(limit: 8) { $0.services[0].limits.connections = 2 }
        let first = try #require(ForwardedPair(world, client, server))
        first.close()
        let second = try #require(ForwardedPair(world, RawPeer(client.host, port: 41_000), server))
        second.close()
        #expect(world.dispatcher.snapshot.timeWaits == 2)
        let third = RawPeer(client.host, port: 41_001)
        #expect(third.knock().isEmpty && server.takeSYNs().count == 1)
        #expect(world.dispatcher.snapshot.timeWaits == 1 && world.dispatcher.snapshot.counters.closedForgotten == 1)
        // The second one is still there: a late segment passes.
        second.server.remote = second.syn.source
        second.client.send(.ack)
        #expect(server.arrivals().map(\.source.port) == [second.syn.source.port])
        world.check()
    }

    @Test("the next SYN of the same client port begins anew once its connection has ended; an old one does not")
    func again() throws {
        let pair = try #require(ForwardedPair())
        pair.close()
        let client = pair.client
        client.send(.syn) { $0.sequence = client.sequence &- 5_000 }
        #expect(pair.server.takeSYNs().isEmpty && pair.world.dropped(.timeWait) == 1)
        client.send(.syn) { $0.sequence = client.sequence &+ 5_000 }
        let next = pair.server.takeSYNs()
        #expect(next.count == 1 && next.first?.source != pair.syn.source)
        #expect(pair.world.activeConnections == [1])
        pair.world.check()
    }

    @Test("a lower limit takes no connection away: what is beyond it runs out")
    func lowered() throws {
        let pair = try #require(ForwardedPair(limit: 2))
        let other = RawPeer(pair.client.host, port: 41_000)
        other.knock()
        let syn = try #require(pair.server.takeSYNs().first)
        pair.world.dispatcher.apply(.setLimit(pool: 0, server: .server(0), limit: 1))
        let third = RawPeer(pair.client.host, port: 41_001)
        third.knock()
        pair.server.reply(to: syn, [.rst, .ack], sequence: 0)
        #expect(pair.server.takeSYNs().isEmpty && pair.world.activeConnections == [1] && pair.world.queueLength == 1)
        pair.client.send([.rst, .ack])
        #expect(pair.server.takeSYNs().count == 1)
        pair.world.check()
    }

    @Test("stop: new SYNs and those that wait are reset, connections go on; abort: both ends of all of them are reset")
    func stopAndAbort() throws {
        let pair = try #require(ForwardedPair())
        let (world, client, server) = (pair.world, pair.client, pair.server)
        let waiting = RawPeer(client.host, port: 41_000)
        waiting.knock()
        world.dispatcher.apply(.stop)
        #expect(waiting.arrivals().map(\.flags) == [[.rst, .ack]])
        #expect(waiting.knock().map(\.flags) == [[.rst, .ack]])
        #expect(world.refused(.stopping) == 2 && world.dropped(.refusedStopping) == 1 && !world.dispatcher.isDrained)
        client.advance([.ack, .psh], [1, 2, 3])
        #expect(server.arrivals().map(\.payload) == [[1, 2, 3]])
        world.dispatcher.apply(.abort)
        let (atClient, atServer) = (client.arrivals(), server.arrivals())
        #expect(atClient.map(\.flags) == [[.rst, .ack]] && atClient.map(\.sequence) == [client.acknowledgement])
        #expect(atServer.map(\.flags) == [[.rst, .ack]] && atServer.map(\.sequence) == [pair.syn.sequence &+ 1])
        #expect(world.dispatcher.isDrained && world.dispatcher.records.last?.cause == .down)
        world.check()
    }

    @Test("abort with SYNs that wait")
    func abortQueued() {
        let (world, client, _) = World.rawForwarding()
        let peers = peers(client, 3)
        for peer in peers { peer.knock() }
        world.dispatcher.apply(.abort)
        for peer in peers { #expect(peer.arrivals().map(\.flags) == [[.rst, .ack]]) }
        #expect(world.dispatcher.isDrained && world.queueLength == 0 && world.activeConnections == [0])
        world.check()
    }
}
