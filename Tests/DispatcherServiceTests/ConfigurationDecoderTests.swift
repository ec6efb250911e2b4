import DispatcherCore
import PacketIO
import Testing

@testable import DispatcherService

struct ConfigurationDecoderTests {
    @Test func theLeastFileTakesEveryDefault() throws {
        let configuration = try TestConfigurations.read(TestConfigurations.least)
        #expect(configuration.user == "nobody")
        #expect(configuration.logLevel == "info")
        #expect(configuration.accessLog == .none)
        #expect(configuration.adminListen.description == "127.0.0.1:9900")
        #expect(configuration.drain == .seconds(10))
        #expect(configuration.clientSide == .init(interface: "fe0", captureMemory: 256 << 20))
        #expect(configuration.serverSide == .init(interface: "be0", captureMemory: 256 << 20))
        #expect(configuration.sourceAddresses == [IPAddress("10.77.2.200")!])
        #expect(configuration.ports == PortPlan())
        #expect(!configuration.sidesShareInterface)
        #expect(configuration.transmit == .auto && configuration.replyTo == .sender)

        #expect(configuration.tcp.acknowledge == .withResponse)
        #expect(configuration.tcp.initialWindow == .clamped)
        #expect(configuration.tcp.timeWait == .seconds(60))
        #expect(configuration.tcp.serverTimeWait == .seconds(1))
        #expect(configuration.tcp.serverMSS == nil)

        let service = try #require(configuration.services.first)
        #expect(service.name == "files")
        #expect(service.listen.map(\.description) == ["10.77.1.100:80"])
        #expect(service.routes.count == 1 && service.routes[0].pathPrefix.isEmpty && !service.routes[0].upgradesToWebSocket)
        let limits = service.limits
        #expect(limits.head == 16 << 10 && limits.responseHead == 16 << 10 && limits.fields == 100)
        #expect(limits.body == 1 << 20 && limits.bodyBuffer == 64 << 10 && limits.bodyRate == 500)
        #expect(limits.headTime == .seconds(10) && limits.sendIdle == .seconds(60))
        #expect(limits.idle == .seconds(75) && limits.tunnelIdle == .seconds(3_600) && limits.connections == 100_000)

        let pool = try #require(configuration.pools.first)
        #expect(pool.servers.map(\.endpoint.description) == ["10.77.2.11:8080", "10.77.2.12:8080"])
        #expect(pool.servers.allSatisfy { $0.initialLimit == 8 && $0.minimumLimit == 1 && $0.maximumLimit == 256 })
        #expect(pool.open == .onConnection && pool.tunnels == 19_000 && pool.retries == 1)
        #expect(pool.queue.capacity == 4_096 && pool.queue.refuseAbove == 2_048 && pool.queue.resumeBelow == 1_638)
        #expect(pool.queue.wait == .seconds(1) && pool.queue.memory == 64 << 20)
        #expect(pool.connectTimeout == .seconds(1) && pool.responseTimeout == .seconds(30))
    }

