import Foundation
import Lab
import NIOCore
import NIOPosix
import PushProtocol
import PushStore
import Synchronization
import Testing

@testable import PushService

/// A device's socket for wake-up datagrams, on loopback.
private final class WakeUpListener: ChannelInboundHandler, Sendable {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    private let texts = Mutex<[String]>([])

    var all: [String] { texts.withLock { $0 } }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let text = String(buffer: unwrapInboundIn(data).data)
        texts.withLock { $0.append(text) }
    }

    static func with(host: String = "127.0.0.1", _ body: (WakeUpListener, Int) async throws -> Void) async throws {
        let listener = WakeUpListener()
        let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { $0.pipeline.addHandler(listener) }
            .bind(host: host, port: 0).get()
        do {
            try await body(listener, try #require(channel.localAddress?.port))
        } catch {
            try await channel.close()
            throw error
        }
        try await channel.close()
    }
}

@Suite("Push: devices that sleep")
struct WakeUpTests {
    /// NS-WakeUp on loopback, and its base URL.
    private func withWakeUp(
        networks: [String] = ["127.0.0.0/8", "::1"], loopback: Bool = true, _ body: (PushWorker, String) async throws -> Void
    ) async throws {
        try await WorkerHarness.with(configure: { configuration in
            configuration.roles = [.wakeUp]
            configuration.dataDirectory = "/nonexistent"
            configuration.wakeUpPort = 0
            configuration.wakeUpNetworks = networks.compactMap { IPNetwork($0) }
            configuration.wakesLoopback = loopback
        }) { harness in
            try await body(harness.worker, "http://127.0.0.1:\(try #require(harness.worker.wakeUpPort))")
        }
    }

    private func operators(_ servers: String..., packet: Operator.Packet = .udp) -> OperatorTable {
        var one = Operator(
            name: "test", network: MobileNetwork(mcc: "214", mnc: "07"),
            networks: [IPNetwork("127.0.0.0/8"), IPNetwork("::1")].compactMap { $0 }, wakeUpServers: servers)
        one.packet = packet
        return OperatorTable([one])
    }

    private func registration(_ token: String, ip: String = "127.0.0.1", port: Int, mnc: String = "07") -> String {
        #"{"messageType":"registerUA","data":{"uatoken":"\#(token)","interface":{"ip":"\#(ip)","port":\#(port)},"#
            + #""mobilenetwork":{"mcc":"214","mnc":"\#(mnc)"}}}"#
    }

    @Test("A device that can be woken: pushMode udp, 4774 when nothing passes, a datagram when there is a message, confirmed when it comes")
    func wholeWay() async throws {
        try await withWakeUp { wakeUp, server in
            try await WakeUpListener.with { listener, port in
                try await WorkerHarness.with(configure: { configuration in
                    configuration.operators = operators(server)
                    configuration.sleepAfter = .seconds(3)
                }) { harness in
                    let token = try await harness.token()
                    let device = try await harness.connect()
                    let answer = try await device.ask(registration(token, port: port))
                    #expect(answer["pushMode"] == "udp" && answer["statusCode"] == 200)
                    let url = try await device.registerApplication("w")
                    try await device.expectClose(4774)
                    #expect(listener.all == [])
                    let messageID = try await harness.push("wake up", to: url)
                    try await eventually { !listener.all.isEmpty }
                    #expect(listener.all == [#"NOTIFY {"ip":"127.0.0.1","port":"\#(port)","proto":"udp"}"#])
                    let again = try await harness.connect()
                    _ = try await again.ask(registration(token, port: port))
                    let notification = try await again.notification()
                    #expect(notification.messageID == messageID)
                    again.acknowledge(notification.messageID)
                    try await again.expectClose(4774)
                    try await Task.sleep(for: .milliseconds(200))
                    #expect(listener.all.count == 1, "nothing is pending any more")
                    let counters = harness.worker.counters
                    #expect(counters[.socketsClosedAsleep] == 2 && counters[.wakeUpsRequested] == 1)
                    #expect(counters[.wakeUpsCalled] == 1 && counters[.devicesWoken] == 1)
                    #expect(wakeUp.counters[.wakeUpPacketsSent] == 1)
                }
            }
        }
    }

    @Test("Messages and commands keep the socket; pings, ours and theirs, do not")
    func traffic() async throws {
        try await WorkerHarness.with(configure: { configuration in
            configuration.operators = operators("http://127.0.0.1:9")
            configuration.sleepAfter = .seconds(5)
        }) { harness in
            // A busy machine may pause longer than the socket waits: such a try says nothing, and is made again.
            var isShown = false
            for _ in 0..<5 where !isShown { isShown = try await trafficKeeps(harness) }
            #expect(isShown, "each try was interrupted by a pause of the machine")
        }
    }

