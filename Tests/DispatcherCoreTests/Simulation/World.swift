import DispatcherCore
import Testing

/// A whole simulated network: clients, the dispatcher, servers, and a link in each direction for each host.
final class World {
    static let service = Endpoint(address: IPAddress("10.77.1.100")!, port: 80)
    static let sourceAddress = IPAddress("10.77.2.200")!

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
    private var nextClient = 0

    static func serverEndpoint(_ index: Int) -> Endpoint { Endpoint(address: IPAddress(v4: 0x0A4D_020B + UInt32(index)), port: 8_080) }

    /// - Parameters:
    ///   - servers: back-end servers, each simulated; 0 = the test adds raw ones.
    ///   - configure: changes to the configuration before the engine starts.
    init(
        seed: UInt64 = SimulationSeed.one, servers: Int = 1, rawServers: Int = 0, client: Impairments = .clean(),
        server: Impairments = .clean(),
        serverOptions: TestTCPOptions = TestTCPOptions(), configure: (inout EngineConfiguration) -> Void = { _ in }
    ) {
        simulation = Simulation(seed: seed)
        clientImpairments = client
        serverImpairments = server
        var configuration = EngineConfiguration()
        configuration.sourceAddress = Self.sourceAddress
        configuration.services = [ServiceConfiguration(name: "web", listen: [Self.service], routes: [RouteConfiguration(pool: 0)])]
        configuration.pools = [
            PoolConfiguration(
                name: "pool", servers: (0..<servers + rawServers).map { ServerConfiguration(endpoint: Self.serverEndpoint($0)) })
        ]
        configure(&configuration)
        dispatcher = SimulatedDispatcher(simulation, configuration: configuration)
        for index in 0..<servers {
            let host = addHost("server\(index + 1)", Self.serverEndpoint(index).address, side: .server, impairments: server)
            let simulated = SimulatedServer(host, port: 8_080, book: book, options: serverOptions)
            simulated.limit = configuration.pools[0].servers[index].initialLimit
            simulated.tailCustody = configuration.tcp.tailCustody
            self.servers.append(simulated)
        }
        dispatcher.onServerReset = { [unowned self] server, ours in
            self.servers.first { $0.host.address == server.address }?.dispatcherReset(ours)
        }
        for index in servers..<servers + rawServers {
            _ = addHost("raw-server\(index + 1)", Self.serverEndpoint(index).address, side: .server, impairments: server)
        }
    }

    deinit {
        // Events that are still to come hold on to what they concern.
        simulation.end()
        dispatcher.addToCoverage()
    }

    func addHost(_ name: String, _ address: IPAddress, side: Side, impairments: Impairments, mtu: Int = 1_500) -> TestHost {
        let gateway = side == .client ? SimulatedDispatcher.clientSideHardware : SimulatedDispatcher.serverSideHardware
        let hardware = HardwareAddress(bits: 0x02_00_00_00_00_00 | UInt64(address.v4))
        let host = TestHost(simulation, name: name, address: address, hardware: hardware, gateway: gateway, mtu: mtu)
        host.isStrict = isStrict
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

    func nextClientHost(mtu: Int = 1_500, impairments: Impairments? = nil) -> TestHost {
        nextClient += 1
        return addHost(
            "client\(nextClient)", IPAddress(v4: 0x0A4D_1000 + UInt32(nextClient)), side: .client,
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
        let client = SimulatedClient(host, port: port, to: Self.service, script: script, options: options)
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
        simulation.run(for: settle)
        dispatcher.drainRecords()
        let snapshot = dispatcher.snapshot
        dispatcher.checker.checkAccounts(snapshot.counters)
        if quiescent { dispatcher.checker.checkQuiescence(snapshot) }
        report(sourceLocation)
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
