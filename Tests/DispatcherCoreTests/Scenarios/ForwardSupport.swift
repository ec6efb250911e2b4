import DispatcherCore
import Testing

extension World {
    /// A network whose one service is in mode l4/3.
    static func forwarding(
        seed: UInt64 = SimulationSeed.one, servers: Int = 1, rawServers: Int = 0, client: Impairments = .clean(),
        server: Impairments = .clean(), serverOptions: TestTCPOptions = TestTCPOptions(), families: Families = .v4, shards: Int = 1,
        configure: (inout EngineConfiguration) -> Void = { _ in }
    ) -> World {
        let world = World(
            seed: seed, servers: servers, rawServers: rawServers, client: client, server: server, serverOptions: serverOptions,
            families: families, shards: shards
        ) { configuration in
            configuration.services[0].mode = .l43
            configuration.services[0].limits.connections = 1_000
            configuration.pools[0].queue.wait = .seconds(10)
            configure(&configuration)
        }
        for server in world.servers { (server.expectsDispatcher, server.allowsPipelining) = (false, true) }
        return world
    }

    /// One raw client and raw servers, and a limit of one connection each.
    static func rawForwarding(
        servers: Int = 1, limit: Int = 1, families: Families = .v4, shards: Int = 1,
        configure: (inout EngineConfiguration) -> Void = { _ in }
    ) -> (World, RawPeer, RawPeer) {
        let world = forwarding(servers: 0, rawServers: servers, families: families, shards: shards) { configuration in
            for index in configuration.pools[0].servers.indices { configuration.pools[0].servers[index].initialLimit = limit }
            configure(&configuration)
        }
        return (world, world.rawClient(), world.rawServer())
    }

    /// Raw clients on one host, over IPv4, each at a port whose segments come to the shard that is named for it.
    func rawClients(shards: [Int], of count: Int) -> [RawPeer] {
        let host = nextClientHost()
        var port: UInt16 = 40_000
        return shards.map { shard in
            repeat { port += 1 } while FrameShard.ofClient(bits: host.address.v4, port: port, count: count) != shard
            return RawPeer(host, port: port)
        }
    }

    var queueLength: Int { dispatcher.snapshot.pools[0].queueLength }
    var activeConnections: [Int] { dispatcher.snapshot.pools[0].servers.map(\.active) }
}

extension RawPeer {
    /// Sends a SYN and waits for what comes of it.
    @discardableResult
    func knock(_ options: [UInt8]? = nil) -> [TestSegment] {
        send(.syn) { if let options { $0.options = options } }
        return arrivals()
    }

    /// SYNs that have come since the last look.
    func takeSYNs(after time: Interval = .milliseconds(5)) -> [TestSegment] { arrivals(after: time).filter { $0.flags == .syn } }

    /// Answers somebody's segment with the numbers that go with it.
    func reply(to segment: TestSegment, _ flags: SegmentFlags, sequence: UInt32, change: (inout TestSegment) -> Void = { _ in }) {
        var answer = TestSegment(source: segment.destination, destination: segment.source)
        answer.flags = flags
        answer.sequence = sequence
        if flags.contains(.ack) { answer.acknowledgement = segment.end }
        answer.window = window
        if flags.contains(.syn) { answer.options = TestSegment.maximumSegmentSize(1_500 - host.headers) }
        change(&answer)
        send(answer)
    }
}

/// A connection that a raw client and a raw server have through the dispatcher.
struct ForwardedPair {
    let world: World
    let client: RawPeer
    let server: RawPeer
    /// The SYN as the server got it, and the answer as the client did.
    let syn: TestSegment
    let answer: TestSegment

    init?(
        _ world: World, _ client: RawPeer, _ server: RawPeer, options: [UInt8]? = nil, serverOptions: [UInt8]? = nil
    ) {
        (self.world, self.client, self.server) = (world, client, server)
        client.send(.syn) { if let options { $0.options = options } }
        client.sequence &+= 1
        guard let syn = server.accept(options: serverOptions) else { return nil }
        guard let answer = client.arrivals().last, answer.flags == [.syn, .ack], answer.acknowledgement == client.sequence else {
            return nil
        }
        (self.syn, self.answer) = (syn, answer)
        client.acknowledgement = answer.sequence &+ 1
        client.send(.ack)
        client.run()
        client.skip()
        server.skip()
    }

    init?(limit: Int = 1, families: Families = .v4, configure: (inout EngineConfiguration) -> Void = { _ in }) {
        let (world, client, server) = World.rawForwarding(limit: limit, families: families, configure: configure)
        self.init(world, client, server)
    }

    /// The client resets it.
    func end() { client.send([.rst, .ack]) }

    /// Both ends close in order, the client first.
    func close() {
        client.advance([.fin, .ack])
        server.run()
        server.advance([.fin, .ack])
        client.run()
        client.send(.ack)
        client.run()
        client.skip()
        server.skip()
    }
}
