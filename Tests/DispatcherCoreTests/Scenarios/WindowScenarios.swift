import DispatcherCore
import Testing

@Suite("F. Windows")
struct WindowScenarios {
    private func edge(_ segment: TestSegment) -> UInt32 { segment.acknowledgement &+ UInt32(segment.window) }

    private func inBody(window: UInt16 = 65_535, configure: (inout EngineConfiguration) -> Void = { _ in }) throws -> Spliced {
        let opened = Spliced(clientWindow: window, configure: configure)
        var splice = try #require(opened)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 500_000))
        splice.client.run()
        splice.client.acknowledge()
        splice.client.run()
        splice.client.skip()
        splice.clientStart = splice.client.acknowledgement
        splice.serverStart = splice.server.sequence
        return splice
    }

    @Test("F08 a client that shrinks its window: passed on, data in flight still forwarded")
    func f08() throws {
        let splice = try inBody()
        splice.server.skip()
        splice.server.advance(.ack, Tagged.bytes(1, count: 1_400))
        splice.client.run()
        splice.client.window = 5_000
        splice.client.acknowledge()
        let told = try #require(splice.serverArrivals().last)
        #expect(edge(told) == splice.server.sequence &+ 5_000)
        splice.server.advance(.ack, Tagged.bytes(1, count: 1_400))
        #expect(splice.clientArrivals().flatMap(\.payload).count >= 1_400)
        splice.world.check()
    }

    @Test("F09 F11 a closed window is shown; the server's probe passes, the client's answer too, and it goes on")
    func f09() throws {
        let splice = try inBody(window: 20_000)
        for sent in 1...20 {
            splice.server.advance(.ack, Tagged.bytes(1, count: 1_000))
            splice.client.run()
            splice.client.window = UInt16(20_000 - sent * 1_000)
            splice.server.skip()
            splice.client.acknowledge()
            splice.server.run(.milliseconds(1))
        }
        #expect(splice.serverArrivals().last?.window == 0)
        splice.client.skip()
        splice.server.send(.ack) { $0.sequence &-= 1 }
        let probe = splice.clientArrivals()
        #expect(probe.count == 1 && probe[0].payload.isEmpty && probe[0].sequence == splice.client.acknowledgement &- 1)
        splice.server.skip()
        splice.client.acknowledge()
        #expect(splice.serverArrivals().last.map { $0.window == 0 && $0.acknowledgement == splice.server.sequence } == true)
        splice.client.window = 20_000
        splice.client.acknowledge()
        #expect(splice.serverArrivals().last?.window ?? 0 > 0)
        splice.world.check()
    }

    @Test("F09 F10 slow readers of long responses get every byte, window updates lost or not", arguments: [false, true])
    func slowReader(loses: Bool) {
        let world = World { $0.services[0].limits.sendIdle = .seconds(300) }
        var options = TestTCPOptions()
        options.receiveBuffer = 6_000
        options.reader = .paced(bytes: 3_000, interval: .milliseconds(400))
        world.client([world.exchange(.get(), .length(60_000)), world.exchange(.get(), .length(9_000))], options: options)
        if loses {
            var updates = 0
            world.links["client1"]!.up.filter = { segment in
                guard segment.payload.isEmpty, segment.flags == .ack, segment.window > 0 else { return true }
                updates += 1
                return updates % 5 != 4
            }
        }
        world.finish(settle: .seconds(400))
    }

    @Test("a client whose window is closed: the server still has room for a head, which is ours to hold", arguments: [true, false])
    func headRoom(clamped: Bool) throws {
        let opened = Spliced(clientWindow: 0) { $0.tcp.initialWindow = clamped ? .clamped : .client }
        let splice = try #require(opened)
        let shown = try #require(splice.server.received.last)
        #expect(shown.window >= 2 * 1_460 && shown.window <= 10 * 1_460)
        splice.world.check()
    }

