import DispatcherCore
import Testing

@Suite("Health checks")
struct HealthScenarios {
    private func world(
        _ servers: Int = 1, path: String = "/health", network: Impairments = .clean(),
        configure: (inout EngineConfiguration) -> Void = { _ in }
    ) -> World {
        World(servers: servers, server: network) { configuration in
            var health = HealthConfiguration()
            health.path = [UInt8](text: path)
            health.every = .milliseconds(200)
            health.timeout = .milliseconds(100)
            configuration.pools[0].health = health
            configuration.pools[0].queue.wait = .seconds(60)
            configure(&configuration)
        }
    }

    private func results(_ world: World, _ server: Int = 0) -> [CheckResult: Int] {
        let counts = world.shown(server).checks
        var results: [CheckResult: Int] = [:]
        for result in CheckResult.allCases where counts[Int(result.rawValue)] > 0 { results[result] = Int(counts[Int(result.rawValue)]) }
        return results
    }

    /// An answer, and what a check makes of it.
    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var plan: CheckPlan
        var result: CheckResult
        /// Whether both ends close in order.
        var isPolite = true
        var testDescription: String { name }
    }

    static let cases: [Case] = {
        let good = CheckPlan.answer()
        let early = [UInt8](text: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        let chunked = [UInt8](text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\nokay\r\n0\r\n\r\n")
        return [
            Case(name: "good", plan: good, result: .good),
            Case(name: "good, and the connection stays", plan: good.ending(.stay), result: .good),
            Case(name: "another status", plan: .answer(500), result: .status),
            Case(name: "no content", plan: CheckPlan(bytes: [UInt8](text: "HTTP/1.1 204 No Content\r\n\r\n")), result: .status),
            Case(name: "HTTP/1.0", plan: CheckPlan(bytes: [UInt8](text: "HTTP/1.0 200 OK\r\n\r\nokay")), result: .good),
            Case(
                name: "nonsense", plan: CheckPlan(bytes: [UInt8](text: "220 mail.example ESMTP\r\n\r\n")), result: .malformed,
                isPolite: false),
            Case(
                name: "a head that does not end",
                plan: CheckPlan(bytes: [UInt8](text: "HTTP/1.1 200 OK\r\nX: " + String(repeating: "x", count: 20_000))),
                result: .malformed, isPolite: false),
            Case(
                name: "another protocol",
                plan: CheckPlan(
                    bytes: [UInt8](text: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")),
                result: .malformed, isPolite: false),
            Case(name: "in pieces", plan: good.inPieces(of: 10, pause: .milliseconds(5)), result: .good),
            Case(name: "byte by byte, too slowly", plan: good.inPieces(of: 1, pause: .milliseconds(5)), result: .timeout, isPolite: false),
            Case(name: "too late", plan: good.after(.milliseconds(110)), result: .timeout, isPolite: false),
            Case(name: "just in time", plan: good.after(.milliseconds(90)), result: .good),
            Case(name: "silence", plan: .silence, result: .timeout, isPolite: false),
            Case(name: "reset", plan: CheckPlan(bytes: []).ending(.reset), result: .closed, isPolite: false),
            Case(name: "closed without an answer", plan: CheckPlan(bytes: []), result: .closed, isPolite: false),
            Case(
                name: "closed in the head", plan: CheckPlan(bytes: [UInt8](text: "HTTP/1.1 200 OK\r\nContent-")), result: .closed,
                isPolite: false),
            Case(name: "an interim response before it", plan: CheckPlan(bytes: early + early + good.bytes), result: .good),
            Case(
                name: "an interim response in pieces", plan: CheckPlan(bytes: early + good.bytes).inPieces(of: 30, pause: .milliseconds(5)),
                result: .good),
            Case(name: "interim responses only", plan: CheckPlan(bytes: early + early).ending(.stay), result: .timeout, isPolite: false),
            Case(name: "a body behind the head", plan: .answer(body: String(repeating: "b", count: 5_000)), result: .good),
            Case(
                name: "a body long after the head",
                plan: .answer(body: String(repeating: "b", count: 3_000)).inPieces(of: 1_000, pause: .milliseconds(40)), result: .good),
            Case(name: "chunked", plan: CheckPlan(bytes: chunked), result: .good),
            Case(name: "chunked, in pieces", plan: CheckPlan(bytes: chunked).inPieces(of: 25, pause: .milliseconds(5)), result: .good),
        ]
    }()

    @Test("what an answer is taken for; no connection stays, and none is reset that can end in order", arguments: cases)
    func answers(_ one: Case) {
        let world = world { $0.pools[0].health?.fall = 100 }
        world.servers[0].check = { _ in one.plan }
        world.simulation.run(for: .milliseconds(1_990))
        #expect(results(world) == [one.result: 10], "\(results(world))")
        world.finish()
        if one.isPolite { #expect(world.servers[0].host.resetsReceived == 0 && world.servers[0].host.resetsSent == 0) }
        #expect(world.stateChanges.allSatisfy { $0.cause == .order })
        #expect(world.servers[0].host.endpoints.isEmpty)
    }

    @Test("statuses that are expected", arguments: [204, 301, 404])
    func expected(status: Int) {
        let world = world { $0.pools[0].health?.expect = [204, 301, 404] }
        world.servers[0].check = { _ in status == 204 ? CheckPlan(bytes: [UInt8](text: "HTTP/1.1 204 No Content\r\n\r\n")) : .answer(status)
        }
        world.simulation.run(for: .seconds(1))
        #expect(results(world) == [.good: 5])
        world.finish()
    }

    @Test("so many bad ones in a row and it is down, so many good ones and it is up")
    func riseAndFall() {
        let world = world()
        // Two bad ones are not enough, three are; one good one is not enough.
        let bad: Set<Int> = [3, 4, 6, 7, 8, 10, 12]
        world.servers[0].check = { bad.contains($0) ? .answer(503) : .answer() }
        world.simulation.run(for: .seconds(4))
        let changes = world.stateChanges
        #expect(changes.map(\.to) == [.failed, .up] && changes.allSatisfy { $0.cause == .healthCheck })
        let times = world.servers[0].checks
        #expect(changes[0].at >= times[7] && changes[0].at < times[8], "with the eighth")
        #expect(changes[1].at >= times[13] && changes[1].at < times[14], "with the fourteenth: two in a row")
        world.finish()
    }

    @Test("a server that flaps stays what it is", arguments: [true, false])
    func flapping(isUp: Bool) {
        let world = world()
        world.servers[0].check = { $0 > 10 ? ($0 % 2 == 0 ? .answer() : .answer(500)) : isUp ? .answer() : .answer(500) }
        world.simulation.run(for: .seconds(20))
        #expect(world.stateChanges.map(\.to) == (isUp ? [] : [.failed]))
        #expect(world.shown(0).state == (isUp ? .up : .failed))
        world.finish()
    }

    @Test("no connection: refused, or no answer to the SYN", arguments: ["", "/health"], [true, false])
    func noConnection(path: String, refuses: Bool) {
        let world = world(path: path)
        if refuses {
            world.servers[0].host.stopListening(8_080)
        } else {
            world.links["server1"]!.up.isCut = true
        }
        world.simulation.run(for: .milliseconds(1_990))
        #expect(results(world) == [refuses ? .refused : .noConnection: 10])
        #expect(world.shown(0).state == .failed && world.shown(0).connects == 0 && world.shown(0).failures == 0)
        world.links["server1"]!.up.isCut = false
        world.finish()
    }

    @Test("a connection that opens late leaves less time for the answer")
    func oneTimeout() {
        let world = world { configuration in
            configuration.pools[0].health?.every = .seconds(1)
            configuration.pools[0].health?.timeout = .milliseconds(500)
        }
        var dropped = 0
        world.links["server1"]!.up.filter = { segment in
            // The first answer to each SYN is lost; our SYN is repeated after a third of the connect timeout.
            if segment.flags == [.syn, .ack] { dropped += 1 }
            return segment.flags != [.syn, .ack] || dropped % 2 == 0
        }
        world.servers[0].check = { _ in .answer().after(.milliseconds(250)) }
        world.simulation.run(for: .milliseconds(5_900))
        #expect(results(world) == [.timeout: 6])
        world.links["server1"]!.up.filter = nil
        world.finish()
    }

    @Test("an opened connection is enough where there is no path")
    func connectionOnly() {
        let world = world(path: "")
        world.simulation.run(for: .milliseconds(1_990))
        #expect(results(world) == [.good: 10] && world.servers[0].connectionsAccepted == 10 && world.servers[0].checks.isEmpty)
        world.finish()
        #expect(world.servers[0].host.resetsReceived == 0 && world.servers[0].host.endpoints.isEmpty)
    }

    @Test("checks go out at their interval, from our address and ports of the tunnel range", arguments: [Families.v4, .v6])
    func interval(families: Families) {
        let world = World(servers: 3, families: families) { configuration in
            configuration.pools[0].health = HealthConfiguration()
            configuration.pools[0].health?.path = [UInt8](text: "/")
        }
        world.simulation.run(for: .seconds(41))
        var first: [Instant] = []
        for server in world.servers {
            let times = server.checks
            #expect((20...21).contains(times.count))
            for (one, next) in zip(times, times.dropFirst()) { #expect(abs((next - one).nanoseconds - 2_000_000_000) < 3_000_000) }
            first.append(times[0])
            for peer in server.peers {
                #expect(world.dispatcher.configuration.sourceAddresses.contains(peer.address))
                #expect(Int(peer.port) >= world.dispatcher.configuration.ports.firstTunnelPort)
            }
        }
        #expect(first[1] - first[0] > .milliseconds(600) && first[2] - first[1] > .milliseconds(600), "not all at once")
        world.finish()
    }

    @Test("where servers are told whose a connection is, a check's is nobody's: its header says LOCAL")
    func proxyHeader() throws {
        let world = World(servers: 0, rawServers: 1) { configuration in
            var health = HealthConfiguration()
            health.path = [UInt8](text: "/health")
            configuration.pools[0].health = health
            configuration.pools[0].usesProxyProtocol = true
        }
        let server = world.rawServer()
        let syn = try #require(server.accept())
        #expect(!server.arrivals().isEmpty)
        let request = server.stream(from: syn.sequence &+ 1)
        #expect(request.starts(with: [UInt8](text: "\r\n\r\n\0\r\nQUIT\n") + [0x20, 0, 0, 0]))
        #expect(request.dropFirst(16).starts(with: [UInt8](text: "GET /health HTTP/1.1\r\n")))
        server.advance([.ack, .psh], CheckPlan.answer().bytes)
        server.run()
        #expect(results(world) == [.good: 1])
    }

    @Test("without a free port nothing is known of a server")
    func noPort() {
        let world = world { configuration in
            configuration.ports = PortPlan(first: 10_000, last: 10_000 + 5 * 16 * 256 - 1, layers: 5, servers: 16, connections: 256)
        }
        world.simulation.run(for: .milliseconds(1_990))
        #expect(results(world) == [.noPort: 10] && world.shown(0).state == .up)
        world.finish()
    }

    @Test("no checks of a server that is ordered down; one at once when it is ready again")
    func ordered() {
        let world = world { $0.pools[0].health?.every = .seconds(2) }
        world.simulation.run(for: .seconds(5))
        #expect(world.servers[0].checks.count == 3)
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .down))
        world.simulation.run(for: .seconds(20))
        #expect(world.servers[0].checks.count == 3 && world.dispatcher.snapshot.timers == 0)
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .ready))
        world.simulation.run(for: .milliseconds(5))
        #expect(world.servers[0].checks.count == 4)
        world.simulation.run(for: .milliseconds(4_100))
        #expect(world.servers[0].checks.count == 6)
        world.dispatcher.apply(.order(pool: 0, server: .server(0), .drain))
        world.simulation.run(for: .seconds(4))
        #expect(world.servers[0].checks.count == 8, "one that drains is checked")
        world.finish()
    }

    @Test("all servers fail: what waits, and what comes, is answered 503 at once; what is under way is finished")
    func allDown() {
        let world = world(2) { configuration in
            for index in 0..<2 { configuration.pools[0].servers[index].initialLimit = 1 }
        }
        let slow = (0..<2).map { _ in world.client([world.exchange(.get(), .length(100).after(.seconds(2)))]) }
        world.simulation.run(for: .milliseconds(50))
        let waiting = (0..<5).map { _ in
            let exchange = world.exchange()
            return world.client([exchange]) { $0.ownAnswers = [exchange.id: 503] }
        }
        world.simulation.run(for: .milliseconds(50))
        #expect(world.dispatcher.snapshot.pools[0].queueLength == 5)
        for server in world.servers { server.check = { _ in .answer(500) } }
        world.simulation.run(atMost: .seconds(2)) { world.stateChanges.count == 2 }
        world.simulation.run(for: .milliseconds(10))
        #expect(world.refused(.noServer) == 5 && waiting.allSatisfy { $0.ownStatuses == [503] })
        let exchange = world.exchange()
        let late = world.client([exchange]) { $0.ownAnswers = [exchange.id: 503] }
        world.simulation.run(for: .milliseconds(10))
        #expect(late.ownStatuses == [503] && world.refused(.noServer) == 6)
        world.simulation.run(for: .seconds(2))
        #expect(slow.allSatisfy { $0.outcome == .complete })
        for server in world.servers { server.check = { _ in .answer() } }
        world.simulation.run(for: .milliseconds(600))
        world.visitors(4, every: .milliseconds(5))
        world.finish()
        #expect(world.served == [3, 3])
    }

    @Test("a failed server gets nothing, the other everything, and it gets its part when it is well again")
    func oneFails() {
        let world = world(2)
        world.servers[0].check = { (4...12).contains($0) ? .silence : .answer() }
        let crowd = Crowd(world)
        crowd.come(50)
        world.simulation.run(for: .seconds(1) + .milliseconds(400))
        #expect(world.shown(0).state == .failed)
        let before = world.served
        world.simulation.run(for: .seconds(1))
        #expect(world.served[0] == before[0] && world.served[1] > before[1] + 20)
        world.simulation.run(for: .seconds(2))
        #expect(world.shown(0).state == .up && world.served[0] > before[0])
        crowd.end()
        #expect(crowd.refused.isEmpty)
        world.finish()
    }

    @Test("under loss: single checks fail, the server does not", arguments: [0.02, 0.05])
    func loss(part: Double) {
        var network = Impairments.clean(.milliseconds(1))
        network.loss = part
        let world = world(network: network) { configuration in
            configuration.pools[0].health?.every = .seconds(2)
            configuration.pools[0].health?.timeout = .seconds(1)
        }
        world.runLong()
        world.simulation.run(for: .seconds(1_000))
        let good = results(world)[.good, default: 0]
        #expect(good > 440 && world.stateChanges.isEmpty, "\(results(world))")
        world.finish()
    }

    @Test("what the server reports of itself moves the limit: into the band from either end", arguments: [1, 64])
    func reported(initial: Int) {
        let world = world { configuration in
            configuration.pools[0].control = .hold(.reported, low: 10, high: 20)
            configuration.pools[0].health?.reportHeader = [UInt8](text: "X-Load")
            configuration.pools[0].servers[0].initialLimit = initial
            configuration.pools[0].servers[0].maximumLimit = 64
        }
        world.runLong()
        let server = world.servers[0]
        server.check = { [unowned server] _ in .answer(200, [("x-load", "\(2 * server.active).5")]) }
        let crowd = Crowd(world)
        crowd.response = .length(100).after(.milliseconds(50))
        crowd.ask(70)
        world.simulation.run(for: .seconds(20))
        let settled = world.shown(0).limit
        #expect((4...10).contains(settled), "\(world.limitChanges.map(\.to))")
        #expect(world.shown(0).performance?.reported.map { $0 >= 9 && $0 <= 21 } == true)
        // One word is heard once: from the top the limit does not fall through the band.
        #expect(world.limitChanges.allSatisfy { $0.to >= min(initial, 4) }, "\(world.limitChanges.map(\.to))")
        let changes = world.limitChanges.count
        world.simulation.run(for: .seconds(10))
        #expect(world.limitChanges.count == changes, "it stays")
        crowd.end()
        #expect(world.shown(0).reportsInvalid == 0)
        world.finish()
    }

    @Test(
        "a report that is no number is counted, and moves nothing",
        arguments: ["", "much", "-5", "1e3", "1.2.3", "0x10", "123456789012345678901"])
    func invalidReport(text: String) {
        let world = world { configuration in
            configuration.pools[0].control = .hold(.reported, low: 10, high: 20)
            configuration.pools[0].health?.reportHeader = [UInt8](text: "X-Load")
        }
        world.servers[0].check = { _ in .answer(200, [("X-Load", text)]) }
        let crowd = Crowd(world)
        crowd.response = .length(100).after(.milliseconds(20))
        crowd.ask(2)
        world.simulation.run(for: .milliseconds(1_990))
        #expect(world.shown(0).reportsInvalid == 10 && results(world) == [.good: 10] && world.limitChanges.isEmpty)
        crowd.end()
        world.finish()
    }

    @Test("what the server reports moves the number of its tunnels")
    func tunnels() {
        let world = world { configuration in
            configuration.pools[0].tunnels = 4
            configuration.pools[0].mostTunnels = 100
            configuration.pools[0].tunnelControl = .hold(.reported, low: 10, high: 20)
            configuration.pools[0].health?.reportHeader = [UInt8](text: "X-Load")
        }
        var load = 15
        world.servers[0].check = { _ in .answer(200, [("X-Load", "\(load)")]) }
        var switching = ResponsePlan()
        (switching.status, switching.framing) = (101, .switching)
        func open(_ count: Int) {
            for _ in 0..<count {
                world.client([world.exchange(.upgrade(up: 10, down: 10), switching)]) {
                    ($0.ending, $0.acceptsErrors, $0.mayFail) = (.stay, [503], true)
                }
            }
        }
        open(6)
        world.simulation.run(for: .seconds(1))
        #expect(world.shown(0).tunnels == 4 && world.refused(.tunnelLimit) == 2 && world.tunnelLimitChanges.isEmpty)
        load = 2
        world.simulation.run(for: .seconds(1))
        #expect(world.shown(0).tunnelLimit > 4 && world.tunnelLimitChanges.allSatisfy { $0.reason == .below })
        let raised = world.shown(0).tunnelLimit
        #expect(raised == 5, "and no farther while there are not so many")
        open(1)
        world.simulation.run(for: .milliseconds(100))
        #expect(world.shown(0).tunnels == 5)
        load = 50
        world.simulation.run(for: .seconds(1))
        #expect(world.shown(0).tunnelLimit < 5 && world.shown(0).tunnels == 5, "tunnels that are there stay")
        #expect(world.tunnelLimitChanges.last?.reason == .above)
        for client in world.clients where client.isInTunnel { client.endpoint.close() }
        world.finish(expectComplete: false)
    }

    @Test("a stop ends the checks")
    func stop() {
        let world = world()
        world.simulation.run(for: .seconds(1))
        world.dispatcher.apply(.stop)
        let count = world.servers[0].checks.count
        world.simulation.run(for: .seconds(5))
        #expect(world.servers[0].checks.count == count && world.dispatcher.snapshot.timers == 0)
        world.finish()
    }
}
