import DispatcherCore
import Testing

/// Which IP versions the two sides of a run speak.
struct Families: CustomStringConvertible {
    /// With `both`, hosts take turns, IPv4 first.
    enum Mix: CaseIterable {
        case v4, v6, both

        func isIPv4(_ index: Int) -> Bool { self == .v4 || self == .both && index % 2 == 0 }
        func pick<Value>(v4: Value, v6: Value) -> [Value] { (self == .v6 ? [] : [v4]) + (self == .v4 ? [] : [v6]) }
    }

    var clients = Mix.v4
    var servers = Mix.v4

    static let v4 = Families()
    static let v6 = Families(clients: .v6, servers: .v6)
    /// Every pair in which IPv6 has a part.
    static let withIPv6 = Mix.allCases.flatMap { clients in Mix.allCases.map { Families(clients: clients, servers: $0) } }.dropFirst()

    /// What a seed says: in a third of all runs IPv4 alone. It has its own random numbers, so that it changes nothing else of a run.
    static func random(seed: UInt64) -> Families {
        var random = SimulationRandom(seed: seed).fork("families")
        if random.chance(0.33) { return .v4 }
        return Families(clients: Mix.allCases[random.below(3)], servers: Mix.allCases[random.below(3)])
    }

    var description: String { "clients \(clients), servers \(servers)" }
}

/// A whole simulated network: clients, the dispatcher, servers, and a link in each direction for each host.
final class World {
    static let service = Endpoint(address: IPAddress("10.77.1.100")!, port: 80)
    static let sourceAddress = IPAddress("10.77.2.200")!
    static let serviceIPv6 = Endpoint(address: IPAddress("fd77:1::100")!, port: 80)
    static let sourceAddressIPv6 = IPAddress("fd77:2::200")!

    static func service(isIPv4: Bool) -> Endpoint { isIPv4 ? service : serviceIPv6 }

    let simulation: Simulation
    let book = ExchangeBook()
    let dispatcher: SimulatedDispatcher
    let clientImpairments: Impairments
    let serverImpairments: Impairments
    private(set) var clients: [SimulatedClient] = []
    private(set) var servers: [SimulatedServer] = []
    private(set) var hosts: [TestHost] = []
    /// The links of a host: away from it and toward it.
    private(set) var links: [String: (up: SimulatedLink, down: SimulatedLink)] = [:]
    /// Off where segments are changed undetectably.
    var isStrict = true { didSet { for host in hosts { host.isStrict = isStrict } } }
    /// Off where ends send options, or bits of ECN, that no end of the simulation does.
    var readsStrictly = true {
        didSet {
            dispatcher.readsStrictly = readsStrictly
            for host in hosts { host.readsStrictly = readsStrictly }
        }
    }
    let families: Families
    private var nextClient = 0

    static func serverEndpoint(_ index: Int, _ mix: Families.Mix = .v4) -> Endpoint {
        let four = IPAddress(v4: 0x0A4D_020B + UInt32(index))
        return Endpoint(
            address: mix.isIPv4(index) ? four : IPAddress(high: 0xFD77_0002_0000_0000, low: 0x11 + UInt64(index)), port: 8_080)
    }

    /// Of a server of this network, in its family.
    func endpoint(_ index: Int) -> Endpoint { Self.serverEndpoint(index, families.servers) }