    @Test func everyBuiltKeyIsRead() throws {
        let configuration = try TestConfigurations.read(
            """
            user: daemon
            log: { level: debug, access: /var/log/sluice/access.log }
            admin: { listen: "10.0.0.1:1" }
            stop: { drain: 250ms }
            client-side: { interface: eth0, capture-memory: 1MiB, gateway: 10.77.1.254, reply-to: route }
            server-side: { interface: eth0, gateway: auto, source-addresses: 10.77.2.201, capture-memory: 2MiB, first-port: 20000, last-port: 40000,
                           layers: 2, servers: 4, connections-per-server: 100 }
            transmit: packet
            shards: 1
            tcp: { options: mss, acknowledge: immediate, initial-window: client, time-wait: 5s, server-time-wait: 2s, server-mss: 1400,
                   tail-custody: 16KiB, staging-memory: 1MiB }
            services:
              - name: push
                listen: ["10.77.1.100:80", "10.77.1.101:81"]
                mode: l7/3
                limits: { head: 8KiB, fields: 50, response-head: 4KiB, body: 2MiB, body-buffer: 32KiB, head-time: 5s, body-rate: 1KiB/s,
                          send-idle: 30s, idle: 20s, tunnel-idle: 2h, connections: 500, per-client-connections: 20,
                          per-client-new-connections: 30, per-client-requests: 40 }
                routes:
                  - { path-prefix: /notify/, pool: as }
                  - { path-prefix: "", upgrade: websocket, pool: ua }
            pools:
              - name: ua
                servers:
                  - { address: 10.77.2.11:8080, weight: 1, backup: false, initial: 3, minimum: 2, maximum: 9 }
                  - { address: 10.77.2.12:8080 }
                balance: round-robin
                open: at-start
                queue: { capacity: 100, memory: 1MiB, wait: 500ms, refuse-with: reset, per-client: 25% }
                limit: { initial: 10, minimum: 5, maximum: 50, control: fixed }
                tunnels: { initial: 7, maximum: 8, control: fixed }
                l4: { cookie: false, source: rewrite, idle: 15m }
                slow-start: 0s
                retries: 0
                timeouts: { connect: 2s, response: 1m }
              - name: as
                servers: [ { address: 10.77.2.13:8081 } ]
                queue: { capacity: 10, refuse-above: 10, resume-below: 10 }
            """.replacingOccurrences(of: "path-prefix: \"\", ", with: ""))
        #expect(configuration.user == "daemon" && configuration.logLevel == "debug")
        #expect(configuration.accessLog == .file("/var/log/sluice/access.log"))
        #expect(configuration.adminListen.description == "10.0.0.1:1")
        #expect(configuration.drain == .milliseconds(250))
        #expect(configuration.sidesShareInterface)
        #expect(configuration.transmit == .packet && configuration.replyTo == .route)
        #expect(configuration.clientSide.gateways == [IPAddress("10.77.1.254")!] && configuration.serverSide.gateways == [])
        #expect(configuration.clientSide.captureMemory == 1 << 20 && configuration.serverSide.captureMemory == 2 << 20)
        #expect(configuration.ports == PortPlan(first: 20_000, last: 40_000, layers: 2, servers: 4, connections: 100))
        #expect(configuration.tcp.acknowledge == .immediate && configuration.tcp.initialWindow == .client)
        #expect(configuration.tcp.timeWait == .seconds(5) && configuration.tcp.serverTimeWait == .seconds(2))
        #expect(configuration.tcp.tailCustody == 16 << 10 && configuration.tcp.stagingMemory == 1 << 20)
        #expect(configuration.tcp.serverMSS == 1_400)
        let service = configuration.services[0]
        #expect(service.listen.map(\.description) == ["10.77.1.100:80", "10.77.1.101:81"])
        #expect(service.routes.map(\.pool) == [1, 0])
        #expect(service.routes.map { String(decoding: $0.pathPrefix, as: UTF8.self) } == ["/notify/", ""])
        #expect(service.routes.map(\.upgradesToWebSocket) == [false, true])
        let limits = service.limits
        #expect(limits.head == 8 << 10 && limits.fields == 50 && limits.responseHead == 4 << 10 && limits.body == 2 << 20)
        #expect(limits.bodyBuffer == 32 << 10 && limits.headTime == .seconds(5) && limits.bodyRate == 1_024)
        #expect(limits.sendIdle == .seconds(30) && limits.idle == .seconds(20) && limits.tunnelIdle == .seconds(7_200))
        #expect(limits.connections == 500 && limits.perClientConnections == 20)
        #expect(limits.perClientNewConnections == 30 && limits.perClientRequests == 40)
        let pool = configuration.pools[0]
        #expect(pool.servers.map(\.initialLimit) == [3, 10] && pool.servers.map(\.minimumLimit) == [2, 5])
        #expect(pool.servers.map(\.maximumLimit) == [9, 50])
        #expect(pool.open == .atStart && pool.tunnels == 7 && pool.retries == 0)
        #expect(pool.queue.capacity == 100 && pool.queue.refuseAbove == 50 && pool.queue.resumeBelow == 40)
        #expect(pool.queue.perClient == 25 && configuration.pools[1].queue.perClient == 100)
        #expect(pool.queue.memory == 1 << 20 && pool.queue.wait == .milliseconds(500))
        #expect(pool.connectTimeout == .seconds(2) && pool.responseTimeout == .seconds(60))
        #expect(configuration.pools[1].queue.resumeBelow == 10)
    }

