import DispatcherCore
import Testing

@Suite("Servers that fail, and orders")
struct EjectionScenarios {
    private func world(_ servers: Int = 2, failures: Int = 3, configure: (inout EngineConfiguration) -> Void = { _ in }) -> World {
        let world = World(servers: servers) { configuration in
            configuration.pools[0].ejection.failures = failures
            configuration.pools[0].ejection.time = .seconds(1)
            configuration.pools[0].queue.wait = .seconds(60)
            configure(&configuration)
        }
        world.runLong()
        return world
    }

    /// A server whose answers have this status while `when` says so.
    private func fail(_ server: SimulatedServer, status: Int = 500, when: @escaping () -> Bool = { true }) {
        server.onRequest = { exchange in if when() { exchange.response.status = status } }
    }

    private func ejections(_ world: World) -> [(server: Int, at: Instant, length: Interval)] {
        let changes = world.stateChanges
        return changes.enumerated().compactMap { place, change in
            guard change.to == .ejected, let end = changes[(place + 1)...].first(where: { $0.server == change.server }) else { return nil }
            return (change.server, change.at, end.at - change.at)
        }
    }

    @Test("so many failures in a row eject a server, each time for longer; what waits goes to the other; then it is back")
    func ejected() {
        let world = world()
        fail(world.servers[0])
        let crowd = Crowd(world)
        crowd.come(100)
        world.simulation.run(for: .seconds(8))
        let lengths = ejections(world).map { ($0.length.nanoseconds + 5_000_000) / 1_000_000_000 }
        #expect(lengths.starts(with: [1, 2, 3]), "\(lengths)")
        let changes = world.stateChanges
        #expect(changes.allSatisfy { $0.server == 0 && $0.cause == ($0.to == .ejected ? .consecutiveFailures : .ejectionOver) })
        #expect((9...20).contains(world.served[0]), "three each time: \(world.served)")
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test("a success between failures counts from the start again")
    func successBetween() {
        let world = world()
        var count = 0
        fail(world.servers[0]) {
            count += 1
            return count % 3 != 0
        }
        let crowd = Crowd(world)
        crowd.come(100)
        world.simulation.run(for: .seconds(3))
        #expect(world.stateChanges.isEmpty && world.shown(0).failures > 50)
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test(
        "a server whose responses all stop before their end is ejected, though each begins well; a whole one between them makes up for it",
        arguments: [true, false])
    func truncated(all: Bool) {
        let world = world { $0.pools[0].ejection.time = .seconds(60) }
        var count = 0
        world.servers[0].mayRepeat = true
        world.servers[0].onRequest = { exchange in
            count += 1
            if all || count % 3 != 0 { exchange.response.fault = .reset(after: 2_000) }
        }
        for index in 0..<24 {
            world.client([world.exchange(.get(), .length(5_000))]) {
                ($0.mayFail, $0.start) = (true, .milliseconds(Int64(index) * 100))
            }
        }
        world.finish(expectComplete: false)
        #expect(world.stateChanges.count { $0.to == .ejected } == (all ? 1 : 0))
        #expect(count == (all ? 3 : 12) && world.shown(0).failures == (all ? 3 : 8))
    }

    @Test("the last server is never ejected, a backup server counts", arguments: [1, 2, 3])
    func last(servers: Int) {
        let world = world(servers) { configuration in configuration.pools[0].servers[servers - 1].isBackup = servers > 1 }
        for server in world.servers { fail(server) }
        let crowd = Crowd(world)
        crowd.come(100)
        for _ in 0..<400 {
            world.simulation.run(for: .milliseconds(10))
            #expect((0..<servers).contains { world.shown($0).state == .up })
        }
        #expect(world.stateChanges.isEmpty == (servers == 1) && world.refused(.noServer) == 0)
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test("a server that has worked for as long as it was out is forgiven: its next ejection is a short one")
    func forgiven() {
        let world = world()
        var fails = true
        fail(world.servers[0]) { fails }
        let crowd = Crowd(world)
        crowd.come(100)
        world.simulation.run(atMost: .seconds(10)) { ejections(world).count == 2 }
        fails = false
        #expect(world.shown(0).ejections == 2)
        world.simulation.run(for: .seconds(1))
        #expect(world.shown(0).ejections == 2)
        world.simulation.run(for: .milliseconds(1_200))
        #expect(world.shown(0).ejections == 0)
        fails = true
        world.simulation.run(for: .seconds(3))
        let lengths = ejections(world).map { ($0.length.nanoseconds + 5_000_000) / 1_000_000_000 }
        #expect(lengths.starts(with: [1, 2, 1]), "\(lengths)")
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test("an ejection that ends while its server is ordered out is over")
    func overMeanwhile() {
        let world = world()
        fail(world.servers[0])
        let crowd = Crowd(world)
        crowd.come(100)
        world.simulation.run(atMost: .seconds(5)) { world.shown(0).state == .ejected }
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .drain))
        world.simulation.run(for: .seconds(3))
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .ready))
        #expect(world.shown(0).state == .up)
        #expect(world.stateChanges.map(\.to) == [.ejected, .drain, .up])
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test("requests that wait for an ejected server of theirs go to another at once")
    func waitingMove() {
        let world = world(failures: 1) { configuration in
            configuration.pools[0].balance = .hashOfHeader([UInt8](text: "X-Key"))
            for index in 0..<2 { configuration.pools[0].servers[index].initialLimit = 1 }
        }
        let slow = ResponsePlan.length(100).after(.milliseconds(100))
        for server in world.servers { fail(server) { world.servers.reduce(0) { $0 + $1.requestsServed } == 1 } }
        let clients = (0..<4).map { index in
            world.client([world.exchange(.get().with("X-Key", "one"), slow)]) {
                ($0.acceptsErrors, $0.mayFail, $0.start) = ([500], true, .milliseconds(Int64(index)))
            }
        }
        world.simulation.run(for: .milliseconds(50))
        let owner = world.servers.firstIndex { $0.active == 1 }!
        world.simulation.run(for: .milliseconds(60))
        #expect(world.shown(owner).state == .ejected && world.servers[1 - owner].active == 1)
        world.simulation.run(for: .milliseconds(350))
        #expect(world.served[owner] == 1 && world.servers[1 - owner].order == [2, 3, 4])
        #expect(clients.dropFirst().allSatisfy { $0.outcome == .complete })
        world.finish(expectComplete: false)
    }

    @Test("failures lower the limit by three tenths a window")
    func limitAfterFailures() {
        let world = world(1) { configuration in
            configuration.pools[0].control = .hold(.averageResponseTime, low: 0.001, high: 10)
            configuration.pools[0].servers[0].initialLimit = 40
        }
        var fails = false
        fail(world.servers[0]) { fails }
        let crowd = Crowd(world)
        crowd.response = .length(100).after(.milliseconds(100))
        crowd.ask(60)
        world.simulation.run(for: .seconds(2))
        #expect(world.limitChanges.isEmpty)
        fails = true
        world.simulation.run(atMost: .seconds(10)) { world.limitChanges.count == 3 }
        #expect(world.limitChanges.map(\.to) == [28, 19, 13] && world.limitChanges.allSatisfy { $0.reason == .failures })
        crowd.end()
        world.finish(expectComplete: false)
    }

    @Test("what counts as a failure, and what does not")
    func whatCounts() {
        /// So many failures of one server by so many requests of a kind.
        func failures(
            _ response: ResponsePlan, _ change: (World) -> Void = { _ in }, ending: ClientScript.Ending = .close, leaves: Bool = false
        ) -> Int {
            let world = world(1, failures: 0) { configuration in
                configuration.pools[0].responseTimeout = .seconds(2)
                configuration.pools[0].retries = 0
            }
            world.servers[0].mayRepeat = true
            change(world)
            for index in 0..<5 {
                world.client([world.exchange(.get(), response)]) {
                    ($0.acceptsErrors, $0.mayFail, $0.ending) = ([502, 503, 504], true, ending)
                    $0.start = .milliseconds(Int64(index) * 200)
                }
                let client = world.clients[index]
                if leaves { world.simulation.after(.milliseconds(Int64(index) * 200 + 50)) { client.endpoint.abort() } }
            }
            world.finish(expectComplete: false)
            return Int(world.shown(0).failures)
        }
        func faulty(_ fault: ResponsePlan.Fault) -> ResponsePlan {
            var plan = ResponsePlan.length(5_000)
            plan.fault = fault
            return plan
        }
        func status(_ status: Int) -> ResponsePlan {
            var plan = ResponsePlan.length(10)
            plan.status = status
            return plan
        }
        for code in [500, 502, 503, 504, 599] { #expect(failures(status(code)) == 5, "\(code)") }
        for code in [200, 404, 429, 501, 505] { #expect(failures(status(code)) == 0, "\(code)") }
        #expect(failures(faulty(.reset(after: 0))) == 5, "reset before the answer")
        #expect(failures(faulty(.reset(after: 2_000))) == 5, "reset in the answer")
        #expect(failures(faulty(.finish(after: 0))) == 5, "closed before the answer")
        #expect(failures(faulty(.finish(after: 2_000))) == 5, "closed in the answer")
        #expect(failures(faulty(.nonsense([UInt8](text: "nonsense\r\n\r\n")))) == 5, "nonsense")
        #expect(failures(faulty(.silence)) == 5, "silence")
        #expect(failures(.length(10), { $0.servers[0].host.stopListening(8_080) }) >= 5, "refused")
        #expect(failures(.length(10), { $0.servers[0].keepAlive = .milliseconds(50) }) == 0, "idle connections closed")
        #expect(failures(.length(50_000), ending: .abort(after: 3_000)) == 0, "clients that go")
        #expect(failures(ResponsePlan.length(10).after(.seconds(1)), leaves: true) == 0, "clients that go early")
    }

    // MARK: Orders

    @Test(
        "drain: what a server has is finished, nothing new goes there, tunnels stay; down: its idle connections close too; ready: it works again"
    )
    func orders() {
        let world = world(failures: 0)
        var switching = ResponsePlan()
        (switching.status, switching.framing) = (101, .switching)
        let tunnels = (0..<4).map { _ in
            world.client([world.exchange(.echo(1_000), switching)]) { $0.ending = .stay }
        }
        world.simulation.run(for: .milliseconds(100))
        #expect(world.shown(0).tunnels == 2 && world.shown(1).tunnels == 2)
        let crowd = Crowd(world)
        crowd.response = .length(20_000).after(.milliseconds(30))
        crowd.ask(20)
        world.simulation.run(for: .seconds(1))
        #expect(world.servers[0].active > 0)
        let active = world.servers[0].active
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .drain))
        let served = world.served[0]
        world.simulation.run(for: .milliseconds(1))
        #expect(world.servers[0].active >= active - 1, "what is under way goes on")
        world.simulation.run(for: .seconds(1))
        #expect(world.served[0] <= served + 2 && world.servers[0].active == 0, "some may be on their way")
        #expect(world.shown(0).state == .drain && world.shown(0).idle > 0 && world.shown(0).tunnels == 2)

        world.dispatcher.apply(.order(pool: 0, server: .server(0), .down))
        world.simulation.run(for: .milliseconds(50))
        #expect(world.shown(0).state == .down && world.shown(0).idle == 0 && world.shown(0).tunnels == 2)
        #expect(world.servers[0].openConnections.allSatisfy { $0.isTunnel })
        #expect(tunnels.allSatisfy { $0.outcome == .complete && $0.end == nil })

        world.dispatcher.apply(.order(pool: 0, server: .server(0), .ready))
        world.simulation.run(for: .seconds(1))
        #expect(world.served[0] > served + 100)
        crowd.end()
        #expect(crowd.refused.isEmpty)
        #expect(world.stateChanges.map(\.to) == [.drain, .down, .up] && world.stateChanges.allSatisfy { $0.cause == .order })
        for tunnel in tunnels { tunnel.endpoint.close() }
        world.finish()
    }

    @Test("a tunnel that comes about after the order goes like those from before, when the time to close it is over")
    func lateTunnel() {
        let world = world(1, failures: 0) { $0.drain = .seconds(2) }
        var switching = ResponsePlan()
        (switching.status, switching.framing) = (101, .switching)
        let client = world.client([world.exchange(.upgrade(up: 10, down: 10), switching.after(.milliseconds(100)))]) {
            ($0.ending, $0.mayFail) = (.stay, true)
        }
        world.simulation.run(for: .milliseconds(50))
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .drain))
        world.simulation.run(for: .seconds(1))
        #expect(world.shown(0).tunnels == 1 && client.end == nil)
        world.simulation.run(for: .milliseconds(1_300))
        #expect(world.shown(0).tunnels == 0 && client.end == .resetByPeer)
        world.finish()
    }

    @Test("down while a connection is being opened, and while requests are under way: they are finished, and their connections close")
    func downWhileBusy() {
        let world = world(1, failures: 0)
        let clients = (0..<6).map { _ in
            world.client([world.exchange(.get(), .length(50_000).after(.milliseconds(100)))]) {
                ($0.acceptsErrors, $0.mayFail) = ([503], true)
            }
        }
        world.simulation.run(for: .milliseconds(1))
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .down))
        world.simulation.run(for: .seconds(1))
        #expect(world.shown(0).idle == 0 && world.servers[0].openConnections.isEmpty)
        #expect(clients.allSatisfy { $0.isFinished })
        world.finish(expectComplete: false)
    }

    @Test(
        "a server that comes back starts slowly: its limit and its weight grow over the time that is set",
        arguments: [LimitControl.fixed, .optimiseThroughput])
    func slowStart(control: LimitControl) {
        let world = world(failures: 0) { configuration in
            configuration.pools[0].slowStart = .seconds(4)
            configuration.pools[0].control = control
            for index in 0..<2 { configuration.pools[0].servers[index].initialLimit = 20 }
        }
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .drain))
        world.simulation.run(for: .seconds(1))
        let crowd = Crowd(world)
        crowd.response = .length(100).after(.milliseconds(10))
        crowd.come(100)
        world.simulation.run(for: .seconds(1))
        let start = world.served
        let since = world.limitChanges.count
        let begun = world.simulation.now
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .ready))
        #expect(world.shown(0).limit == 1)
        world.simulation.run(for: .milliseconds(1_000))
        let first = (world.served[0] - start[0], world.served[1] - start[1])
        #expect(first.0 > 0 && first.0 * 3 < first.1, "\(first)")
        if control == .fixed {
            #expect((3...7).contains(world.shown(0).limit), "\(world.shown(0).limit)")
            world.simulation.run(for: .milliseconds(3_300))
            let changes = world.limitChanges[since...].filter { $0.server == 0 }
            #expect(changes.map(\.to) == changes.map(\.to).sorted(by: { $0 < $1 }) || changes.first?.to == 1)
            #expect(world.shown(0).limit == 20 && changes.allSatisfy { $0.reason == .restarted })
            #expect(changes.last.map { $0.at - begun > .milliseconds(3_500) } == true)
        } else {
            #expect(world.limitChanges[since...].first { $0.server == 0 }?.reason == .restarted)
            world.simulation.run(for: .milliseconds(3_300))
        }
        let half = world.served
        world.simulation.run(for: .seconds(2))
        let second = (world.served[0] - half[0], world.served[1] - half[1])
        #expect(abs(second.0 - second.1) < (second.0 + second.1) / 5 + 10, "\(second)")
        crowd.end()
        #expect(crowd.refused.isEmpty)
        world.finish()
    }
}
