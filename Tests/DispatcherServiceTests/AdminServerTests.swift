import DispatcherCore
import Foundation
import Glibc
import Logging
import Testing

@testable import DispatcherService
@testable import PacketIO

/// The service's threads around the real engine, with capture files for interfaces and socket pairs for raw sockets: no root.
private final class RunningService {
    let directory: TemporaryDirectory
    let mailbox = Mailbox()
    let packets: PacketThreads
    let server: AdminServer
    let reloader: Reloader
    private let peers: [Int32]

    init(limit: Int = 8) throws {
        directory = try TemporaryDirectory()
        try Data(TestConfigurations.least.utf8).write(to: URL(fileURLWithPath: directory.path + "/c.yaml"))
        let prepared = try PreparedService(file: directory.path + "/c.yaml", filterDirectory: nil, executable: "/usr/bin/sluice-dispatcher")
        let configuration = prepared.configuration
        let path = directory.path + "/empty.pcap"
        try CaptureFileWriter(path: path).flush()
        let interface = NetworkInterface(name: "x0", mtu: 1_500, hardwareAddress: HardwareAddress(bits: 1))
        var pairs: [Int32] = [0, 0, 0, 0]
        precondition(socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &pairs) == 0)
        precondition(pairs.withUnsafeMutableBufferPointer { socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, $0.baseAddress! + 2) } == 0)
        peers = [pairs[1], pairs[3]]
        let relay = RecordRelay(capacity: 64)
        let loop = PollLoop(
            engine: Dispatcher(configuration: configuration.engineConfiguration(client: interface, server: interface), seed: 1),
            sink: RawTransmitter(clientSocket: pairs[0], serverSocket: pairs[2], areAddressed: false), client: try Capture(file: path),
            server: nil, responder: configuration.responder(client: interface, server: interface), mailbox: mailbox, records: relay)
        packets = PacketThreads(mailboxes: Mailboxes([mailbox]))
        let format = AccessLogFormat(configuration: configuration, host: "h", process: "p[1]")
        let host = HostCheck(
            clientInterface: interface, serverInterface: interface, kernelAddresses: [], forwards: .init(), localPorts: nil, ports: [])
        let reloader = Reloader(
            prepared, host: host, mailboxes: Mailboxes([mailbox]),
            records: RecordThread(relay: relay, format: format, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        self.reloader = reloader
        let answers = AdminAnswers(
            configuration: { reloader.configuration }, durations: { PhaseHistograms() }, unwrittenLogLines: { 3 })
        server = try AdminServer(
            listener: AdminListener(Endpoint(address: IPAddress(v4: 0x7F00_0001), port: 0)), answers: answers,
            mailboxes: Mailboxes([mailbox]),
            reloader: reloader)
        try packets.start(.raw(loop))
    }

    deinit {
        mailbox.post(.quit)
        _ = packets.waitForEnd(milliseconds: 5_000)
        server.stop()
        for peer in peers { close(peer) }
    }

    /// The configuration file from now on.
    func write(_ yaml: String) throws { try Data(yaml.utf8).write(to: URL(fileURLWithPath: directory.path + "/c.yaml")) }

    /// Sends a request as it stands and reads until the other end closes.
    func ask(_ method: String, _ target: String, body: String = "") throws -> (status: Int, head: String, body: String) {
        let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(connection) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(server.port!).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(connection, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
        }
        try #require(status == 0)
        let request = Array(
            "\(method) \(target) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
        _ = send(connection, request, request.count, 0)
        var answer: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(connection, &chunk, chunk.count, 0)
            if count <= 0 { break }
            answer += chunk[..<count]
        }
        let text = String(decoding: answer, as: UTF8.self)
        let parts = try #require(text.range(of: "\r\n\r\n"))
        let head = String(text[..<parts.lowerBound])
        return (Int(head.split(separator: " ")[1])!, head, String(text[parts.upperBound...]))
    }
}

@Suite(.serialized) struct AdminServerTests {
    @Test func answersFromTheRunningEngine() throws {
        let service = try RunningService()
        let health = try service.ask("GET", "/healthz")
        #expect(health.status == 200 && health.body == "ok\n")
        let metrics = try service.ask("GET", "/metrics")
        #expect(metrics.head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"))
        #expect(metrics.body.contains("sluice_server_limit{pool=\"web\",server=\"10.77.2.11:8080\"} 8\n"))
        let status = try service.ask("GET", "/status.json")
        #expect(status.body.contains("\"unwrittenLogLines\" : 3"))
        #expect(try service.ask("HEAD", "/metrics").body.isEmpty)
    }

    @Test func aLimitIsSetAndKeptWithinItsBounds() throws {
        let service = try RunningService()
        let path = "/pools/web/servers/10.77.2.11:8080"
        let set = try service.ask("POST", path, body: "{\"limit\": 5}")
        #expect(set.status == 200 && set.body == "{\"limit\":5,\"state\":\"up\",\"weight\":1}\n")
        #expect(try service.ask("GET", "/metrics").body.contains("sluice_server_limit{pool=\"web\",server=\"10.77.2.11:8080\"} 5\n"))
        #expect(try service.ask("POST", path, body: "{\"limit\": 9999}").body == "{\"limit\":256,\"state\":\"up\",\"weight\":1}\n")
    }

