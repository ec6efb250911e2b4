import DispatcherCore
import Testing

@Suite("N. IPv6, alone and beside IPv4")
struct IPv6Scenarios {
    private static let switching: ResponsePlan = {
        var plan = ResponsePlan()
        (plan.status, plan.framing) = (101, .switching)
        return plan
    }()

    private func lossy() -> Impairments {
        var impairments = Impairments.clean(.milliseconds(2))
        (impairments.loss, impairments.duplication, impairments.reordering, impairments.corruption) = (0.03, 0.01, 0.03, 0.01)
        impairments.merging = 0.3
        return impairments
    }

    private func patient(_ configuration: inout EngineConfiguration) {
        configuration.pools[0].connectTimeout = .seconds(100)
        configuration.pools[0].responseTimeout = .seconds(900)
        configuration.pools[0].queue.wait = .seconds(900)
        configuration.pools[0].retries = 20
        configuration.services[0].limits.sendIdle = .seconds(900)
        configuration.services[0].limits.headTime = .seconds(900)
        configuration.services[0].limits.bodyRate = 0
        configuration.services[0].limits.idle = .seconds(900)
    }

    // MARK: Exchanges

    @Test(
        "exchanges are exact under loss, whatever the two sides speak, over connections that both families share",
        arguments: Families.withIPv6)
    func exchanges(families: Families) {
        let world = World(seed: 61, servers: 2, client: lossy(), server: lossy(), families: families) { configuration in
            patient(&configuration)
            for server in 0..<2 { configuration.pools[0].servers[server].initialLimit = 1 }
        }
        var seen: Set<[Bool]> = []
        world.dispatcher.onEmit = { side, segment in seen.insert([side == .client, segment.source.address.isIPv4]) }
        var head = RequestPlan()
        head.method = "HEAD"
        for _ in 0..<4 {
            world.client([
                world.exchange(.get(), .length(60_000)), world.exchange(.post(9_000), .chunked(20_000, size: 3_000)),
                world.exchange(head, .length(1_000)), world.exchange(.get(), .length(100)),
            ])
        }
        world.finish()
        for isIPv4 in [true, false] {
            #expect(seen.contains([true, isIPv4]) == (families.clients == .both || (families.clients == .v4) == isIPv4))
            #expect(seen.contains([false, isIPv4]) == (families.servers == .both || (families.servers == .v4) == isIPv4))
        }
    }

    @Test("a tunnel between two ends of any family is exact under loss", arguments: Families.withIPv6)
    func tunnel(families: Families) {
        let world = World(seed: 62, servers: 2, client: lossy(), server: lossy(), families: families) { patient(&$0) }
        for _ in 0..<4 { world.client([world.exchange(.upgrade(up: 60_000, down: 80_000), Self.switching)]) }
        world.finish()
        #expect(world.dispatcher.records.filter { $0.kind == .tunnelClosed }.count == 4)
    }

    @Test("the simulator's own ends get along over IPv6", arguments: [0.0, 0.05])
    func direct(loss: Double) {
        var impairments = Impairments.clean(.milliseconds(1))
        (impairments.loss, impairments.corruption, impairments.merging) = (loss, loss / 2, 0.3)
        let network = DirectNetwork(seed: 63, impairments: impairments, isIPv4: false)
        network.client([network.exchange(.get(), .length(200_000)), network.exchange(.post(5_000), .chunked(30_000, size: 700))])
        network.run()
    }

    // MARK: What one packet takes

    /// A raw client and a raw server with large windows; the head of a response of `length` bytes is with the client.
    private func inBody(_ families: Families, length: Int) throws -> Spliced {
        let scaled = TestSegment.maximumSegmentSize(1_440) + [1, 3, 3, 7]
        let world = World(servers: 0, rawServers: 1, families: families) { $0.tcp.tailCustody = 0 }
        let opened = Spliced(world, world.rawClient(), world.rawServer(), request: World.get, options: scaled, serverOptions: scaled)
        var splice = try #require(opened)
        splice.server.advance([.ack, .psh], RawPeer.head(length: length))
        splice.client.run()
        splice.client.acknowledge()
        splice.client.run()
        splice.clientStart = splice.client.acknowledgement
        splice.serverStart = splice.server.sequence
        splice.client.skip()
        splice.server.skip()
        return splice
    }