    /// - Parameters:
    ///   - servers: back-end servers, each simulated; 0 = the test adds raw ones.
    ///   - families: the IP versions of clients and servers.
    ///   - shards: how many engines share the work; `SLUICE_SHARDS` in the environment says so for all.
    ///   - configure: changes to the configuration before the engine starts.
    init(
        seed: UInt64 = SimulationSeed.one, servers: Int = 1, rawServers: Int = 0, client: Impairments = .clean(),
        server: Impairments = .clean(),
        serverOptions: TestTCPOptions = TestTCPOptions(), families: Families = .v4, shards: Int = 1,
        configure: (inout EngineConfiguration) -> Void = { _ in }
    ) {
        simulation = Simulation(seed: seed)
        self.families = families
        clientImpairments = client
        serverImpairments = server
        var configuration = EngineConfiguration()
        configuration.sourceAddresses = families.servers.pick(v4: Self.sourceAddress, v6: Self.sourceAddressIPv6)
        let listen = families.clients.pick(v4: Self.service, v6: Self.serviceIPv6)
        configuration.services = [ServiceConfiguration(name: "web", listen: listen, routes: [RouteConfiguration(pool: 0)])]
        configuration.pools = [
            PoolConfiguration(
                name: "pool",
                servers: (0..<servers + rawServers).map { ServerConfiguration(endpoint: Self.serverEndpoint($0, families.servers)) })
        ]
        configure(&configuration)
        dispatcher = SimulatedDispatcher(
            simulation, configuration: configuration, shards: SimulationSeed.number("SLUICE_SHARDS").map(Int.init) ?? shards)
        for index in 0..<servers {
            let host = addHost(
                "server\(index + 1)", Self.serverEndpoint(index, families.servers).address, side: .server, impairments: server)
            let simulated = SimulatedServer(host, port: 8_080, book: book, options: serverOptions)
            let settings = configuration.pools.lazy.flatMap(\.servers).first { $0.endpoint.address == host.address }
            simulated.limit = settings?.initialLimit
            simulated.tailCustody = configuration.tcp.tailCustody
            if configuration.tcp.initialWindow == .clamped {
                // Ten segments, up to what a scaled window can say.
                simulated.firstFlight = 10 * (configuration.tcp.serverMSS ?? configuration.clientSideMTU - 40) + 127
            }
            self.servers.append(simulated)
        }
        dispatcher.onServerReset = { [unowned self] server, ours in
            self.servers.first { $0.host.address == server.address }?.dispatcherReset(ours)
        }
        for index in servers..<servers + rawServers {
            _ = addHost("raw-server\(index + 1)", Self.serverEndpoint(index, families.servers).address, side: .server, impairments: server)
        }
    }

    deinit {
        // Events that are still to come hold on to what they concern.
        simulation.end()
        dispatcher.addToCoverage()
    }

    func addHost(_ name: String, _ address: IPAddress, side: Side, impairments: Impairments, mtu: Int = 1_500) -> TestHost {
        let gateway = side == .client ? SimulatedDispatcher.clientSideHardware : SimulatedDispatcher.serverSideHardware
        let hardware = HardwareAddress(bits: (address.isIPv4 ? 0x02_00_00_00_00_00 : 0x06_00_00_00_00_00) | UInt64(address.v4))
        let host = TestHost(simulation, name: name, address: address, hardware: hardware, gateway: gateway, mtu: mtu)
        (host.isStrict, host.readsStrictly) = (isStrict, readsStrictly)
        let up = SimulatedLink(simulation, name: "\(name) up", impairments: impairments)
        var downward = impairments
        // What only a receiving kernel does; these hosts are strict about sizes and sums.
        (downward.partialChecksums, downward.merging) = (0, 0)
        let down = SimulatedLink(simulation, name: "\(name) down", impairments: downward)
        host.transmit = { [unowned up] in up.send($0) }
        up.deliver = { [unowned self] in dispatcher.receive($0, on: side) }
        down.deliver = { [unowned host] in host.receive($0) }
        dispatcher.attach(address, to: SimulatedDispatcher.Port(side: side, hardware: hardware, link: down))
        links[name] = (up, down)
        hosts.append(host)
        return host
    }

    func host(_ name: String) -> TestHost { hosts.first { $0.name == name }! }

