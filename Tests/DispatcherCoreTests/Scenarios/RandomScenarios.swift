import DispatcherCore
import Testing

/// A random run: some clients, some servers, impairments on both legs, all from one seed.
struct RandomRun {
    let world: World
    /// Clients that leave in the middle on purpose.
    private(set) var leavers = 0

    /// - Parameter families: nil = as the seed says.
    init(seed: UInt64, families: Families? = nil, change: (inout Impairments) -> Void = { _ in }) {
        var random = SimulationRandom(seed: seed).fork("run")
        func impairments(_ random: inout SimulationRandom, _ delay: ClosedRange<Int>) -> Impairments {
            var result = Impairments.clean(.microseconds(Int64(random.within(delay))))
            let isClean = random.chance(0.2)
            if !isClean {
                result.loss = [0, 0.01, 0.05, 0.1, 0.3][random.below(5)]
                result.duplication = [0, 0.01, 0.05][random.below(3)]
                result.reordering = [0, 0.02, 0.05][random.below(3)]
                result.reorderingDelay = .microseconds(Int64(random.within(100...5_000)))
                result.corruption = [0, 0.01][random.below(2)]
                result.jitter = .microseconds(Int64(random.within(1...300)))
            }
            if random.chance(0.4) { result.merging = 0.5 }
            if random.chance(0.3) { result.partialChecksums = result.corruption == 0 ? 0.5 : 0 }
            if random.chance(0.2) { (result.rate, result.capacity) = (random.within(200_000...5_000_000), random.within(20...200)) }
            result.calmAfter = .seconds(400)
            change(&result)
            return result
        }
        let clientSide = impairments(&random, 20...30_000)
        let serverSide = impairments(&random, 20...1_000)
        let limit = random.within(1...8)
        var serverOptions = TestTCPOptions()
        if random.chance(0.7) { serverOptions.windowScale = [0, 3, 7, 14][random.below(4)] }
        serverOptions.sackPermitted = random.chance(0.7)
        let world = World(
            seed: seed, servers: random.within(1...3), client: clientSide, server: serverSide, serverOptions: serverOptions,
            families: families ?? .random(seed: seed)
        ) { configuration in
            configuration.tcp.options = random.chance(0.1) ? .mss : .all
            configuration.tcp.acknowledge = random.chance(0.3) ? .immediate : .withResponse
            configuration.tcp.initialWindow = random.chance(0.3) ? .client : .clamped
            configuration.pools[0].open = [.onConnection, .onRequest, .atStart][random.below(3)]
            configuration.pools[0].connectTimeout = .seconds(100)
            configuration.pools[0].responseTimeout = .seconds(900)
            configuration.pools[0].queue.wait = .seconds(900)
            configuration.pools[0].retries = 20
            for index in configuration.pools[0].servers.indices { configuration.pools[0].servers[index].initialLimit = limit }
            configuration.services[0].limits.sendIdle = .seconds(900)
            configuration.services[0].limits.headTime = .seconds(900)
            configuration.services[0].limits.bodyRate = 0
            configuration.services[0].limits.tunnelIdle = .seconds(900)
            configuration.services[0].limits.idle = .seconds(300)
            if random.chance(0.3) { configuration.clientSideMTU = 1_400 }
            configuration.tcp.tailCustody = [64 << 10, 64 << 10, 8 << 10, 1_000, 0][random.below(5)]
            if random.chance(0.1) { configuration.tcp.stagingMemory = random.within(0...200_000) }
        }
        self.world = world
        for server in world.servers where random.chance(0.3) { server.keepAlive = .milliseconds(Int64(random.within(100...5_000))) }
        for _ in 0..<random.within(2...8) { addClient(&random) }
    }

    private mutating func addClient(_ random: inout SimulationRandom) {
        let world = world
        var exchanges: [Exchange] = []
        var ends = false
        for _ in 0..<random.within(1...4) where !ends {
            let exchange = world.exchange(Self.request(&random), Self.response(&random))
            exchanges.append(exchange)
            ends = exchange.response.endsByClose || exchange.response.closes || exchange.request.asksToClose
        }
        let wantsTunnel = !ends && random.chance(0.1)
        if wantsTunnel {
            var switching = ResponsePlan()
            (switching.status, switching.framing) = (101, .switching)
            exchanges.append(world.exchange(.upgrade(up: random.below(20_000), down: random.below(20_000)), switching))
        }
        var options = TestTCPOptions()
        options.maximumSegmentSize = [1_460, 1_460, 536, 1_220, 300, 8_960][random.below(6)]
        if random.chance(0.2) { options.receiveBuffer = random.within(20_000...65_535) }
        if random.chance(0.7) { options.windowScale = [0, 1, 7, 9, 14][random.below(5)] }
        if options.windowScale != nil, random.chance(0.5) { options.receiveBuffer = random.within(65_536...1_000_000) }
        options.sackPermitted = random.chance(0.7)
        if random.chance(0.2) {
            options.reader = .paced(bytes: random.within(500...20_000), interval: .milliseconds(Int64(random.within(5...100))))
        }
        let leaves = random.chance(0.15)
        if leaves { leavers += 1 }
        let start = Interval.milliseconds(Int64(random.below(300)))
        let pipeline = wantsTunnel ? 1 : random.within(1...3)
        let slow = random.chance(0.15)
        let halfClose = random.chance(0.2) && !wantsTunnel
        let think = random.chance(0.3) ? Interval.milliseconds(Int64(random.within(1...3_000))) : .zero
        let writeSize = random.within(1...200)
        let cut = random.within(1...5_000)
        world.client(exchanges, options: options) { script in
            (script.start, script.pipeline, script.thinkTime, script.acceptsBadGateway) = (start, pipeline, think, true)
            if slow { script.writeSize = writeSize }
            if halfClose { (script.ending, script.mayBeAbandoned) = (.halfClose, true) }
            if leaves { (script.ending, script.mayFail) = (.abort(after: cut), true) }
        }
    }