    @Test("F10 a server that repeats bytes into a closed window instead of probing it: the client is asked whether it is open again")
    func repeatedIntoClosedWindow() throws {
        let splice = try inBody(window: 1_400)
        splice.server.advance(.ack, [UInt8](repeating: 88, count: 1_400))
        splice.client.run(.milliseconds(1))
        splice.client.window = 0
        splice.client.acknowledge()
        splice.client.run(.milliseconds(1))
        // What was under way does not pass, and the client's update is lost.
        splice.server.send(.ack, [UInt8](repeating: 89, count: 1_000))
        splice.client.run(.milliseconds(1))
        splice.client.window = 60_000
        splice.client.skip()
        splice.server.send(.ack, [UInt8](repeating: 89, count: 1_000))
        let asked = splice.clientArrivals(.milliseconds(1))
        #expect(asked.count == 1 && asked.last?.payload.isEmpty == true && asked.last?.end == splice.client.acknowledgement &- 1)
        splice.client.acknowledge()
        splice.server.run(.milliseconds(1))
        #expect(splice.server.received.last.map { $0.window > 0 } == true)
        splice.server.send(.ack, [UInt8](repeating: 89, count: 1_000))
        #expect(splice.clientArrivals(.milliseconds(1)).last?.payload == [UInt8](repeating: 89, count: 1_000))
        splice.world.check()
    }

    @Test("F11 a probe at the start of an epoch is not an old one")
    func f11() throws {
        let splice = try #require(Spliced(clientWindow: 0))
        splice.server.skip()
        splice.server.send(.ack) { $0.sequence &-= 1 }
        #expect(splice.serverArrivals().contains { $0.flags == .ack && $0.acknowledgement == splice.server.sequence })
        #expect(splice.world.frontConnections == 1)
        splice.world.check()
    }

    @Test("F12 the first flight to a new client is clamped to ten segments and grows with what the client acknowledges")
    func f12() throws {
        let splice = try #require(Spliced())
        let shown = splice.server.received.map { Int(Int32(bitPattern: edge($0) &- splice.serverStart)) }.max()!
        #expect(shown <= 16_384, "before the head the head's limit is shown, not \(shown)")
        let head = RawPeer.head(length: 500_000)
        splice.server.advance([.ack, .psh], head)
        splice.client.run()
        splice.client.acknowledge()
        splice.server.run()
        splice.server.skip()
        var sent = 0
        while sent < 60_000 {
            let last = try #require(splice.server.received.last)
            let room = Int(Int32(bitPattern: edge(last) &- splice.server.sequence))
            // The window, not the edge, is clamped: it doubles as slow start does. Before the head was complete its limit was shown.
            let most = max(16_384 - head.count - sent, 10 * 1_460 + head.count + sent)
            #expect(room <= most, "room \(room) after \(sent) acknowledged bytes")
            splice.server.advance(.ack, [UInt8](repeating: 88, count: 1_400))
            sent += 1_400
            splice.client.run(.milliseconds(1))
            splice.client.acknowledge()
            splice.server.run(.milliseconds(1))
        }
        let last = try #require(splice.server.received.last)
        #expect(Int(Int32(bitPattern: edge(last) &- splice.server.sequence)) >= 40_000)
        splice.world.check()
    }

    @Test("F12 what is staged for the client and not yet acknowledged is taken off the window that the server sees")
    func stagedWindow() throws {
        let opened = Spliced(clientWindow: 20_000) { $0.tcp.initialWindow = .client }
        let splice = try #require(opened)
        let head = [UInt8](text: "HTTP/1.1 200 OK\r\nX-A: " + String(repeating: "a", count: 8_000) + "\r\nContent-Length: 90000\r\n\r\n")
        splice.server.advance(.ack, Array(head[..<4_000]))
        splice.server.run(.milliseconds(1))
        splice.server.advance(.ack, Array(head[4_000...]))
        splice.server.run(.milliseconds(1))
        // The client has acknowledged nothing: beyond the head only the rest of its window is free.
        let last = try #require(splice.server.received.last)
        let room = Int(Int32(bitPattern: edge(last) &- splice.server.sequence))
        #expect(room <= 20_000 - head.count, "room \(room), the client has \(20_000 - head.count)")
        splice.world.check()
    }

    @Test("F13 a window above 32,767 is not negative")
    func f13() throws {
        let splice = try inBody(window: 40_000)
        for _ in 0..<40 {
            splice.server.advance(.ack, [UInt8](repeating: 88, count: 1_400))
            splice.client.run(.milliseconds(1))
            splice.client.acknowledge()
        }
        splice.server.run()
        #expect(splice.server.received.last?.window == 40_000)
        splice.world.check()
    }