    /// Whether commands kept a socket and a ping did not; false when the machine paused so long that nothing was shown.
    private func trafficKeeps(_ harness: WorkerHarness) async throws -> Bool {
        let device = try await harness.connect()
        var lastSent = NIODeadline.now()
        let token = try await harness.token()
        _ = try await device.ask(registration(token, port: 9))
        func expectDue() {
            #expect(NIODeadline.now() - lastSent >= .milliseconds(4_990), "closed before 5 s had passed since the last command")
        }
        for _ in 0..<3 {
            try await Task.sleep(for: .milliseconds(2_500))
            let sent = NIODeadline.now()
            device.socket.send(#"{"messageType":"getRegisteredWA"}"#)
            switch try await device.next() {
            case .answer(let answer)?: #expect(answer["statusCode"] == 200)
            case .closed(let code)?:
                #expect(code == nil || code == 4774)
                expectDue()
                return false
            case let other:
                Issue.record("expected an answer, got \(String(describing: other))")
                return true
            }
            lastSent = sent
        }
        try await Task.sleep(for: .milliseconds(2_500))
        let pinged = NIODeadline.now()
        device.socket.send("PING")
        switch try await device.socket.next(seconds: 10) {
        case .text("PONG")?: break
        case .closed?:
            expectDue()
            return false
        case let other:
            Issue.record("expected PONG, got \(String(describing: other))")
            return true
        }
        try await device.expectClose(4774)
        expectDue()
        // A ping that kept the socket would have given it 5 s more.
        return NIODeadline.now() - pinged < .milliseconds(4_990)
    }

    @Test(
        "Without an operator that reaches it a device keeps its socket",
        arguments: [("127.0.0.1", "08"), ("10.1.2.3", "07"), ("::2", "07")])
    func noOperator(ip: String, mnc: String) async throws {
        try await WorkerHarness.with(configure: { configuration in
            configuration.operators = operators("http://127.0.0.1:9")
            configuration.sleepAfter = .milliseconds(800)
        }) { harness in
            let device = try await harness.connect()
            #expect(try await device.ask(registration(try await harness.token(), ip: ip, port: 1, mnc: mnc))["pushMode"] == "ws")
            try await Task.sleep(for: .milliseconds(1_100))
            try await device.expectQuiet()
        }
    }

    @Test("registerUA again replaces the interface: from a socket to wake-ups and back")
    func replaced() async throws {
        try await WorkerHarness.with(configure: { configuration in
            configuration.operators = operators("http://127.0.0.1:9")
            configuration.sleepAfter = .seconds(3)
        }) { harness in
            let (device, token) = try await harness.device()
            #expect(try await device.ask(registration(token, port: 5))["pushMode"] == "udp")
            let plain = #"{"messageType":"registerUA","data":{"uatoken":"\#(token)"}}"#
            #expect(try await device.ask(plain)["pushMode"] == "ws")
            try await Task.sleep(for: .milliseconds(3_600))
            try await device.expectQuiet()
            #expect(try await device.ask(registration(token, port: 5))["pushMode"] == "udp")
            try await device.expectClose(4774)
        }
    }

    @Test("A wake-up that brings nobody is repeated; a dead NS-WakeUp is passed over; what is not acknowledged wakes again")
    func repeated() async throws {
        try await withWakeUp { _, server in
            try await WakeUpListener.with(host: "::1") { listener, port in
                try await WorkerHarness.with(configure: { configuration in
                    configuration.operators = operators("http://127.0.0.1:9", server)
                    configuration.sleepAfter = .seconds(3)
                    configuration.wakeUpPauses = WakeUpPauses(milliseconds: [300, 300, 300])
                }) { harness in
                    let token = try await harness.token()
                    let device = try await harness.connect()
                    _ = try await device.ask(registration(token, ip: "::1", port: port))
                    let url = try await device.registerApplication("w")
                    try await device.expectClose(4774)
                    try await harness.push("one", to: url)
                    try await eventually { listener.all.count == 4 }
                    try await Task.sleep(for: .milliseconds(600))
                    #expect(listener.all.count == 4 && Set(listener.all).count == 1)
                    try await harness.push("two", to: url)
                    try await eventually { listener.all.count >= 5 }
                    let poll = #"{"messageType":"getAllMessages","data":{"uatoken":"\#(token)"}}"#
                    let again = try await harness.connect()
                    #expect(try await again.ask(poll)["messages"]?.array?.count == 2)
                    await again.close()
                    try await eventually { harness.worker.counters[.devicesWoken] == 1 }
                    let count = listener.all.count
                    try await Task.sleep(for: .milliseconds(700))
                    #expect(listener.all.count == count)
                    #expect(harness.worker.counters[.wakeUpsCalled] == count)
                }
            }
        }
    }

    @Test("No NS-WakeUp answers, or it refuses: counted")
    func failures() async throws {
        try await withWakeUp(networks: ["10.0.0.0/8"]) { wakeUp, server in
            for (server, count) in [("http://127.0.0.1:9", WorkerCount.wakeUpsFailed), (server, .wakeUpsRefused)] {
                try await WorkerHarness.with(configure: { configuration in
                    configuration.operators = operators(server)
                    configuration.sleepAfter = .seconds(3)
                }) { harness in
                    let device = try await harness.connect()
                    _ = try await device.ask(registration(try await harness.token(), port: 5))
                    let url = try await device.registerApplication("w")
                    try await device.expectClose(4774)
                    try await harness.push("one", to: url)
                    try await eventually { harness.worker.counters[count] == 1 }
                }
            }
            #expect(wakeUp.counters[.wakeUpRequestsRefused] == 1)
        }
    }

    @Test(
        "NS-WakeUp refuses what is no address, port or protocol, and what is not in its networks",
        arguments: [
            ("", "ip must be"), ("?ip=host&port=1&proto=udp", "ip must be"), ("?ip=127.0.0.1&port=0&proto=udp", "port must be"),
            ("?ip=127.0.0.1&port=65536&proto=udp", "port must be"), ("?ip=127.0.0.1&port=%2B5&proto=udp", "port must be"),
            ("?ip=127.0.0.1&proto=udp", "port must be"), ("?ip=127.0.0.1&port=5&proto=icmp", "proto must be"),
            ("?ip=10.0.0.1&port=5&proto=udp", "not in a network"), ("?ip=::2&port=5", "not in a network"),
            ("?ip=224.0.0.1&port=5", "multicast"), ("?ip=255.255.255.255&port=5", "multicast, broadcast"),
            ("?ip=0.0.0.0&port=5", "unspecified"), ("?ip=ff02::1&port=5", "multicast"),
        ])
    func refused(query: String, reason: String) async throws {
        try await withWakeUp(networks: ["127.0.0.0/8", "224.0.0.0/4", "255.255.255.255", "0.0.0.0", "ff00::/8"]) { worker, server in
            let connection = try await HTTPClientConnection.connect(to: ServerURL(server))
            let answer = try await connection.request(.GET, path: "/\(query)")
            #expect(answer.status == 400)
            let object = try #require(try JSONValue(parsing: answer.body).object)
            #expect(object["status"] == "ERROR" && object["reason"]?.text?.contains(reason) == true, "\(answer.text)")
            #expect(worker.counters[.wakeUpRequestsRefused] == 1)
            await connection.close()
        }
    }

    @Test("An address that the kernel refuses does not end the service")
    func kernelRefuses() async throws {
        try await withWakeUp { worker, server in
            let connection = try await HTTPClientConnection.connect(to: ServerURL(server))
            // The broadcast address of loopback's network.
            let refused = try await connection.request(.GET, path: "/?ip=127.255.255.255&port=9&proto=udp")
            #expect(refused.status == 400 && refused.text.contains("could not be sent"), "\(refused.text)")
            #expect(try await connection.request(.GET, path: "/?ip=127.0.0.1&port=9&proto=udp").status == 200)
            #expect(worker.counters[.wakeUpPacketsFailed] == 1 && worker.counters[.wakeUpPacketsSent] == 1)
            await connection.close()
        }
    }

    @Test("Loopback only when told so; other paths and methods; /status")
    func others() async throws {
        try await withWakeUp(loopback: false) { _, server in
            let connection = try await HTTPClientConnection.connect(to: ServerURL(server))
            for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
                let answer = try await connection.request(.GET, path: "/?ip=\(address)&port=5&proto=udp")
                #expect(answer.status == 400 && answer.text.contains("loopback"), "\(answer.text)")
            }
            #expect(try await connection.request(.GET, path: "/status").status == 200)
            #expect(try await connection.request(.GET, path: "/elsewhere").status == 404)
            let posted = try await connection.request(.POST, path: "/?ip=127.0.0.1&port=5", body: [])
            #expect(posted.status == 405 && posted.headers.first(name: "Allow") == "GET, OPTIONS")
            await connection.close()
        }
    }

