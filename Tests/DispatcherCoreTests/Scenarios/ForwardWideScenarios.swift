import DispatcherCore
import Testing

/// A wide run in mode l4/3: ten clients, one connection after the other, two servers with three permissible connections each, every
/// impairment, and somebody who forges segments; all from one seed. In a third of the runs several engines share the work. Every byte must
/// be right, and nothing may be left.
final class ForwardWideRun {
    let world: World
    private var random: SimulationRandom
    private var visitors: [ForwardVisitor] = []
    private var stranger: TestHost!

    init(seed: UInt64, keepsCapture: Bool = SimulationSeed.number("SLUICE_SEED") != nil) {
        var random = SimulationRandom(seed: seed).fork("forward")
        var serverOptions = TestTCPOptions()
        if random.chance(0.7) { serverOptions.windowScale = [0, 3, 7, 14][random.below(4)] }
        serverOptions.sackPermitted = random.chance(0.7)
        serverOptions.retransmissionLimit = 40
        var families = Families.random(seed: seed)
        let keeps = random.chance(0.3)
        if keeps, families.clients == .both || families.servers != families.clients { families = random.chance(0.5) ? .v4 : .v6 }
        let ports = random.within(12...40)
        let cookie = random.chance(0.4)
        let share = random.chance(0.3)
        let narrow = random.chance(0.2)
        let options = random.chance(0.1)
        let shards = Self.shards(seed: seed)
        world = World.forwarding(
            seed: seed, servers: 2, client: Self.impairments(&random, delay: 20...30_000),
            server: Self.impairments(&random, delay: 20...1_000), serverOptions: serverOptions, families: families,
            shards: shards
        ) { configuration in
            configuration.pools[0].l4.source = keeps ? .keep : .rewrite
            configuration.pools[0].l4.cookie = cookie
            configuration.pools[0].queue.wait = .seconds(900)
            if share { configuration.pools[0].queue.perClient = 99 }
            // Each shard has as many ports as one has by itself; the pooled ones are a multiple of the shards.
            configuration.ports = PortPlan(
                first: 10_000, last: 10_014 + (ports + 1) * shards, layers: 1, servers: 2, connections: 8)
            configuration.services[0].limits.connections = 200
            if narrow { configuration.clientSideMTU = 1_400 }
            if options { configuration.tcp.options = .mss }
            for index in configuration.pools[0].servers.indices { configuration.pools[0].servers[index].initialLimit = 3 }
            Self.configureChoosing(&configuration.pools[0], seed: seed)
        }
        self.random = random
        if !keepsCapture { world.dispatcher.capture.limit = 0 }
        for server in world.servers {
            (server.limit, server.mayRepeat) = (3, true)
            if random.chance(0.3) { server.keepAlive = .milliseconds(Int64(random.within(2_000...9_000))) }
        }
        planReloads(seed: seed)
        for index in 0..<10 {
            visitors.append(ForwardVisitor(world, random.fork("visitor \(index)")))
            visitors[index].begin(after: .milliseconds(Int64(random.below(500))))
        }
        stranger = world.nextClientHost(impairments: .clean())
        stranger.rawReceiver = { _ in }
        for _ in 0..<random.within(10...40) {
            let time = Interval.milliseconds(Int64(random.below(1 << random.within(4...16))))
            world.simulation.after(time) { [weak self] in self?.disturb() }
        }
        // Limits move while the run goes on.
        for _ in 0..<random.below(4) {
            let (server, limit) = (random.below(2), random.within(1...4))
            world.dispatcher.checker.raisedLimit = 4
            for server in world.servers { server.limit = 4 }
            world.simulation.after(.milliseconds(Int64(random.below(20_000)))) { [weak self] in
                guard let world = self?.world else { return }
                world.dispatcher.apply(.setLimit(pool: 0, server: world.endpoint(server), limit: limit))
            }
        }
    }

    private static func shards(seed: UInt64) -> Int { [1, 1, 1, 1, 2, 3][Int(seed % 6)] }

    /// How servers are chosen and checked; all of it has its own random numbers, so that it changes nothing else of a run.
    private static func configureChoosing(_ pool: inout PoolConfiguration, seed: UInt64) {
        var random = SimulationRandom(seed: seed).fork("choosing")
        pool.balance = [.roundRobin, .roundRobin, .leastConnections, .hashOfSource][random.below(4)]
        for index in pool.servers.indices where random.chance(0.5) { pool.servers[index].weight = random.within(1...4) }
        if random.chance(0.3) { pool.slowStart = .milliseconds(Int64(random.within(100...5_000))) }
        if random.chance(0.4) {
            (pool.ejection.failures, pool.ejection.time) = (random.within(1...4), .milliseconds(Int64(random.within(50...5_000))))
        }
        if random.chance(0.5) { pool.health = health(&random) }
    }

