import DispatcherCore
import Testing

/// A wide run: eight clients or more with twenty requests each, two servers with three permissible connections each, every kind of answer,
/// every impairment, and somebody who sends segments that mean harm; all from one seed.
///
/// Every second run is calm at its ends: all clients must get every byte. In the others clients and servers vanish and come back, and
/// servers break off: a client may then be refused or reset, but what it gets is right up to its last byte.
final class WideRun {
    static let requests = 20
    /// In a run of which nothing is lost.
    static let mostTimeouts = 40

    let world: World
    /// Whether ends fail in this run.
    let isHarsh: Bool
    /// Whether every segment arrives, once and as it was.
    let isClean: Bool
    private(set) var visitors: [Visitor] = []
    private var stranger: Stranger?

    init(seed: UInt64, keepsCapture: Bool = SimulationSeed.number("SLUICE_SEED") != nil) {
        var random = SimulationRandom(seed: seed).fork("wide")
        let isHarsh = random.chance(0.5)
        var clientSide = Self.impairments(&random, delay: 20...30_000)
        var serverSide = Self.impairments(&random, delay: 20...1_000)
        // In one run of ten the network does nothing to the segments but delay, merge and split them.
        isClean = seed % 10 == 0
        if isClean {
            clientSide.makeClean()
            serverSide.makeClean()
        }
        var serverOptions = TestTCPOptions()
        if random.chance(0.7) { serverOptions.windowScale = [0, 3, 7, 14][random.below(4)] }
        serverOptions.sackPermitted = random.chance(0.7)
        serverOptions.retransmissionLimit = 40
        world = World(
            seed: seed, servers: 2, client: clientSide, server: serverSide, serverOptions: serverOptions, families: .random(seed: seed),
            shards: Self.shards(seed: seed)
        ) { configuration in
            Self.configure(&configuration, isHarsh: isHarsh, &random)
            // Each shard has as many slots as one has by itself.
            let shards = Self.shards(seed: seed)
            configuration.ports.connections *= shards
            configuration.ports.last += (shards - 1) * configuration.ports.layers * 2 * 8 + shards
            Self.configureLoading(&configuration, isHarsh: isHarsh, seed: seed)
        }
        self.isHarsh = isHarsh
        if !keepsCapture { world.dispatcher.capture.limit = 0 }
        for server in world.servers {
            if random.chance(0.3) { server.keepAlive = .milliseconds(Int64(random.within(100...5_000))) }
            (server.mayRepeat, server.mayTimeOut) = (isHarsh, isHarsh)
        }
        for _ in 0..<random.within(8...10) {
            let visitor = Visitor(world, random.fork("visitor \(visitors.count)"), isHarsh: isHarsh)
            visitors.append(visitor)
            visitor.begin(after: .milliseconds(Int64(random.below(500))))
        }
        stranger = Stranger(self, random.fork("stranger"))
        if isHarsh { planFailures(&random) }
        planOrders(seed: seed)
    }

    /// In a third of the runs several engines share the work.
    private static func shards(seed: UInt64) -> Int { [1, 1, 1, 1, 2, 3][Int(seed % 6)] }

    private static func impairments(_ random: inout SimulationRandom, delay: ClosedRange<Int>) -> Impairments {
        var result = Impairments.clean(.microseconds(Int64(random.within(delay))))
        let isClean = random.chance(0.15)
        if !isClean {
            result.loss = [0, 0.005, 0.02, 0.1, 0.3][random.below(5)]
            result.duplication = [0, 0.01, 0.05][random.below(3)]
            result.reordering = [0, 0.02, 0.05][random.below(3)]
            result.reorderingDelay = .microseconds(Int64(random.within(100...5_000)))
            result.corruption = [0, 0.002, 0.01][random.below(3)]
            result.jitter = .microseconds(Int64(random.within(1...300)))
            result.stalling = [0, 0.000_5][random.below(2)]
        }
        if random.chance(0.4) { result.merging = 0.5 }
        if random.chance(0.1) { result.splitSize = random.within(100...1_000) }
        if random.chance(0.3) { result.partialChecksums = result.corruption == 0 ? 0.5 : 0 }
        if random.chance(0.2) { (result.rate, result.capacity) = (random.within(200_000...5_000_000), random.within(20...200)) }
        result.calmAfter = .seconds(400)
        return result
    }

