import DispatcherCore
import Testing

/// Clients and one server without a dispatcher between them: the proof that links, endpoints, clients and servers are right by themselves.
final class DirectNetwork {
    let simulation: Simulation
    let book = ExchangeBook()
    let server: SimulatedServer
    private(set) var clients: [SimulatedClient] = []
    private(set) var capture = CaptureFile()
    private let serverHost: TestHost
    private let impairments: Impairments
    private let service: Endpoint
    private var hosts: [IPAddress: TestHost] = [:]
    private var links: [IPAddress: SimulatedLink] = [:]
    private(set) var allLinks: [SimulatedLink] = []

    init(
        seed: UInt64 = SimulationSeed.one, impairments: Impairments = .clean(), serverOptions: TestTCPOptions = TestTCPOptions(),
        isIPv4: Bool = true
    ) {
        service = World.service(isIPv4: isIPv4)
        simulation = Simulation(seed: seed)
        self.impairments = impairments
        serverHost = TestHost(
            simulation, name: "server", address: service.address, hardware: HardwareAddress(bits: 0x02_00_00_00_00_01), gateway: .none)
        server = SimulatedServer(serverHost, port: 80, book: book, options: serverOptions)
        server.expectsDispatcher = false
        server.allowsPipelining = true
        serverHost.transmit = { [unowned self] frame in
            // The one frame that names its receiver by IP only: the server's gateway is "none".
            guard let segment = try? TestSegment(frame: frame), let host = hosts[segment.destination.address] else { return }
            var frame = frame
            for index in 0..<6 { frame[index] = UInt8(host.hardware.bits >> UInt64(40 - 8 * index) & 255) }
            links[host.address]!.send(frame)
        }
    }

    func exchange(_ request: RequestPlan = .get(), _ response: ResponsePlan = .length(100)) -> Exchange { book.add(request, response) }

    @discardableResult
    func client(_ exchanges: [Exchange], options: TestTCPOptions = TestTCPOptions(), script change: (inout ClientScript) -> Void = { _ in })
        -> SimulatedClient
    {
        let number = clients.count + 1
        let six = IPAddress(high: 0xFD77_0001_0000_0000, low: 0x10 + UInt64(number))
        let host = TestHost(
            simulation, name: "client\(number)", address: service.address.isIPv4 ? IPAddress(v4: 0x0A4D_010A + UInt32(number)) : six,
            hardware: HardwareAddress(bits: 0x02_00_00_01_00_00 + UInt64(number)), gateway: serverHost.hardware)
        let up = SimulatedLink(simulation, name: "client\(number) up", impairments: impairments)
        let down = SimulatedLink(simulation, name: "client\(number) down", impairments: impairments)
        up.deliver = { [unowned self] frame in
            capture.append(frame.bytes, at: simulation.now)
            lenient(frame, serverHost)
        }
        down.deliver = { [unowned self] frame in
            capture.append(frame.bytes, at: simulation.now)
            lenient(frame, host)
        }
        host.transmit = { [unowned up] in up.send($0) }
        hosts[host.address] = host
        links[host.address] = down
        allLinks += [up, down]
        var script = ClientScript()
        script.exchanges = exchanges
        change(&script)
        let client = SimulatedClient(host, port: 30_000, to: service, script: script, options: options)
        clients.append(client)
        return client
    }

    /// Merged segments are larger than any MTU: a host takes them from its own device.
    private func lenient(_ frame: SimulatedFrame, _ host: TestHost) {
        for piece in SegmentMerger.split(frame.bytes, payload: 1_500 - host.headers) {
            host.receive(SimulatedFrame(bytes: piece, damage: frame.damage))
        }
    }

    func run(atMost limit: Interval = .seconds(600), expectComplete: Bool = true, sourceLocation: SourceLocation = #_sourceLocation) {
        simulation.run(atMost: limit) { clients.allSatisfy(\.isFinished) }
        if expectComplete {
            for client in clients where client.outcome != .complete {
                simulation.violation("\(client.host.name): \(client.outcome) after \(client.answered) answers")
            }
        }
        simulation.run(for: .seconds(200))
        if !simulation.isIdle { simulation.violation("events are left when all is over") }
        if !simulation.violations.isEmpty { Failure.record(simulation, capture: capture, sourceLocation) }
    }

    var statistics: SimulatedLink.Statistics {
        var sum = SimulatedLink.Statistics()
        for link in allLinks {
            let one = link.statistics
            sum.sent += one.sent
            sum.delivered += one.delivered
            sum.lost += one.lost
            sum.duplicated += one.duplicated
            sum.reordered += one.reordered
            sum.corrupted += one.corrupted
            sum.merged += one.merged
            sum.split += one.split
            sum.overflowed += one.overflowed
        }
        return sum
    }
}