    static func request(_ random: inout SimulationRandom) -> RequestPlan {
        var plan = RequestPlan.get()
        switch random.below(6) {
        case 0, 1: plan = .upload(&random)
        case 2: plan.method = "HEAD"
        default: break
        }
        if random.chance(0.2) { plan = plan.with("X-Long", String(repeating: "l", count: random.below(3_000))) }
        return plan
    }

    static func response(_ random: inout SimulationRandom) -> ResponsePlan {
        let size = [0, random.below(100), random.below(5_000), random.below(100_000)][random.below(4)]
        var plan = random.chance(0.3) ? ResponsePlan.chunked(size, size: random.within(1...9_000)) : ResponsePlan.length(size)
        if random.chance(0.05) { plan.framing = .untilClose(size) }
        if random.chance(0.05) { (plan.status, plan.framing) = (204, .none) }
        if random.chance(0.1) { plan.closes = true }
        if random.chance(0.1) { plan.finishes = true }
        if random.chance(0.1) { plan.interim = random.within(1...3) }
        if random.chance(0.15) { plan.headSize = random.within(500...8_000) }
        if random.chance(0.5) { plan.serviceTime = .milliseconds(Int64(random.below(200))) }
        if random.chance(0.2) { (plan.pieces, plan.pause) = (random.within(50...5_000), .milliseconds(Int64(random.within(1...20)))) }
        if random.chance(0.1) { plan.bodyDelay = .milliseconds(Int64(random.within(1...100))) }
        return plan
    }

    func finish() {
        world.runClients(atMost: .seconds(3_000))
        for client in world.clients where client.outcome != .complete {
            if client.script.mayFail || client.script.mayBeAbandoned || client.outcome == .refused { continue }
            world.simulation.violation(
                "\(client.host.name): \(client.outcome) after \(client.answered) of \(client.script.exchanges.count) answers")
        }
        world.finish(expectComplete: false, settle: .seconds(1_200))
    }
}

@Suite("M. Random runs")
struct RandomScenarios {
    @Test("M01 streams are exact and nothing is left, whatever the network does", arguments: SimulationSeed.many(200))
    func m01(seed: UInt64) { RandomRun(seed: seed).finish() }

    /// Seeds that once found something: 415 a FIN before bytes cut at the client's edge, 696 and 5564 a later segment taken for the first.
    @Test("M01 seeds that found faults before", arguments: SimulationSeed.number("SLUICE_SEED") == nil ? [328, 415, 696] as [UInt64] : [])
    func found(seed: UInt64) { RandomRun(seed: seed, families: .v4).finish() }

    @Test("M01 the same under heavy loss on both legs", arguments: SimulationSeed.many(20, from: 5_000))
    func heavyLoss(seed: UInt64) {
        RandomRun(seed: seed) { impairments in
            impairments.loss = 0.3
            impairments.corruption = 0.01
        }.finish()
    }

    @Test(
        "M01 segments changed undetectably never stop the engine, and leave nothing behind", arguments: SimulationSeed.many(20, from: 9_000)
    )
    func hostile(seed: UInt64) {
        let run = RandomRun(seed: seed) { impairments in
            impairments.tampering = 0.03
            impairments.calmAfter = .seconds(60)
        }
        run.world.isStrict = false
        run.world.runClients(atMost: .seconds(2_000))
        for client in run.world.clients where !client.isFinished { client.endpoint?.abort() }
        run.world.finish(expectComplete: false, settle: .seconds(4_000))
    }

    @Test("M08 time is moved to deadlines only: no busy loop, and rest in finitely many steps")
    func m08() {
        let world = World()
        for _ in 0..<5 { world.client([world.exchange(), world.exchange(.get(), .length(50_000))]) }
        world.finish()
        let before = world.simulation.eventsRun
        world.simulation.run(for: .seconds(100_000))
        #expect(world.simulation.eventsRun - before < 100)
    }

    @Test("M09 the same seed gives a byte-identical capture, another seed another; looks ahead change nothing")
    func m09() {
        func capture(_ seed: UInt64, looksAhead: Bool = true) -> CaptureFile {
            let run = RandomRun(seed: seed)
            run.world.dispatcher.looksAhead = looksAhead
            run.finish()
            return run.world.dispatcher.capture
        }
        for seed: UInt64 in [11, 12, 13] {
            let first = capture(seed)
            #expect(first.count > 30)
            #expect(first.bytes == capture(seed).bytes)
            #expect(first.bytes == capture(seed, looksAhead: false).bytes)
            #expect(first.digest != capture(seed + 100).digest)
        }
    }
}