    @Test func aDefaultGivesWayToWhatIsWritten() throws {
        let configuration = try TestConfigurations.read(
            TestConfigurations.least.replacingOccurrences(
                of: "  interface: be0",
                with: "  interface: be0\n  connections-per-server: 4\n  last-port: 20000\n  layers: 100".replacingOccurrences(
                    of: "100", with: "64")))
        #expect(configuration.pools[0].servers[0].maximumLimit == 4)
        #expect(configuration.pools[0].servers[0].initialLimit == 4)
        // 10000 + 64 * 16 * 4 = 14096: what is left is fewer than 19,000.
        #expect(configuration.pools[0].tunnels == 20_000 - 14_096 + 1)
    }

    @Test func connectionsAreForwarded() throws {
        let configuration = try TestConfigurations.read(
            TestConfigurations.least.replacingOccurrences(of: "    routes:", with: "    mode: l4/3\n    routes:").replacingOccurrences(
                of: "  - name: web",
                with: "  - name: web\n    l4: { cookie: true, source: keep, idle: 3m }\n    limit: { initial: 300, maximum: 30000 }"))
        #expect(configuration.services[0].mode == .l43)
        let pool = configuration.pools[0]
        #expect(pool.l4.cookie && pool.l4.source == .keep && pool.l4.idle == .seconds(180))
        #expect(pool.queue.wait == .seconds(10), "a kernel repeats its SYN after 1, 3 and 7 s")
        #expect(pool.servers.map(\.maximumLimit) == [30_000, 30_000] && pool.servers[0].initialLimit == 300)
        #expect(configuration.keptServers.map(\.description) == ["10.77.2.11:8080", "10.77.2.12:8080"])
        #expect(try TestConfigurations.read(TestConfigurations.least).keptServers.isEmpty)
    }

    @Test func connectionsAreForwardedByAsManyThreadsAsRequests() throws {
        let forwarded = TestConfigurations.least.replacingOccurrences(of: "    routes:", with: "    mode: l4/3\n    routes:")
        #expect(try TestConfigurations.read("shards: 4\n" + forwarded).shards == 4)
        let kept = forwarded.replacingOccurrences(of: "  - name: web", with: "  - name: web\n    l4: { source: keep }")
        #expect(try TestConfigurations.read("shards: 4\n" + kept.replacingOccurrences(of: "be0", with: "fe0")).sidesShareInterface)
        // As many as for requests, whatever this host has.
        #expect(try TestConfigurations.read(forwarded).shards == TestConfigurations.read(TestConfigurations.least).shards)
    }