    @Test func anotherConfigurationIsTakenWholeOrNotAtAll() throws {
        let service = try RunningService()
        let third = TestConfigurations.least.replacingOccurrences(of: "10.77.2.12", with: "10.77.2.13")
        try service.write(third + "\n        weight: 4")
        #expect(
            service.reloader.reload()
                == .loaded("1 pools with 2 servers; new servers: web/10.77.2.13:8080; removed servers: web/10.77.2.12:8080"))
        let metrics = try service.ask("GET", "/metrics").body
        #expect(metrics.contains("sluice_server_weight{pool=\"web\",server=\"10.77.2.13:8080\"} 4\n"))
        #expect(!metrics.contains("10.77.2.12"))
        #expect(try service.ask("POST", "/pools/web/servers/10.77.2.13:8080", body: "{\"limit\": 5}").status == 200)
        #expect(try service.ask("POST", "/pools/web/servers/10.77.2.12:8080", body: "{\"limit\": 5}").status == 404)

        try service.write(third.replacingOccurrences(of: "be0", with: "be1") + "\n        weight: 9")
        #expect(service.reloader.reload() == .refused("only a restart changes server-side.interface (be0 now, be1 in the file)"))
        try service.write("user: [")
        let reason = try #require(Self.refusal(service.reloader.reload()))
        #expect(reason.contains("c.yaml"))
        try service.write(third + "\nlog: { access: /nowhere/access.log }")
        let log = try #require(Self.refusal(service.reloader.reload()))
        #expect(log.hasPrefix("log.access: cannot open /nowhere/access.log"))
        let many = (20..<40).map { "\n      - address: 10.77.2.\($0):8080" }.joined()
        try service.write(third + many)
        let places = try #require(Self.refusal(service.reloader.reload()))
        #expect(places.contains("server-side.servers"))
        #expect(try service.ask("GET", "/metrics").body.contains("sluice_server_weight{pool=\"web\",server=\"10.77.2.13:8080\"} 4\n"))
        #expect(service.reloader.configuration.pools[0].servers[1].weight == 4)
    }

    private static func refusal(_ outcome: ReloadOutcome) -> String? {
        guard case .refused(let reason) = outcome else { return nil }
        return reason
    }

    @Test func aReloadIsAskedForAndAnswered() throws {
        let service = try RunningService()
        let supervisor = Thread { [reloader = service.reloader] in
            for outcome in [ReloadOutcome.loaded("all"), .refused("no")] {
                var asking: [@Sendable (ReloadOutcome) -> Void] = []
                for _ in 0..<500 where asking.isEmpty {
                    var descriptor = pollfd(fd: reloader.descriptor, events: Int16(POLLIN), revents: 0)
                    if poll(&descriptor, 1, 10) > 0 { asking = reloader.takeRequests() }
                }
                for tell in asking { tell(outcome) }
            }
        }
        supervisor.start()
        let good = try service.ask("POST", "/reload")
        #expect(good.status == 200 && good.body == "{\"loaded\":\"all\"}\n")
        let bad = try service.ask("POST", "/reload")
        #expect(bad.status == 409 && bad.body == "{\"error\":\"no\"}\n")
    }

    @Test func refusalsHaveTheirStatus() throws {
        let service = try RunningService()
        #expect(try service.ask("GET", "/nothing").status == 404)
        let method = try service.ask("DELETE", "/metrics")
        #expect(method.status == 405 && method.head.contains("Allow: GET"))
        #expect(try service.ask("POST", "/pools/web/servers/10.77.2.11:8080", body: "{").status == 400)
        let long = String(repeating: "x", count: 5_000)
        #expect(try service.ask("POST", "/pools/web/servers/10.77.2.11:8080", body: long).status == 413)
    }

    @Test func aStoppedPacketThreadIsSaid() throws {
        let service = try RunningService()
        service.mailbox.post(.quit)
        #expect(service.packets.waitForEnd(milliseconds: 5_000))
        #expect(service.packets.state == .stopped)
        #expect(service.packets.report() == nil)
        let health = try service.ask("GET", "/healthz")
        #expect(health.status == 503 && health.body == "{\"error\":\"the packet thread does not answer\"}\n")
    }

    @Test func theEngineIsDrainedAfterStop() throws {
        let service = try RunningService()
        service.mailbox.post(.command(.stop))
        let report = try #require(service.packets.report())
        #expect(report.isDrained && report.snapshot.isStopping)
    }

    @Test func anAddressThatCannotBeHadIsNamed() throws {
        let error = #expect(throws: ServiceError.self) { _ = try AdminListener(Endpoint(address: IPAddress("203.0.113.1")!, port: 9_900)) }
        #expect(error?.description.hasPrefix("admin.listen: cannot listen at 203.0.113.1:9900: ") == true)
    }
}