    @Test(
        "a payload that the other family's packet does not hold is cut, its repetition at the same places",
        arguments: [
            (Families(clients: .v6, servers: .v4), 65_495), (Families(clients: .v4, servers: .v6), 65_515), (Families.v6, 65_515),
        ], [TestSegment.ChecksumKind.full, .partial])
    func tooLong(of families: (Families, Int), checksum: TestSegment.ChecksumKind) throws {
        let (families, length) = families
        let body = Tagged.bytes(1, count: length)
        let splice = try inBody(families, length: length)
        let (client, server) = (splice.client, splice.server)
        client.followsPeer = false
        server.send([.ack, .psh], body) { $0.checksum = checksum }
        let came = client.arrivals()
        #expect(came.flatMap(\.payload) == body && came.first?.sequence == splice.clientStart)
        #expect(came.allSatisfy { $0.payload.count <= 1_500 - client.host.headers })
        #expect(came.dropLast().allSatisfy { $0.flags == .ack } && came.last?.flags == [.ack, .psh])
        for (one, next) in zip(came, came.dropFirst()) { #expect(one.end == next.sequence) }
        // The head, and two packets or three for the body, each cut by whoever transmits.
        #expect((3...4).contains(splice.world.emitted(.forwarded)))
        server.send([.ack, .psh], body) { $0.checksum = checksum }
        #expect(client.arrivals().map(\.sequence) == came.map(\.sequence))
        splice.world.check()
    }

    @Test("the same in a tunnel, from both sides", arguments: [Families(clients: .v6, servers: .v4), Families(clients: .v4, servers: .v6)])
    func tooLongInTunnel(families: Families) throws {
        let scaled = TestSegment.maximumSegmentSize(1_440) + [1, 3, 3, 7]
        let world = World(servers: 0, rawServers: 1, families: families) { $0.pools[0].open = .onRequest }
        let (client, server) = (world.rawClient(), world.rawServer())
        client.send(.syn) { $0.options = scaled }
        client.sequence &+= 1
        client.acknowledgement = try #require(client.arrivals().last).sequence &+ 1
        client.send(.ack)
        client.advance([.ack, .psh], [UInt8](text: FuzzWorld.upgrade))
        try #require(server.accept(options: scaled) != nil)
        server.advance(
            [.ack, .psh], [UInt8](text: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
        client.run()
        client.acknowledge()
        client.run()
        try #require(world.firstServer.tunnels == 1)
        for (from, to) in [(client, server), (server, client)] {
            to.skip()
            let bytes = Tagged.bytes(2, count: from.host.address.isIPv4 ? 65_495 : 65_515)
            from.advance([.ack, .psh], bytes)
            let came = to.arrivals()
            #expect(came.flatMap(\.payload) == bytes)
            #expect(came.allSatisfy { $0.payload.count <= 1_500 - to.host.headers })
        }
        world.check()
    }

    @Test("a payload of a family that fits an MTU is cut for the other: 1,460 bytes become 1,440 and 20")
    func cutByHeader() throws {
        let splice = try inBody(Families(clients: .v6, servers: .v4), length: 10_000)
        splice.server.advance(.ack, [UInt8](repeating: 88, count: 1_460))
        #expect(splice.clientArrivals().map(\.payload.count) == [1_440, 20])
        splice.world.check()
    }

    // MARK: MSS

    @Test("a client is told what its family leaves of the link, beside others of the other family")
    func clientMSS() throws {
        let world = World(servers: 0, rawServers: 1, families: Families(clients: .both)) { $0.clientSideMTU = 1_480 }
        let (four, six) = (world.rawClient(), world.rawClient())
        #expect(four.open()?.maximumSegmentSize == 1_440 && six.open()?.maximumSegmentSize == 1_420)
        world.check()
    }

    @Test(
        "server-mss auto: less 60 where a service of the pool listens on IPv6, and never more than the server's link takes",
        arguments: [
            (Families.v4, 1_400, 1_500, 1_360), (Families(clients: .both), 1_400, 1_500, 1_340),
            (Families(clients: .v6), 1_400, 1_500, 1_340),
            (Families(clients: .v4, servers: .v6), 1_400, 1_500, 1_360), (Families(clients: .v4, servers: .v6), 1_500, 1_500, 1_440),
            (Families.v6, 9_000, 1_500, 1_440), (Families.v4, 9_000, 1_500, 1_460),
        ])
    func serverMSS(families: Families, client: Int, server: Int, wanted: Int) throws {
        let world = World(servers: 0, rawServers: 1, families: families) { configuration in
            (configuration.clientSideMTU, configuration.serverSideMTU) = (client, server)
            configuration.pools[0].open = .atStart
        }
        let syn = try #require(world.rawServer().accept())
        #expect(syn.maximumSegmentSize == wanted)
        world.check()
    }

    @Test("a set MSS is told as it is")
    func setMSS() throws {
        let world = World(servers: 0, rawServers: 1, families: .v6) { configuration in
            configuration.tcp.serverMSS = 1_300
            configuration.pools[0].open = .atStart
        }
        #expect(try #require(world.rawServer().accept()).maximumSegmentSize == 1_300)
        world.check()
    }

    @Test("B02 a peer that tells no MSS gets 1,220 bytes at most over IPv6 (RFC 9293 MUST-15)")
    func absentMSS() throws {
        let world = World(servers: 0, rawServers: 1, families: .v6)
        let (client, server) = (world.rawClient(), world.rawServer())
        let splice = try #require(
            Spliced(
                world, client, server,
                request: [UInt8](text: "GET /x/1 HTTP/1.1\r\nHost: a\r\nX: \(String(repeating: "x", count: 3_000))\r\n\r\n"), options: [],
                serverOptions: []))
        #expect(server.received.map(\.payload.count).max() == 1_220)
        server.advance(.ack, RawPeer.head(length: 5_000) + Tagged.bytes(1, count: 1_400))
        #expect(splice.clientArrivals().map(\.payload.count).max() == 1_220)
        world.check()
    }

    // MARK: Frames that are dropped

    @Test(
        "A15 extension headers are dropped, counted by kind, and answered by nothing",
        arguments: [
            (0, .hopByHopHeader), (43, .routingHeader), (60, .destinationOptions), (44, .ipFragment), (51, .extensionHeader),
            (50, .extensionHeader),
        ] as [(UInt8, DropReason)])
    func extensionHeaders(number: UInt8, reason: DropReason) throws {
        let world = World(servers: 0, rawServers: 1, families: .v6)
        let client = world.rawClient()
        client.send(.syn) { $0.extensionHeaders = [(number, [UInt8](repeating: 0, count: 8))] }
        #expect(client.arrivals().isEmpty && world.dropped(reason) == 1)
        let opened = Spliced(world, world.rawClient(port: 40_001), world.rawServer(), request: World.get)
        let splice = try #require(opened)
        splice.server.send([.ack, .psh], RawPeer.head(length: 1) + [65]) {
            $0.extensionHeaders = [(number, [UInt8](repeating: 0, count: 8)), (60, [UInt8](repeating: 0, count: 16))]
        }
        #expect(splice.clientArrivals().isEmpty && world.dropped(reason, on: .server) == 1)
        splice.server.advance([.ack, .psh], RawPeer.head(length: 1) + [65])
        #expect(splice.clientArrivals().flatMap(\.payload) == RawPeer.head(length: 1) + [65])
        world.check()
    }

    @Test("no next header, unknown ones, a jumbogram, mapped and impossible addresses, clients of one link: none opens a connection")
    func strangers() {
        let world = World(servers: 0, rawServers: 1, families: Families(clients: .both))
        _ = world.nextClientHost(isIPv4: true)
        let client = world.rawClient()
        func inject(_ change: (inout [UInt8]) -> Void) {
            var frame = client.frame(client.segment(.syn))
            change(&frame)
            SegmentMerger.repairChecksum(&frame)
            world.inject(frame, from: client)
        }
        func put(_ text: String, at offset: Int) -> (inout [UInt8]) -> Void {
            { $0.replaceSubrange(offset..<offset + 16, with: IPAddress(text)!.wireBytes) }
        }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
        inject { $0[20] = 59 }
        inject { $0[20] = 41 }
        inject { ($0[18], $0[19]) = (0, 0) }
        // The IPv4 client's address and the IPv4 service's, in IPv6 packets.
        inject { $0.replaceSubrange(22..<38, with: mapped + [10, 77, 16, 1]) }
        inject { $0.replaceSubrange(38..<54, with: mapped + World.service.address.wireBytes) }
        for text in ["::", "::1", "ff02::1"] { inject(put(text, at: 22)) }
        inject(put("fe80::1:2:3:4", at: 22))
        inject(put("fd77:1::101", at: 38))
        #expect(client.arrivals().isEmpty && world.frontConnections == 0)
        #expect(world.dropped(.noNextHeader) == 1 && world.dropped(.unsupportedProtocol) == 1 && world.dropped(.badIPHeader) == 1)
        #expect(world.dropped(.badSource) == 4 && world.dropped(.notOurAddress) == 2 && world.dropped(.linkLocalSource) == 1)
        inject { _ in }
        #expect(client.arrivals().map(\.flags) == [[.syn, .ack]])
        world.check()
    }

    @Test(
        "A02 A03 A06 checksums: bad ones dropped, partial ones completed for the other leg",
        arguments: Families.withIPv6.filter { $0.clients != .both && $0.servers != .both })
    func checksums(families: Families) throws {
        let world = World(servers: 0, rawServers: 1, families: families)
        let (client, server) = (world.rawClient(), world.rawServer())
        client.open()
        server.accept()
        client.send([.ack, .psh], World.get) { $0.checksum = .bad }
        #expect(client.arrivals(after: .milliseconds(100)).isEmpty && world.dropped(.badTCPChecksum) == 1)
        client.send([.ack, .psh], World.get) { $0.checksum = .partial }
        client.sequence &+= UInt32(World.get.count)
        let request = server.arrivals().filter { !$0.payload.isEmpty }
        #expect(request.count == 1 && request[0].checksum == .full)
        let answer = RawPeer.head(length: 3) + [1, 2, 3]
        server.send([.ack, .psh], answer) { $0.checksum = .bad }
        #expect(client.arrivals().isEmpty && world.dropped(.badTCPChecksum, on: .server) == 1)
        server.send([.ack, .psh], answer) { $0.checksum = .partial }
        let came = client.arrivals().filter { !$0.payload.isEmpty }
        #expect(came.flatMap(\.payload) == answer && came.allSatisfy { $0.checksum == .full })
        world.check()
    }

    // MARK: ICMPv6

    /// What goes down to a host from now on, instead of to the host.
    private func intercept(_ world: World, _ peer: RawPeer) -> () -> [[UInt8]] {
        let box = Box()
        world.links[peer.host.name]!.down.deliver = { box.frames.append($0.bytes) }
        return {
            world.simulation.run(for: .milliseconds(5))
            return box.frames
        }
    }

    private final class Box { var frames: [[UInt8]] = [] }

    @Test("an echo request is answered with its own bytes", arguments: [true, false], [0, 1, 56, 1_400])
    func echo(isIPv4: Bool, count: Int) throws {
        let world = World(servers: 0, rawServers: 1, families: Families(clients: isIPv4 ? .v4 : .v6))
        let client = world.rawClient()
        let frames = intercept(world, client)
        let rest: [UInt8] = [0x12, 0x34, 0, 7] + Tagged.bytes(3, count: count)
        let service = World.service(isIPv4: isIPv4).address
        let header = isIPv4 ? 34 : 54
        let request = TestICMP.frame(
            [isIPv4 ? 8 : 128, 0, 0, 0] + rest, from: client.host.address, to: service, sender: client.host.hardware)
        world.inject(request, from: client)
        let answer = try #require(frames().last)
        #expect(answer.count == request.count && Array(answer[(header + 4)...]) == rest)
        #expect(answer[header] == (isIPv4 ? 0 : 129) && answer[header + 1] == 0)
        #expect(TestICMP.sum(Array(answer[header...]), from: service, to: client.host.address) == 0xFFFF)
        // Only the type, the checksum and the ends are changed.
        let expected = TestICMP.frame(
            Array(answer[header...]), from: service, to: client.host.address, sender: SimulatedDispatcher.clientSideHardware,
            receiver: client.host.hardware)
        #expect(answer == expected)
        world.inject(request.dropLast() + [request.last! ^ 1], from: client)
        #expect(frames().count == 1 && world.dropped(.badICMP) == 1)
        world.check()
    }

    @Test("a datagram is refused; the answer quotes what fits", arguments: [true, false], [8, 300, 1_400])
    func datagram(isIPv4: Bool, count: Int) throws {
        let world = World(servers: 0, rawServers: 1, families: Families(clients: isIPv4 ? .v4 : .v6))
        let client = world.rawClient()
        let frames = intercept(world, client)
        let service = World.service(isIPv4: isIPv4).address
        let frame = TestICMP.packet(
            17, [UInt8](repeating: 5, count: count), from: client.host.address, to: service, sender: client.host.hardware)
        world.inject(frame, from: client)
        let answer = try #require(frames().last)
        let header = isIPv4 ? 34 : 54
        #expect(Array(answer[header..<header + 2]) == (isIPv4 ? [3, 3] : [1, 4]))
        #expect(TestICMP.sum(Array(answer[header...]), from: service, to: client.host.address) == 0xFFFF)
        #expect(Array(answer[(header + 4)..<(header + 8)]) == [0, 0, 0, 0])
        let quoted = isIPv4 ? 28 : min(40 + count, 1_232)
        #expect(Array(answer[(header + 8)...]) == Array(frame[14..<14 + quoted]) && answer.count - 14 <= 1_280)
        #expect(world.dropped(.unsupportedProtocol) == 1)
        world.check()
    }

    @Test(
        "J01 packet too big for bytes of the server: later segments and repetitions are cut",
        arguments: [Families.v6, Families(clients: .v6)])
    func tooBig(families: Families) throws {
        let splice = try inBody(families, length: 100_000)
        let (client, server) = (splice.client, splice.server)
        client.followsPeer = false
        server.advance(.ack, [UInt8](repeating: 88, count: 1_440))
        let sent = try #require(client.arrivals().last)
        splice.world.inject(TestICMP.tooBig(mtu: 1_400, about: sent), from: client)
        #expect(client.arrivals().isEmpty && server.arrivals().allSatisfy { $0.payload.isEmpty })
        server.send(.ack, [UInt8](repeating: 88, count: 1_440)) { $0.sequence = splice.serverStart }
        let again = client.arrivals()
        #expect(again.map(\.payload.count) == [1_340, 100] && again.map(\.sequence) == [splice.clientStart, splice.clientStart &+ 1_340])
        server.advance(.ack, [UInt8](repeating: 88, count: 1_440))
        #expect(client.arrivals().map(\.payload.count) == [1_340, 100])
        splice.world.check()
    }

    @Test("J01 a router before a host of any family, on either side: everything arrives", arguments: Families.withIPv6)
    func router(families: Families) {
        let world = World(servers: 2, families: families)
        let routers = world.hosts.map { NarrowRouter(world, before: $0, mtu: 1_300) }
        for _ in 0..<4 { world.client([world.exchange(.post(30_000), .length(100_000)), world.exchange(.get(), .length(100))]) }
        let others = world.clients.map { NarrowRouter(world, before: $0.host, mtu: 1_300) }
        world.finish()
        for router in routers + others { #expect(router.dropped > 0 || router.passed == 0) }
        #expect(others.allSatisfy { $0.passed > 0 })
    }

    @Test(
        "J02 nothing is cut below 1,280 bytes; what would have fitted, what is not in flight is not believed",
        arguments: [0, 68, 1_279, 1_280])
    func floor(told: Int) throws {
        let splice = try inBody(.v6, length: 100_000)
        let (client, server) = (splice.client, splice.server)
        client.followsPeer = false
        server.advance(.ack, [UInt8](repeating: 88, count: 1_440))
        let sent = try #require(client.arrivals().last)
        for mtu in [1_500, 65_535, 1 << 31] { splice.world.inject(TestICMP.tooBig(mtu: mtu, about: sent), from: client) }
        var other = sent
        other.sequence &+= 60_000
        splice.world.inject(TestICMP.tooBig(mtu: 1_400, about: other), from: client)
        client.run()
        #expect(splice.world.dropped(.icmpAbsorbed) == 3 && splice.world.dropped(.icmpNotInFlight) == 1)
        server.advance(.ack, [UInt8](repeating: 88, count: 1_440))
        #expect(client.arrivals().map(\.payload.count) == [1_440])
        splice.world.inject(TestICMP.tooBig(mtu: told, about: sent), from: client)
        server.advance(.ack, [UInt8](repeating: 88, count: 1_440))
        #expect(client.arrivals().map(\.payload.count) == [1_220, 220])
        splice.world.check()
    }

    @Test("J02 a quote in IPv6 of an IPv4 connection, and the reverse, is about no connection of ours")
    func mixedQuote() throws {
        let world = World(servers: 0, rawServers: 2, families: Families(clients: .both, servers: .both)) { $0.pools[0].open = .atStart }
        let four = world.rawServer(0)
        try #require(four.accept() != nil)
        // The IPv6 source address, but the IPv4 server's connection: its port and number are right.
        var quoted = TestSegment(
            source: Endpoint(address: World.sourceAddressIPv6, port: four.remote.port), destination: World.serverEndpoint(1, .both))
        quoted.sequence = four.acknowledgement &- 1
        var bytes = TestICMP.quote(quoted)
        bytes.replaceSubrange(24..<40, with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] + four.host.address.wireBytes)
        world.inject(TestICMP.frame([1, 4, 0, 0, 0, 0, 0, 0] + bytes, to: World.sourceAddressIPv6), from: four)
        four.run()
        #expect(world.dropped(.icmpAbsorbed, on: .server) == 1 && world.firstServer.connectFailures == 0)
        world.check()
    }

    @Test(
        "J03 J04 J06 which errors end an attempt to open at once, and none a connection",
        arguments: [(1, 0), (1, 1), (1, 3), (1, 4), (3, 0), (4, 1)] as [(UInt8, UInt8)])
    func errors(type: UInt8, code: UInt8) throws {
        let world = World(servers: 0, rawServers: 1, families: .v6)
        let (client, server) = (world.rawClient(), world.rawServer())
        client.open()
        client.advance([.ack, .psh], World.get)
        let syn = try #require(server.arrivals().first { $0.flags == .syn })
        let failures = world.firstServer.connectFailures
        world.inject(TestICMP.error(type, code, about: syn), from: server)
        server.run(.milliseconds(1))
        let isHard = type == 1 && (code == 1 || code == 4)
        #expect(world.firstServer.connectFailures == failures + (isHard ? 1 : 0))
        #expect(world.dropped(.icmpSoft, on: .server) == (isHard ? 0 : 1))
        let answer = try #require(client.received.first { $0.flags == [.syn, .ack] })
        var segment = TestSegment(source: answer.source, destination: answer.destination)
        segment.sequence = answer.sequence
        world.inject(TestICMP.error(type, code, about: segment), from: client)
        client.run(.milliseconds(1))
        #expect(world.frontConnections == 1)
        world.check()
    }

    @Test("neighbour discovery and echo requests to groups are not for the engine")
    func neighbourDiscovery() {
        let world = World(servers: 0, rawServers: 1, families: .v6)
        let client = world.rawClient()
        let frames = intercept(world, client)
        let solicitation = [135, 0, 0, 0, 0, 0, 0, 0] + World.serviceIPv6.address.wireBytes
        let group = IPAddress("ff02::1:ff00:100")!
        let receiver = HardwareAddress(bits: 0x33_33_FF_00_01_00)
        world.inject(TestICMP.frame(solicitation, from: client.host.address, to: group, receiver: receiver), from: client)
        world.inject(TestICMP.frame([128, 0, 0, 0, 0, 0, 0, 0], from: client.host.address, to: group, receiver: receiver), from: client)
        #expect(frames().isEmpty)
        #expect(world.dispatcher.snapshot.counters.consumed[0] == 1 && world.dropped(.badSource) == 1)
        world.check()
    }

    // MARK: The rest

    @Test(
        "X-Forwarded-For names the client as RFC 5952 writes it",
        arguments: ["2001:db8::1", "2001:db8:0:1:1:1:1:1", "fd77:1:2:3:a:bcde:f012:3456"])
    func forwardedFor(text: String) throws {
        let world = World(servers: 0, rawServers: 1, families: Families(clients: .v6))
        let host = world.addHost("far", IPAddress(text)!, side: .client, impairments: .clean())
        let splice = try #require(Spliced(world, RawPeer(host, port: 40_000), world.rawServer(), request: World.get))
        #expect(String(decoding: splice.request, as: UTF8.self).contains("\r\nX-Forwarded-For: \(text)\r\n"))
        world.check()
    }

    @Test("a port without service, a stray segment at a source address: RST")
    func resets() {
        let world = World(servers: 0, rawServers: 1, families: .v6)
        let (client, server) = (world.rawClient(), world.rawServer())
        client.remote.port = 81
        client.send(.syn)
        server.remote.port = 9_999
        server.send(.ack)
        #expect(client.arrivals().map(\.flags) == [[.rst, .ack]] && server.arrivals().map(\.flags) == [.rst])
        #expect(world.dropped(.serviceUnknown) == 1 && world.dropped(.noConnection, on: .server) == 1)
        world.check()
    }
}