    @Test func bothFamiliesAreRead() throws {
        let configuration = try TestConfigurations.read(
            TestConfigurations.least.replacingOccurrences(of: "10.77.1.100:80", with: "[\"10.77.1.100:80\", \"[fd77:1::100]:80\"]")
                .replacingOccurrences(of: "[10.77.2.200]", with: "[10.77.2.200, \"fd77:2::200\"]")
                .replacingOccurrences(of: "10.77.2.12:8080", with: "\"[fd77:2::11]:8080\"")
                .replacingOccurrences(of: "  interface: fe0", with: "  interface: fe0\n  gateway: [10.77.1.254, \"fe80::1\"]"))
        #expect(configuration.services[0].listen.map(\.description) == ["10.77.1.100:80", "[fd77:1::100]:80"])
        #expect(configuration.sourceAddresses.map(\.description) == ["10.77.2.200", "fd77:2::200"])
        #expect(configuration.pools[0].servers.map(\.endpoint.description) == ["10.77.2.11:8080", "[fd77:2::11]:8080"])
        #expect(configuration.links.client.gateways.map(\.description) == ["10.77.1.254", "fe80::1"])
        let interface = NetworkInterface(name: "fe0", mtu: 1_500, hardwareAddress: HardwareAddress(bits: 1))
        let responder = NDPResponder(beside: configuration.responder(client: interface, server: interface))
        #expect(responder.announcements(on: .client).map(\.target.description) == ["fd77:1::100"])
        #expect(responder.announcements(on: .server).map(\.target.description) == ["fd77:2::200"])
    }

    @Test func theEngineIsToldAllOfIt() throws {
        let configuration = try TestConfigurations.read(TestConfigurations.least)
        let client = NetworkInterface(name: "fe0", mtu: 1_400, hardwareAddress: HardwareAddress(bits: 1))
        let server = NetworkInterface(name: "be0", mtu: 65_536, hardwareAddress: HardwareAddress(bits: 2))
        let engine = configuration.engineConfiguration(client: client, server: server)
        #expect(engine.clientSideMTU == 1_400 && engine.serverSideMTU == 65_436, "no more than a capture keeps")
        #expect(engine.sourceAddresses == configuration.sourceAddresses)
        #expect(engine.ports == configuration.ports)
        #expect(engine.services.map(\.name) == ["files"] && engine.pools.map(\.name) == ["web"])
        #expect(!engine.sidesShareInterface)

        let responder = configuration.responder(client: client, server: server)
        #expect(responder.announcements(on: .client).map(\.senderAddress.description) == ["10.77.1.100"])
        #expect(responder.announcements(on: .server).map(\.senderHardware.bits) == [2])
    }

    @Test(arguments: ["auto", "raw", "packet"]) func framesAreSentWhereHostsHaveHardwareAddresses(_ mode: String) throws {
        let configuration = try TestConfigurations.read("transmit: \(mode)\n" + TestConfigurations.least)
        let ethernet = NetworkInterface(name: "fe0", mtu: 1_500, hardwareAddress: HardwareAddress(bits: 1))
        let loopback = NetworkInterface(name: "lo", mtu: 65_536, hardwareAddress: HardwareAddress(bits: 0), hasNeighbours: false)
        #expect(configuration.sendsFrames(client: ethernet, server: ethernet) == (mode != "raw"))
        #expect(configuration.sendsFrames(client: ethernet, server: loopback) == (mode == "packet"))
    }

    @Test func theTransmitterIsToldOfBothSides() throws {
        let links = try TestConfigurations.read(
            TestConfigurations.least.replacingOccurrences(of: "  interface: be0", with: "  interface: be0\n  gateway: 10.77.2.1")
        ).links
        #expect(links.client.interface == "fe0" && links.client.repliesToSender && links.client.gateways == [])
        #expect(links.client.addresses.map(\.description) == ["10.77.1.100"])
        #expect(links.server.interface == "be0" && links.server.gateways == [IPAddress("10.77.2.1")!])
        #expect(links.server.addresses.map(\.description) == ["10.77.2.200"])
    }

    @Test func aSharedInterfaceAnswersForBothSides() throws {
        let configuration = try TestConfigurations.read(TestConfigurations.least.replacingOccurrences(of: "be0", with: "fe0"))
        let interface = NetworkInterface(name: "fe0", mtu: 1_500, hardwareAddress: HardwareAddress(bits: 1))
        #expect(configuration.engineConfiguration(client: interface, server: interface).sidesShareInterface)
        let responder = configuration.responder(client: interface, server: interface)
        #expect(responder.announcements(on: .client).map(\.senderAddress.description) == ["10.77.1.100", "10.77.2.200"])
    }
}
