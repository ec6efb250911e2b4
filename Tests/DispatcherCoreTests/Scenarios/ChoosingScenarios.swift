import DispatcherCore
import Testing

@Suite("Choosing among idle servers")
struct ChoosingScenarios {
    private static let header = Balance.hashOfHeader([UInt8](text: "X-Key"))

    private func world(
        _ servers: Int, _ balance: Balance = .roundRobin, seed: UInt64 = SimulationSeed.one,
        configure: (inout PoolConfiguration) -> Void = { _ in }
    ) -> World {
        World(seed: seed, servers: servers) { configuration in
            configuration.pools[0].balance = balance
            configuration.pools[0].queue.wait = .seconds(60)
            configure(&configuration.pools[0])
        }
    }

    @Test("in turn, whenever connections are opened", arguments: [PoolConfiguration.Open.onConnection, .onRequest, .atStart])
    func inTurn(open: PoolConfiguration.Open) {
        let world = world(3) { $0.open = open }
        world.visitors(30, every: .milliseconds(5))
        world.finish()
        #expect(world.answering == (0..<30).map { $0 % 3 })
    }

    @Test("weights of 3 and 1: three and one of any four in a row", arguments: [PoolConfiguration.Open.onConnection, .onRequest])
    func weights(open: PoolConfiguration.Open) {
        let world = world(2) { pool in
            pool.open = open
            pool.servers[0].weight = 3
        }
        world.visitors(40, every: .milliseconds(5))
        world.finish()
        let order = world.answering
        for start in 0...36 { #expect(order[start..<start + 4].reduce(0, +) == 1, "\(order)") }
    }

    @Test("weights while the heavier one is full: the others take all; later it has its part again, and no more")
    func weightsWhileFull() {
        let world = world(2) { pool in
            pool.servers[0].weight = 3
            pool.servers[0].initialLimit = 1
        }
        world.client([world.exchange(.get(), .length(100).after(.milliseconds(500)))])
        world.simulation.run(for: .milliseconds(10))
        #expect(world.servers[0].active == 1)
        world.visitors(20, every: .milliseconds(5))
        world.simulation.run(for: .milliseconds(200))
        #expect(world.served == [1, 20])
        world.simulation.run(for: .milliseconds(400))
        world.visitors(40, every: .milliseconds(5))
        world.finish()
        #expect(world.served[0] - 1 >= 29 && world.served[0] - 1 <= 31, "\(world.served)")
    }

    @Test("a weight that changes while it runs")
    func newWeight() {
        let world = world(2)
        world.dispatcher.apply(.setWeight(pool: 0, server: .server(1), weight: 4))
        world.visitors(50, every: .milliseconds(5))
        world.finish()
        #expect(world.served == [10, 40])
    }

    @Test("fewest outstanding for its weight")
    func leastConnections() {
        let world = world(3, .leastConnections) { pool in
            pool.servers[2].weight = 2
            for index in 0..<3 { pool.servers[index].initialLimit = 50 }
        }
        var random = world.simulation.random.fork("times")
        for index in 0..<200 {
            world.client([world.exchange(.get(), .length(100).after(.milliseconds(Int64(random.within(50...150)))))]) {
                $0.start = .milliseconds(Int64(index) * 5)
            }
        }
        for _ in 0..<90 {
            world.simulation.run(for: .milliseconds(11))
            let active = world.servers.map(\.active)
            if active.reduce(0, +) >= 16 {
                #expect(abs(active[0] - active[1]) <= 3 && active[2] >= active[0] && active[2] >= active[1], "\(active)")
            }
        }
        world.finish()
        #expect(abs(world.served[2] - 100) <= 15 && abs(world.served[0] - world.served[1]) <= 12, "\(world.served)")
    }

    /// Keys, and which server each went to.
    private func owners(_ world: World, keys: Range<Int>, repeated: Int = 1) -> [Int: Set<Int>] {
        var asked: [UInt32: Int] = [:]
        for _ in 0..<repeated {
            for key in keys {
                let exchange = world.exchange(.get().with("X-Key", "key \(key)"))
                asked[exchange.id] = key
                world.client([exchange]) { $0.start = .milliseconds(Int64(key)) }
            }
        }
        world.simulation.run(for: .seconds(5))
        var owners: [Int: Set<Int>] = [:]
        for (index, server) in world.servers.enumerated() {
            for id in server.order { if let key = asked[id] { owners[key, default: []].insert(index) } }
        }
        return owners
    }

    @Test(
        "hashed by a header: a key keeps its server, also with another dispatcher; when a server goes only its keys go elsewhere, and come back"
    )
    func hashOfHeader() {
        let first = world(4, Self.header)
        let before = owners(first, keys: 0..<60, repeated: 3)
        #expect(before.count == 60 && before.values.allSatisfy { $0.count == 1 })
        for server in 0..<4 { #expect(before.values.count { $0 == [server] } >= 5, "each has its part") }
        first.dispatcher.apply(.order(pool: 0, server: .server(2), .drain))
        let during = owners(first, keys: 0..<60)
        for (key, owner) in before { #expect(owner == [2] ? during[key] != [2] : during[key] == owner) }
        #expect(Set(before.filter { $0.value == [2] }.keys.compactMap { during[$0] }).count > 1, "they go to more than one")
        first.dispatcher.apply(.order(pool: 0, server: .server(2), .ready))
        #expect(owners(first, keys: 0..<60) == before)
        first.finish()
        let second = world(4, Self.header, seed: SimulationSeed.one &+ 77)
        #expect(owners(second, keys: 0..<60) == before)
        second.finish()
    }

    @Test("hashed by weight: twice the weight, about twice the keys")
    func hashByWeight() {
        let world = world(2, Self.header) { $0.servers[0].weight = 2 }
        let owners = owners(world, keys: 0..<150)
        #expect((85...115).contains(owners.values.count { $0 == [0] }))
        world.finish()
    }

    @Test("hashed by source and by path: the same client, the same path, the same server", arguments: [Balance.hashOfSource, .hashOfPath])
    func hashOfSource(balance: Balance) {
        var seen: [[Set<Int>]] = []
        for seed in [SimulationSeed.one, SimulationSeed.one &+ 5] {
            let world = world(4, balance, seed: seed)
            var asked: [[UInt32]] = []
            for place in 0..<12 {
                var plan = RequestPlan.get()
                // What follows the question mark is not the path's.
                if balance == .hashOfPath { plan.path = "/page\(place)?/" }
                let exchanges = (0..<5).map { _ in world.exchange(plan) }
                asked.append(exchanges.map(\.id))
                world.client(exchanges)
            }
            world.finish()
            seen.append(asked.map { ids in Set(world.servers.indices.filter { !Set(world.servers[$0].order).isDisjoint(with: ids) }) })
        }
        #expect(seen[0].allSatisfy { $0.count == 1 } && Set(seen[0]).count > 1)
        #expect(seen[0] == seen[1])
    }

    @Test("a request waits for its own server while others are idle; without the header it goes to the others in turn, before them")
    func waitsForItsOwn() {
        let world = world(3, Self.header) { pool in for index in 0..<3 { pool.servers[index].initialLimit = 1 } }
        let slow = ResponsePlan.length(100).after(.milliseconds(100))
        for index in 0..<4 {
            world.client([world.exchange(.get().with("X-Key", "one"), slow)]) { $0.start = .milliseconds(Int64(index)) }
        }
        world.simulation.run(for: .milliseconds(50))
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 3 && world.servers.map(\.active).sorted() == [0, 0, 1])
        let owner = world.servers.firstIndex { $0.active == 1 }!
        world.visitors(4, every: .milliseconds(10))
        world.simulation.run(for: .milliseconds(45))
        for (index, server) in world.servers.enumerated() where index != owner { #expect(server.requestsServed == 2) }
        world.finish()
        #expect(world.served[owner] == 4)
        // Served in the order in which they came.
        #expect(world.servers[owner].order == [1, 2, 3, 4])
    }

    @Test("the server of requests that wait goes: they go to others at once, in their order")
    func waitingMove() {
        let world = world(2, Self.header) { pool in for index in 0..<2 { pool.servers[index].initialLimit = 1 } }
        let slow = ResponsePlan.length(100).after(.milliseconds(100))
        for _ in 0..<3 { world.client([world.exchange(.get().with("X-Key", "one"), slow)]) }
        world.simulation.run(for: .milliseconds(20))
        let owner = world.servers.firstIndex { $0.active == 1 }!
        world.dispatcher.apply(.order(pool: 0, server: .server(owner), .drain))
        world.simulation.run(for: .milliseconds(5))
        #expect(world.servers[1 - owner].active == 1)
        world.finish()
        #expect(world.served[owner] == 1 && world.servers[1 - owner].order.count == 2)
        #expect(world.servers[1 - owner].order == world.servers[1 - owner].order.sorted())
    }

    @Test("what may go to any server is not starved by what waits for its own")
    func anyAmongOwn() {
        let world = world(2, Self.header) { pool in
            for index in 0..<2 { pool.servers[index].initialLimit = 1 }
            pool.queue.wait = .seconds(3)
        }
        let response = ResponsePlan.length(100).after(.milliseconds(20))
        let crowds = (0..<8).map { key in
            let crowd = Crowd(world)
            crowd.response = response
            crowd.request = .get().with("X-Key", "key \(key)")
            crowd.ask(4)
            return crowd
        }
        world.simulation.run(for: .milliseconds(500))
        let plain = (0..<10).map { _ in world.client([world.exchange(.get(), response)]) }
        world.simulation.run(for: .seconds(3))
        #expect(plain.allSatisfy { $0.outcome == .complete })
        for crowd in crowds { crowd.stop() }
        for crowd in crowds { crowd.end() }
        #expect(world.servers.allSatisfy { $0.requestsServed > 50 })
        world.finish()
    }

    @Test("backup servers: only when no other takes anything, and no longer")
    func backups() {
        let world = world(3) { $0.servers[2].isBackup = true }
        world.visitors(10, every: .milliseconds(5))
        world.simulation.run(for: .milliseconds(200))
        #expect(world.served == [5, 5, 0] && world.shown(2).isBackup)
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .drain))
        world.visitors(10, every: .milliseconds(5))
        world.simulation.run(for: .milliseconds(200))
        #expect(world.served == [5, 15, 0])
        world.dispatcher.apply(.order(pool: 0, server: .server(1), .drain))
        world.visitors(10, every: .milliseconds(5))
        world.simulation.run(for: .milliseconds(200))
        #expect(world.served == [5, 15, 10])
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .ready))
        world.visitors(10, every: .milliseconds(5))
        world.finish()
        #expect(world.served == [15, 15, 10])
    }

    @Test("a backup server that knows no load says nothing about how long the others' queue takes")
    func hopelessBesideBackup() {
        let world = world(2) { pool in
            pool.servers[0].initialLimit = 1
            pool.servers[1].isBackup = true
            pool.queue.wait = .seconds(1)
        }
        world.runLong()
        let crowd = Crowd(world)
        crowd.response = .length(100).after(.milliseconds(10))
        crowd.ask(20)
        world.simulation.run(for: .seconds(3))
        for _ in 0..<300 {
            world.client([world.exchange(.get(), crowd.response)]) { ($0.acceptsErrors, $0.mayFail) = ([503], true) }
        }
        world.simulation.run(for: .milliseconds(50))
        #expect(world.refused(.queueHopeless) > 100)
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test("upgrades are chosen for as requests are", arguments: [Balance.roundRobin, .leastConnections, header, .hashOfSource])
    func upgrades(balance: Balance) {
        let world = world(3, balance)
        var switching = ResponsePlan()
        (switching.status, switching.framing) = (101, .switching)
        for index in 0..<12 {
            let plan = RequestPlan.upgrade(up: 100, down: 100).with("X-Key", "key \(index % 2)")
            world.client([world.exchange(plan, switching)]) { $0.start = .milliseconds(Int64(index) * 5) }
        }
        world.finish()
        switch balance {
        case .roundRobin: #expect(world.served == [4, 4, 4])
        case .leastConnections: #expect(world.served.reduce(0, +) == 12)
        case .hashOfHeader: #expect(world.served.count { $0 > 0 } <= 2 && world.served.allSatisfy { $0 % 6 == 0 })
        default: #expect(world.served.count { $0 > 0 } > 1)
        }
    }

    @Test("a request that a server refuses goes to another", arguments: [Balance.roundRobin, .leastConnections, header])
    func retries(balance: Balance) {
        let world = world(2, balance) { $0.open = .onRequest }
        world.servers[0].host.stopListening(8_080)
        for index in 0..<10 {
            world.client([world.exchange(.get().with("X-Key", "key \(index)"))]) { $0.start = .milliseconds(Int64(index) * 5) }
        }
        world.finish()
        #expect(world.served == [0, 10] && world.dispatcher.snapshot.counters.repeatedRequests > 0)
        #expect(world.dispatcher.records.contains { $0.retries == 1 && $0.server == .server(1) })
    }
}