    @Test("F14 our own window to a client that sends single bytes never moves back")
    func f14() throws {
        // 22 bytes a second would be below body-rate.
        let (world, client, server) = World.raw { $0.services[0].limits.bodyRate = 0 }
        client.open()
        #expect(server.accept() != nil)
        var edges: [UInt32] = []
        for byte in [UInt8](text: "POST /x/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n") + Tagged.bytes(1, count: 300) {
            client.advance(.ack, [byte])
            edges += client.arrivals(after: .milliseconds(45)).map(edge)
        }
        #expect(!edges.isEmpty)
        for (one, next) in zip(edges, edges.dropFirst()) { #expect(Int32(bitPattern: next &- one) >= 0) }
        world.check()
    }

    @Test("F15 an older acknowledgement with a larger window is not believed")
    func f15() throws {
        let splice = try inBody()
        splice.server.advance(.ack, Tagged.bytes(1, count: 1_000))
        splice.client.run()
        splice.client.window = 3_000
        splice.client.acknowledge()
        splice.server.run()
        splice.server.skip()
        splice.client.send(.ack) { ($0.acknowledgement, $0.window) = ($0.acknowledgement &- 500, 60_000) }
        let passed = splice.serverArrivals()
        #expect(passed.allSatisfy { edge($0) == splice.server.sequence &+ 3_000 })
        splice.world.check()
    }

    // MARK: Window scale

    /// A client and a server whose SYNs have the option window scale, or not, with a long response under way: everything acknowledged.
    private func scaled(client: Int?, server: Int?, window: UInt16) throws -> Spliced {
        let opened = Spliced(
            clientWindow: window, options: TestSegment.maximumSegmentSize(1_460) + (client.map { [1, 3, 3, UInt8($0)] } ?? []),
            serverOptions: TestSegment.maximumSegmentSize(1_460) + (server.map { [1, 3, 3, UInt8($0)] } ?? [])
        ) { $0.tcp.initialWindow = .client }
        let splice = try #require(opened)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 5_000_000))
        splice.client.run()
        splice.client.acknowledge()
        splice.server.run()
        return splice
    }

    private func scale(_ segment: TestSegment?) -> UInt8? { segment?.optionValue(of: 3)?.first }

    @Test(
        "F06 a scale is offered exactly when the client offers one; to servers always; never with options: mss",
        arguments: [(nil, false), (UInt8(0), false), (7, false), (14, false), (7, true)] as [(UInt8?, Bool)])
    func f06(offered: UInt8?, isOff: Bool) throws {
        let (world, client, server) = World.raw { if isOff { $0.tcp.options = .mss } }
        client.send(.syn) { segment in
            if let offered { segment.options += [1, 3, 3, offered, 1, 1, 4, 2] }
        }
        let answer = try #require(client.arrivals().last)
        #expect((scale(answer) != nil) == (offered != nil && !isOff))
        #expect((answer.optionValue(of: 4) != nil) == (offered != nil && !isOff))
        #expect(answer.window == 65_535)
        client.sequence &+= 1
        client.acknowledgement = answer.sequence &+ 1
        client.send(.ack)
        let syn = try #require(server.accept())
        #expect((scale(syn) != nil) == !isOff && (syn.optionValue(of: 4) != nil) == !isOff)
        world.check()
    }

    @Test(
        "F01 F05 the client's window in bytes is the server's in bytes; a scale above 14 counts as 14; one side may have no scale",
        arguments: [
            (7, 500, 7, 64_000), (5, 2_000, 7, 64_000), (15, 3, 7, 49_152), (14, 60, 2, 983_040), (nil, 64_000, 7, 64_000),
            (10, 60, nil, 61_440), (12, 100, nil, 65_535),
        ] as [(Int?, Int, Int?, Int)])
    func f01(client: Int?, field: Int, server: Int?, bytes: Int) throws {
        let splice = try scaled(client: client, server: server, window: UInt16(field))
        let told = try #require(splice.server.received.last)
        #expect(Int(told.window) << (server == nil ? 0 : 7) == bytes)
        // The server's window for the request is scaled as well.
        splice.world.check()
    }

    @Test("F03 a window smaller than a step is shown as closed; the server's probe passes; no deadlock")
    func f03() throws {
        let splice = try scaled(client: 0, server: 7, window: 30_000)
        splice.client.window = 20
        splice.client.acknowledge()
        splice.server.run()
        #expect(splice.server.received.last?.window == 0)
        splice.client.skip()
        splice.server.send(.ack, [88]) { _ in }
        #expect(splice.clientArrivals().contains { $0.payload == [88] })
        // As Linux probes.
        splice.server.send(.ack) { $0.sequence &-= 1 }
        #expect(splice.clientArrivals().contains { $0.payload.isEmpty && $0.sequence == splice.client.acknowledgement &- 2 })
        splice.client.window = 30_000
        splice.client.acknowledge()
        splice.server.run()
        #expect(splice.server.received.last?.window == UInt16(30_000 >> 7))
        splice.world.check()
    }

    @Test(
        "F07 while the client's edge stays, the one shown to the server moves left by less than a step, and not at all for a scale like ours",
        arguments: [(0, 1), (7, 128)])
    func f07(scale: Int, bytes: Int) throws {
        let splice = try scaled(client: scale, server: 7, window: UInt16(40_000 >> scale))
        let clientEdge = splice.serverStart &+ UInt32(RawPeer.head(length: 5_000_000).count) &+ UInt32((40_000 >> scale) << scale)
        for step in 1...200 {
            splice.server.advance(.ack, [UInt8](repeating: 88, count: bytes))
            splice.client.run(.milliseconds(1))
            splice.client.window = UInt16((40_000 - step * bytes) >> scale)
            splice.client.acknowledge()
            splice.server.run(.milliseconds(1))
            let told = try #require(splice.server.received.last)
            let behind = Int(Int32(bitPattern: clientEdge &- (told.acknowledgement &+ UInt32(told.window) << 7)))
            #expect(behind >= 0 && behind < (scale == 0 ? 128 : 1), "\(behind)")
        }
        splice.world.check()
    }

    @Test("F14 with a scale, our own window to a client that sends single bytes never moves back either")
    func f14Scaled() throws {
        // 22 bytes a second would be below body-rate.
        let (world, client, server) = World.raw { $0.services[0].limits.bodyRate = 0 }
        client.send(.syn) { $0.options += [1, 3, 3, 9] }
        client.sequence &+= 1
        client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
        client.send(.ack)
        #expect(server.accept() != nil)
        var edges: [UInt32] = []
        for byte in [UInt8](text: "POST /x/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n") + Tagged.bytes(1, count: 300) {
            client.advance(.ack, [byte])
            edges += client.arrivals(after: .milliseconds(45)).map { $0.acknowledgement &+ UInt32($0.window) << 7 }
        }
        #expect(edges.count > 300)
        for (one, next) in zip(edges, edges.dropFirst()) { #expect(Int32(bitPattern: next &- one) >= 0) }
        world.check()
    }

    @Test("long responses fill a large window: the clamp grows until the client's scale decides")
    func largeWindow() {
        let world = World(serverOptions: TestTCPOptions(windowScale: 7, sackPermitted: true))
        let options = TestTCPOptions(windowScale: 7, sackPermitted: true, receiveBuffer: 1_000_000)
        world.client([world.exchange(.get(), .length(3_000_000))], options: options)
        world.finish()
        #expect(world.servers[0].connections.map(\.endpoint.largestPeerWindow).max() ?? 0 > 500_000)
    }
    @Test("bytes behind the end reset the server's connection where the response just fills the client's window", arguments: [true, false])
    func surplus(inOneSegment: Bool) throws {
        let answer = RawPeer.head(length: 100) + Tagged.bytes(1, count: 100)
        let opened = Spliced(clientWindow: UInt16(answer.count))
        let splice = try #require(opened)
        let surplus = RawPeer.head(length: 4) + [UInt8](text: "evil")
        splice.server.skip()
        if inOneSegment {
            splice.server.advance([.ack, .psh], answer + surplus)
        } else {
            splice.server.advance([.ack, .psh], answer)
            splice.server.advance([.ack, .psh], surplus)
        }
        #expect(splice.clientArrivals().flatMap(\.payload) == answer)
        splice.client.window = 65_535
        splice.client.acknowledge()
        #expect(splice.serverArrivals().contains { $0.flags.contains(.rst) })
        splice.world.check()
    }

    @Test("a client that has acknowledged everything and closed its window is given send-idle, not the server's time")
    func closedWindow() throws {
        let splice = try inBody()
        splice.server.advance(.ack, Tagged.bytes(1, count: 1_000))
        splice.client.run()
        splice.client.window = 0
        splice.client.acknowledge()
        splice.client.run(.seconds(45))
        #expect(splice.world.frontConnections == 1)
        splice.client.run(.seconds(45))
        #expect(splice.world.frontConnections == 0)
        splice.world.check()
    }
}