    /// - Parameter isIPv4: nil = its turn decides.
    func nextClientHost(mtu: Int = 1_500, impairments: Impairments? = nil, isIPv4: Bool? = nil) -> TestHost {
        let isIPv4 = isIPv4 ?? families.clients.isIPv4(nextClient)
        nextClient += 1
        // Each client has a /64 of its own, as it would have in the world.
        let six = IPAddress(high: 0xFD77_0001_0000_0000 | UInt64(nextClient), low: 0x1000 | UInt64(nextClient))
        return addHost(
            "client\(nextClient)", isIPv4 ? IPAddress(v4: 0x0A4D_1000 + UInt32(nextClient)) : six, side: .client,
            impairments: impairments ?? clientImpairments, mtu: mtu)
    }

    /// A client with one exchange or several.
    @discardableResult
    func client(
        _ exchanges: [Exchange], options: TestTCPOptions = TestTCPOptions(), mtu: Int = 1_500, impairments: Impairments? = nil,
        script change: (inout ClientScript) -> Void = { _ in }
    ) -> SimulatedClient {
        var script = ClientScript()
        script.exchanges = exchanges
        change(&script)
        return client(on: nextClientHost(mtu: mtu, impairments: impairments), port: nextPort, script: script, options: options)
    }

    var nextPort: UInt16 { UInt16(30_000 + clients.count % 20_000) }

    /// One more connection of a client's host.
    func client(on host: TestHost, port: UInt16, script: ClientScript, options: TestTCPOptions) -> SimulatedClient {
        let client = SimulatedClient(host, port: port, to: Self.service(isIPv4: host.address.isIPv4), script: script, options: options)
        clients.append(client)
        return client
    }

    func exchange(_ request: RequestPlan = .get(), _ response: ResponsePlan = .length(100)) -> Exchange { book.add(request, response) }

    /// Runs until every client has finished.
    @discardableResult
    func runClients(atMost limit: Interval = .seconds(120)) -> Bool {
        simulation.run(atMost: limit) { clients.allSatisfy(\.isFinished) }
    }

    /// Lets everything come to rest and checks all invariants; failures name the seed.
    /// - Parameter expectComplete: every client must have had all its answers.
    func finish(
        expectComplete: Bool = true, atMost limit: Interval = .seconds(600), settle: Interval = .seconds(200), quiescent: Bool = true,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        runClients(atMost: limit)
        if expectComplete {
            for client in clients where client.outcome != .complete {
                simulation.violation(
                    "\(client.host.name): \(client.outcome) after \(client.answered) of \(client.script.exchanges.count) answers")
            }
        }
        if quiescent { endChecks() }
        simulation.run(for: settle)
        dispatcher.drainRecords()
        let snapshot = dispatcher.snapshot
        dispatcher.checker.checkAccounts(snapshot.counters)
        if quiescent { dispatcher.checker.checkQuiescence(snapshot) }
        report(sourceLocation)
    }

    /// Health checks never rest, but those of servers that are down.
    private func endChecks() {
        for (index, pool) in dispatcher.configuration.pools.enumerated() where pool.health != nil {
            for server in pool.servers { dispatcher.apply(.order(pool: index, server: server.endpoint, .down)) }
        }
    }

    func report(_ sourceLocation: SourceLocation = #_sourceLocation) {
        guard !simulation.violations.isEmpty else { return }
        Failure.record(simulation, capture: dispatcher.capture, sourceLocation)
    }
}

/// How a failed run is shown: its seed, what was wrong, and where its capture went.
enum Failure {
    static func record(_ simulation: Simulation, capture: CaptureFile?, _ sourceLocation: SourceLocation) {
        var text = "SLUICE_SEED=\(simulation.seed)\n" + simulation.violations.joined(separator: "\n")
        if let capture, let path = CaptureFile.save(capture, seed: simulation.seed) { text += "\ncapture: \(path)" }
        Issue.record(Comment(rawValue: text), sourceLocation: sourceLocation)
    }
}

extension Endpoint {
    /// The back-end server with a number, over IPv4.
    static func server(_ index: Int) -> Endpoint { World.serverEndpoint(index) }

    /// The number of a back-end server.
    var serverIndex: Int { address.isIPv4 ? Int(address.v4) - 0x0A4D_020B : Int(address.low) - 0x11 }
}
