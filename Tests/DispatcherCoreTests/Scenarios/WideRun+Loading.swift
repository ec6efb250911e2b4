import DispatcherCore

/// What moves a wide run's limits and chooses among its servers, what is checked of them and ordered. All of it has its own random numbers,
/// so that it changes nothing else of a run.
extension WideRun {
    static func configureLoading(_ configuration: inout EngineConfiguration, isHarsh: Bool, seed: UInt64) {
        var random = SimulationRandom(seed: seed).fork("loading")
        // Tunnels of a server that is ordered out end where ends fail, and only there.
        configuration.drain = isHarsh ? .milliseconds(Int64(random.within(1...10_000))) : .seconds(100_000)
        guard random.chance(0.8) else { return }
        var pool = configuration.pools[0]
        pool.control =
            [
                .fixed, .optimiseThroughput, .hold(.averageResponseTime, low: 0.02, high: 0.2),
                .hold(.maximumResponseTime, low: nil, high: 1),
                .hold(.requestRate, low: 5, high: 50), .hold(.throughput, low: 10_000, high: nil), .hold(.reported, low: 10, high: 30),
            ][random.below(7)]
        pool.balance =
            [.roundRobin, .roundRobin, .leastConnections, .hashOfSource, .hashOfPath, .hashOfHeader([UInt8](text: "X-Long"))][
                random.below(6)]
        for index in pool.servers.indices {
            (pool.servers[index].initialLimit, pool.servers[index].maximumLimit) = (random.within(1...8), 8)
            if random.chance(0.5) { pool.servers[index].weight = random.within(1...4) }
            if random.chance(0.2) { pool.servers[index].capacity = random.within(2...9) }
        }
        pool.servers[1].isBackup = random.chance(0.15)
        if random.chance(0.3) { pool.slowStart = .milliseconds(Int64(random.within(100...10_000))) }
        if random.chance(0.6) {
            var health = HealthConfiguration()
            if random.chance(0.8) { health.path = [UInt8](text: "/health?of=all") }
            health.every = .milliseconds(Int64(random.within(1_000...20_000)))
            health.timeout = .milliseconds(Int64(random.within(20...2_000)))
            // Where ends are calm the network may lose what it likes, and no server be out for that.
            (health.rise, health.fall) = (random.within(1...3), isHarsh ? random.within(1...4) : 1_000_000)
            if random.chance(0.7) { health.reportHeader = [UInt8](text: "X-Load") }
            pool.health = health
        }
        if isHarsh {
            configuration.tunnelsPerSecond = random.within(1...100)
            if random.chance(0.7) {
                pool.ejection.failures = random.within(1...5)
                pool.ejection.time = .milliseconds(Int64(random.within(50...10_000)))
            }
            if random.chance(0.3) {
                (pool.tunnels, pool.mostTunnels, pool.tunnelControl) = (random.within(1...8), 32, .hold(.reported, low: 10, high: 30))
            }
            if random.chance(0.3) {
                (pool.queue.refuseAbove, pool.queue.resumeBelow) = (random.within(1...6), 1)
                pool.queue.refuseWith = random.chance(0.7) ? .answer : .reset
            }
        }
        configuration.pools[0] = pool
    }