    @Test("By TCP: the same text on a connection of its own; a device that refuses it has got a packet")
    func tcp() async throws {
        let texts = Mutex<[String]>([])
        let listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(TextCollector { text in texts.withLock { $0.append(text) } })
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(listener.localAddress?.port)
        try await withWakeUp { worker, server in
            let connection = try await HTTPClientConnection.connect(to: ServerURL(server))
            let answer = try await connection.request(.GET, path: "/?ip=127.0.0.1&port=\(port)&proto=tcp")
            #expect(answer.status == 200)
            #expect(try JSONValue(parsing: answer.body) == ["status": "OK"])
            try await eventually { texts.withLock { $0 } == [#"NOTIFY {"ip":"127.0.0.1","port":"\#(port)","proto":"tcp"}"#] }
            try await listener.close()
            #expect(try await connection.request(.GET, path: "/?ip=127.0.0.1&port=\(port)&proto=tcp").status == 200)
            #expect(worker.counters[.wakeUpPacketsSent] == 2)
            await connection.close()
        }
    }

    // MARK: The table

    @Test("An operator table in YAML")
    func table() throws {
        let table = try OperatorTable(
            yaml: """
                operators:
                  - { mcc: "214", mnc: "07", networks: [10.0.0.0/8, "fd77:4::/64"], wakeup: ["http://10.0.0.1:8090/"] }
                  - name: other
                    mcc: "001"
                    mnc: "001"
                    networks: [192.0.2.0/24]
                    wakeup: [http://one, https://two/x]
                    packet: tcp
                  - { mcc: "001", mnc: "001", networks: [198.51.100.0/24], wakeup: [http://three] }
                """)
        func find(_ ip: String, _ mcc: String, _ mnc: String) -> Operator? {
            table.find(DeviceInterface(ip: ip, port: 1), in: MobileNetwork(mcc: mcc, mnc: mnc))
        }
        #expect(find("10.1.1.1", "214", "07")?.wakeUpServers == ["http://10.0.0.1:8090"])
        #expect(find("fd77:4::9", "214", "07")?.name == "214-07")
        #expect(find("10.1.1.1", "214", "7") == nil)
        #expect(find("192.0.2.1", "001", "001")?.packet == .tcp)
        #expect(find("198.51.100.1", "001", "001")?.wakeUpServers == ["http://three"])
        #expect(find("203.0.113.1", "001", "001") == nil)
    }

    @Test(
        "A bad table is refused with the line and what is wrong",
        arguments: [
            ("", "is empty"), ("[]", "must be a mapping"), ("operators: []", "line 1: operators must be a list"),
            ("operator: []", "line 1: the file has no key operator"), ("operators: [a", "is no YAML"),
            ("operators:\n  - { mcc: 21, mnc: 07, networks: [10.0.0.0/8], wakeup: [http://a] }", "line 2: mcc must have 3 digits"),
            ("operators:\n  - { mcc: 214, networks: [10.0.0.0/8], wakeup: [http://a] }", "line 2: mnc is missing"),
            ("operators:\n  - { mcc: 214, mnc: 1234, networks: [10.0.0.0/8], wakeup: [http://a] }", "line 2: mnc must have 2 or 3 digits"),
            ("operators:\n  - mcc: 214\n    mnc: 07\n    networks: [10.0.0.1/8]\n    wakeup: [http://a]", "line 4: networks must be"),
            ("operators:\n  - mcc: 214\n    mnc: 07\n    networks: [10.0.0.0/8]\n    wakeup: [a.example]", "line 5: wakeup must be URLs"),
            (
                "operators:\n  - { mcc: 214, mnc: 07, networks: [10.0.0.0/8], wakeup: [http://a], packet: icmp }",
                "packet must be udp or tcp"
            ),
            ("operators:\n  - { mcc: 214, mnc: 07, networks: [10.0.0.0/8], wakeup: [http://a], extra: 1 }", "an operator has no key extra"),
            (
                """
                operators:
                  - { mcc: 214, mnc: 07, networks: [10.0.0.0/8], wakeup: [http://a], name: one }
                  - { mcc: 214, mnc: 07, networks: [10.9.0.0/16, 10.0.0.0/8], wakeup: [http://b] }
                """, "line 3: the networks of 214-07 are one's too"
            ),
        ])
    func badTable(yaml: String, error: String) {
        #expect { try OperatorTable(yaml: yaml) } throws: { "\($0)".contains(error) }
    }
}

/// Hands over what a connection said when it has ended.
private final class TextCollector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private var text = ""
    private let then: (String) -> Void

    init(then: @escaping (String) -> Void) {
        self.then = then
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        text += String(buffer: unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        then(text)
    }
}