    private static func configure(_ configuration: inout EngineConfiguration, isHarsh: Bool, _ random: inout SimulationRandom) {
        configuration.tcp.options = random.chance(0.1) ? .mss : .all
        configuration.tcp.acknowledge = random.chance(0.3) ? .immediate : .withResponse
        configuration.tcp.initialWindow = random.chance(0.3) ? .client : .clamped
        configuration.tcp.tailCustody = [64 << 10, 64 << 10, 8 << 10, 1_000, 0][random.below(5)]
        let layers = random.within(1...3)
        configuration.ports = PortPlan(first: 10_000, last: 10_000 + layers * 2 * 8 + 63, layers: layers, servers: 2, connections: 8)
        if random.chance(0.3) { configuration.clientSideMTU = 1_400 }
        // Small tables are quick to make.
        (configuration.recordCapacity, configuration.pools[0].tunnels, configuration.services[0].limits.connections) = (512, 32, 400)
        configuration.pools[0].open = [.onConnection, .onRequest, .atStart][random.below(3)]
        for index in configuration.pools[0].servers.indices { configuration.pools[0].servers[index].initialLimit = 3 }
        configuration.pools[0].connectTimeout = .seconds(isHarsh ? Int64(random.within(3...100)) : 100)
        configuration.pools[0].responseTimeout = .seconds(isHarsh ? Int64(random.within(30...300)) : 900)
        configuration.pools[0].queue.wait = .seconds(isHarsh ? Int64(random.within(60...900)) : 900)
        configuration.pools[0].retries = isHarsh ? random.within(0...2) : 20
        configuration.services[0].limits.sendIdle = .seconds(isHarsh ? 200 : 900)
        configuration.services[0].limits.headTime = .seconds(900)
        configuration.services[0].limits.bodyRate = 0
        configuration.services[0].limits.tunnelIdle = .seconds(900)
        configuration.services[0].limits.idle = .seconds(900)
    }

    /// Ends that vanish, and come back without knowing of anything.
    private func planFailures(_ random: inout SimulationRandom) {
        for server in world.servers where random.chance(0.3) {
            let link = world.links[server.host.name]!
            let back = Interval.milliseconds(Int64(random.within(1...20_000)))
            world.simulation.after(.milliseconds(Int64(random.within(100...30_000)))) { [unowned self, unowned server] in
                (link.up.isCut, link.down.isCut) = (true, true)
                server.vanish()
                world.simulation.after(back) { (link.up.isCut, link.down.isCut) = (false, false) }
            }
        }
        for visitor in visitors where random.chance(0.15) {
            let returns = random.chance(0.7) ? Interval.milliseconds(Int64(random.within(1...60_000))) : nil
            world.simulation.after(.milliseconds(Int64(random.within(10...30_000)))) { [unowned visitor] in
                visitor.vanish(returningAfter: returns)
            }
        }
    }

    /// Where nothing is lost, and no end fails, a server's retransmission timer runs out only where a client closes its window upon what is
    /// under way: a few times. More of it, and its bytes or their acknowledgements are lost in the dispatcher.
    private func checkTimeouts() {
        let count = world.servers.flatMap(\.connections).reduce(0) { $0 + $1.endpoint.timeouts }
        if count > Self.mostTimeouts {
            world.simulation.violation("\(count) timeouts of servers, and the network lost nothing")
        }
    }

    var isFinished: Bool { visitors.allSatisfy(\.isFinished) }

    /// Runs to the end and checks all invariants.
    func finish() {
        world.simulation.eventLimit = 20_000_000
        world.simulation.run(atMost: .seconds(20_000)) { isFinished }
        for visitor in visitors where !visitor.isFinished {
            let state = visitor.current?.endpoint.map { "\($0.state)" } ?? "not connected"
            world.simulation.violation("\(visitor.host.name) has \(visitor.left.count) requests left; its connection is \(state)")
        }
        // A SYN is repeated: at two per cent lost each way, that all of six are is not to be expected of any seed.
        if !isHarsh, world.serverImpairments.loss <= 0.02, world.serverImpairments.stalling == 0, world.serverImpairments.rate == 0 {
            for server in world.dispatcher.snapshot.pools[0].servers where server.connectFailures > 0 {
                world.simulation.violation("\(server.connectFailures) connections to \(server.endpoint) did not come about")
            }
        }
        if isClean, !isHarsh { checkTimeouts() }
        world.finish(expectComplete: false, atMost: .zero, settle: .seconds(2_000))
    }
}