    /// Orders, limits, weights and bands that come in the middle, and what servers answer to checks.
    func planOrders(seed: UInt64) {
        var random = SimulationRandom(seed: seed).fork("orders")
        for (index, server) in world.servers.enumerated() {
            // The limits move: that none is exceeded the engine counts itself.
            server.limit = nil
            var own = random.fork("checks of \(index)")
            let isHarsh = isHarsh
            server.check = { [unowned server] _ in
                if isHarsh, own.chance(0.2) {
                    return [
                        .answer(500), .silence, CheckPlan(bytes: [UInt8](text: "nonsense\r\n\r\n")), CheckPlan(bytes: []).ending(.reset),
                        CheckPlan(bytes: []), .answer(503, body: "no").after(.milliseconds(Int64(own.within(1...3_000)))),
                    ][own.below(6)]
                }
                let load = own.chance(0.1) ? "unknown" : "\(5 * server.active).\(own.below(10))"
                var plan = CheckPlan.answer(200, [("X-Load", load)], body: String(repeating: "b", count: own.below(2_000)))
                if own.chance(0.3) { plan = plan.inPieces(of: own.within(20...500), pause: .milliseconds(Int64(own.within(1...5)))) }
                if own.chance(0.3) { plan = plan.ending(.stay) }
                return plan
            }
        }
        guard random.chance(0.8) else { return }
        var backAt = Interval.zero
        for _ in 0..<random.within(1...12) {
            let command: EngineCommand
            // Where ends are calm one server stays: the other ones' orders are of no consequence to clients.
            let server = isHarsh ? random.below(2) : 1
            switch random.below(6) {
            case 0, 1: command = .setLimit(pool: 0, server: world.endpoint(random.below(2)), limit: random.within(0...9))
            case 2: command = .setWeight(pool: 0, server: world.endpoint(random.below(2)), weight: random.within(0...5))
            case 3:
                command = .setBand(
                    pool: 0, server: world.endpoint(random.below(2)), low: random.chance(0.5) ? 0.01 : nil, high: Double(random.below(3)))
            default: command = .order(pool: 0, server: world.endpoint(server), ServerOrder.allCases[random.below(3)])
            }
            let time = Interval.milliseconds(Int64(random.below(20_000)))
            backAt = max(backAt, time)
            world.simulation.after(time) { [unowned self] in world.dispatcher.apply(command) }
        }
        planReloads(&backAt, seed: seed)
        for server in 0..<2 {
            world.simulation.after(backAt + .seconds(5)) { [unowned self] in
                world.dispatcher.apply(.order(pool: 0, server: world.endpoint(server), .ready))
            }
        }
    }

    /// Other configurations that come in the middle. Where ends are calm one server stays in all of them.
    private func planReloads(_ backAt: inout Interval, seed: UInt64) {
        var random = SimulationRandom(seed: seed).fork("reloads")
        guard random.chance(0.5) else { return }
        let both = world.dispatcher.configuration.pools[0].servers
        for _ in 0..<random.within(1...8) {
            let time = Interval.milliseconds(Int64(random.below(20_000)))
            backAt = max(backAt, time)
            var own = random.fork("one")
            let isHarsh = isHarsh
            world.simulation.after(time) { [unowned self] in
                world.dispatcher.reconfigure { configuration in
                    var pool = configuration.pools[0]
                    for _ in 0..<own.within(1...3) { Self.change(&pool, both, isHarsh: isHarsh, &own) }
                    configuration.pools[0] = pool
                }
            }
        }
        world.simulation.after(backAt + .seconds(4)) { [unowned self] in
            world.dispatcher.reconfigure { $0.pools[0].servers = both }
        }
    }

    private static func change(
        _ pool: inout PoolConfiguration, _ both: [ServerConfiguration], isHarsh: Bool, _ random: inout SimulationRandom
    ) {
        switch random.below(9) {
        case 0: pool.servers = [both[isHarsh ? random.below(2) : 0]]
        case 1: pool.servers = both
        case 2: pool.servers = both.reversed()
        case 3: pool.balance = [.roundRobin, .leastConnections, .hashOfSource, .hashOfPath][random.below(4)]
        case 4:
            pool.control =
                [.fixed, .optimiseThroughput, .hold(.averageResponseTime, low: 0.02, high: Double(random.within(1...9)))][random.below(3)]
        case 5:
            for place in pool.servers.indices { pool.servers[place].initialLimit = random.within(1...8) }
        case 6: if isHarsh { pool.queue.capacity = random.within(4...4_096) }
        case 7: pool.slowStart = random.chance(0.5) ? .zero : .milliseconds(Int64(random.within(100...5_000)))
        default:
            guard var health = pool.health else { return }
            health.every = .milliseconds(Int64(random.within(500...20_000)))
            pool.health = random.chance(0.3) ? nil : health
        }
    }
}