    /// Checks that never take a server out: the network may lose what it likes.
    private static func health(_ random: inout SimulationRandom) -> HealthConfiguration {
        var health = HealthConfiguration()
        if random.chance(0.6) { health.path = [UInt8](text: "/health") }
        (health.every, health.timeout) = (
            .milliseconds(Int64(random.within(500...10_000))), .milliseconds(Int64(random.within(20...2_000)))
        )
        health.fall = 1_000_000
        return health
    }

    /// Other configurations that come in the middle; one server stays in all of them.
    private func planReloads(seed: UInt64) {
        var random = SimulationRandom(seed: seed).fork("reloads")
        guard random.chance(0.5) else { return }
        let both = world.dispatcher.configuration.pools[0].servers
        for _ in 0..<random.within(1...6) {
            var own = random.fork("one")
            world.simulation.after(.milliseconds(Int64(random.below(20_000)))) { [weak self] in
                self?.world.dispatcher.reconfigure { configuration in
                    switch own.below(5) {
                    case 0: configuration.pools[0].servers = [both[0]]
                    case 1: configuration.pools[0].servers = both.reversed()
                    case 2: configuration.pools[0].servers = both
                    case 3: configuration.pools[0].balance = [.roundRobin, .leastConnections, .hashOfSource][own.below(3)]
                    default: configuration.pools[0].health = own.chance(0.5) ? nil : Self.health(&own)
                    }
                }
            }
        }
    }

    private static func impairments(_ random: inout SimulationRandom, delay: ClosedRange<Int>) -> Impairments {
        var result = Impairments.clean(.microseconds(Int64(random.within(delay))))
        if !random.chance(0.2) {
            result.loss = [0, 0.005, 0.02, 0.05][random.below(4)]
            result.duplication = [0, 0.01, 0.05][random.below(3)]
            result.reordering = [0, 0.02, 0.05][random.below(3)]
            result.reorderingDelay = .microseconds(Int64(random.within(100...5_000)))
            result.corruption = [0, 0.002, 0.01][random.below(3)]
            result.jitter = .microseconds(Int64(random.within(1...300)))
        }
        if random.chance(0.4) { result.merging = 0.5 }
        if random.chance(0.1) { result.splitSize = random.within(100...1_000) }
        if random.chance(0.3) { result.partialChecksums = result.corruption == 0 ? 0.5 : 0 }
        result.calmAfter = .seconds(400)
        return result
    }

    /// A segment that must change nothing.
    private func disturb() {
        let live = visitors.compactMap { $0.current?.endpoint }.filter { $0.state == .established && $0.unacknowledged > 1 }
        var segment: TestSegment
        if random.chance(0.7), !live.isEmpty {
            let endpoint = live[random.below(live.count)]
            segment = TestSegment(source: endpoint.local, destination: endpoint.remote)
            segment.sequence = endpoint.nextSequence &+ UInt32(random.within(3_000_000...1 << 28))
            segment.acknowledgement = endpoint.initialReceive &+ UInt32(truncatingIfNeeded: endpoint.receiveNext)
            segment.flags = [.rst, .ack, [.fin, .ack], .psh][random.below(4)]
            if segment.flags == .ack { segment.payload = Tagged.bytes(0xBAD_BAD, count: 100) }
        } else {
            let isIPv4 = stranger.address.isIPv4
            segment = TestSegment(
                source: Endpoint(address: stranger.address, port: UInt16(random.within(1_024...65_535))),
                destination: World.service(isIPv4: isIPv4))
            segment.sequence = UInt32(truncatingIfNeeded: random.next())
            segment.flags = [.ack, .rst, [.fin, .ack], [.syn, .ack], .syn][random.below(5)]
            if segment.flags == .syn { segment.options = TestSegment.maximumSegmentSize(1_400) }
        }
        let frame = segment.frame(from: stranger.hardware, to: stranger.gateway)
        // The dispatcher learns from a frame where its sender is: the forged ones come by the same way.
        var bytes = frame
        if let host = world.hosts.first(where: { $0.address == segment.source.address }) {
            for index in 0..<6 { bytes[6 + index] = UInt8(host.hardware.bits >> UInt64(40 - 8 * index) & 255) }
        }
        world.dispatcher.receive(SimulatedFrame(bytes: bytes), on: .client)
    }

    func finish() {
        world.simulation.eventLimit = 20_000_000
        world.simulation.run(atMost: .seconds(10_000)) { visitors.allSatisfy(\.isFinished) }
        for visitor in visitors where !visitor.isFinished {
            let state = visitor.current?.endpoint.map { "\($0.state)" } ?? "not connected"
            world.simulation.violation("\(visitor.host.name) has \(visitor.left) connections left; the last is \(state)")
        }
        world.finish(expectComplete: false, atMost: .zero, settle: .seconds(2_000))
    }
}

/// A client of such a run.
final class ForwardVisitor {
    let host: TestHost
    private unowned let world: World
    private var random: SimulationRandom
    private(set) var left = 6
    private(set) var current: SimulatedClient?
    private var options = TestTCPOptions()
    var isFinished: Bool { left == 0 && current?.isFinished != false }

    init(_ world: World, _ random: SimulationRandom) {
        self.world = world
        self.random = random
        host = world.nextClientHost()
        options.retransmissionLimit = 40
        // The dispatcher's port may have had a connection that the server still knows: its challenge comes to the client, whose RST ends it.
        options.reusesPort = true
        options.maximumSegmentSize = [1_460, 1_460, 1_460, 536, 1_220, 300, 8_960][self.random.below(7)]
        if self.random.chance(0.7) { options.windowScale = [0, 1, 7, 9, 14][self.random.below(5)] }
        if options.windowScale != nil, self.random.chance(0.5) { options.receiveBuffer = self.random.within(65_536...1_000_000) }
        options.sackPermitted = self.random.chance(0.7)
        if self.random.chance(0.1) {
            options.reader = .paced(bytes: self.random.within(2_000...20_000), interval: .milliseconds(Int64(self.random.within(5...50))))
        }
    }

    func begin(after delay: Interval) {
        world.simulation.after(delay) { [weak self] in self?.connect() }
    }

    private func connect() {
        guard left > 0 else { return }
        left -= 1
        var script = ClientScript()
        for _ in 0..<random.within(1...5) {
            let request: RequestPlan = random.chance(0.3) ? .post(random.below(60_000)) : .get()
            var response = ResponsePlan.length(min(random.below(1 << random.within(4...18)), 200_000))
            if random.chance(0.2) { response.serviceTime = .milliseconds(Int64(random.below(300))) }
            script.exchanges.append(world.exchange(request, response))
        }
        script.pipeline = random.within(1...3)
        switch random.below(10) {
        case 0: script.ending = .reset
        case 1: (script.ending, script.mayFail) = (.abort(after: random.within(1...40_000)), true)
        case 2: (script.ending, script.mayBeAbandoned) = (.halfClose, true)
        default: break
        }
        // A server may close while it is idle, as a request is on its way to it; and who was never answered may be refused.
        if world.servers.contains(where: { $0.keepAlive != nil }) { script.mayFail = true }
        script.mayExpire = true
        var options = options
        var port = world.nextPort
        if random.chance(0.15), let endpoint = current?.endpoint {
            port = endpoint.local.port
            (options.initialSequence, options.reusesPort) = (endpoint.nextSequence &+ UInt32(random.within(1_000...100_000)), true)
        }
        let client = world.client(on: host, port: port, script: script, options: options)
        client.onFinished = { [weak self, unowned client] in
            guard let self, client === self.current else { return }
            begin(after: .seconds(Int64(random.within(0...3))))
        }
        current = client
    }
}

@Suite("Mode l4/3: wide runs")
struct ForwardWideScenarios {
    @Test(
        "every client gets exactly its bytes, no server has more connections than it may, and nothing is left",
        arguments: SimulationSeed.many(40))
    func wide(seed: UInt64) {
        let run = ForwardWideRun(seed: seed)
        run.finish()
    }

    @Test("the same seed gives a byte-identical capture, another seed another; looks ahead change nothing")
    func same() {
        func capture(_ seed: UInt64, looksAhead: Bool = true) -> CaptureFile {
            let run = ForwardWideRun(seed: seed, keepsCapture: true)
            run.world.dispatcher.looksAhead = looksAhead
            run.finish()
            return run.world.dispatcher.capture
        }
        let first = capture(31)
        #expect(first.count > 1_000)
        #expect(first.bytes == capture(31).bytes)
        #expect(first.bytes == capture(31, looksAhead: false).bytes)
        #expect(first.digest != capture(32).digest)
    }
}
