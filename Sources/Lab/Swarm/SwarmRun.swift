import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import PushProtocol

/// Runs a swarm: many devices, and application servers that send to them, on one thread.
public struct SwarmRun: Sendable {
    /// How many devices connect at once.
    private static let width = 32
    /// What a device acknowledged last has this long to arrive before the sockets close.
    private static let lastAcknowledgements = TimeAmount.milliseconds(300)

    public let plan: SwarmPlan
    /// The front for devices.
    public let server: ServerURL
    /// The front for application servers.
    public let applicationServers: ServerURL
    /// The addresses that devices connect from in turn, because one has only so many ports; empty: whatever the system chooses.
    private let sources: [SocketAddress]
    /// How long deliveries are waited for after the last message was due, in seconds.
    public var patience: Int64 = 30

    /// - Parameters:
    ///   - applicationServers: nil: the same as `server`.
    ///   - sources: literal addresses of this machine.
    public init(plan: SwarmPlan, server: ServerURL, applicationServers: ServerURL? = nil, sources: [String] = []) throws {
        self.plan = plan
        self.server = server
        self.applicationServers = applicationServers ?? server
        self.sources = try sources.map { text in
            do {
                return try SocketAddress(ipAddress: text, port: 0)
            } catch {
                throw LabError("the source address \(text) is no literal address; write one of this machine's, like 127.0.0.2")
            }
        }
    }

    /// One descriptor a connection: as many as the system lets this process have; returns how many that is.
    public static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }

    /// Connects and registers all devices, calls `connected` with the seconds that took, posts the messages, waits for their deliveries,
    /// and closes all connections.
    ///
    /// - Returns: the figures, and why the first connection ended that should not have.
    public func run(connected: @Sendable (Double) async throws -> Void) async throws -> (result: SwarmResult, loss: String?) {
        let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let outcome = try await run(on: eventLoops.next(), connected: connected)
            try await eventLoops.shutdownGracefully()
            return outcome
        } catch {
            try? await eventLoops.shutdownGracefully()
            throw error
        }
    }

    private func run(
        on eventLoop: any EventLoop, connected: @Sendable (Double) async throws -> Void
    ) async throws -> (SwarmResult, String?) {
        let key: RSAPrivateKey
        do {
            key = try RSAPrivateKey.generate(bits: 2048)
        } catch {
            throw LabError("cannot make a key for the messages: \(error)")
        }
        let run = Randomness.bytes(4).reduce(0) { $0 << 8 | Int($1) }
        let pbkbase64 = key.pbkbase64
        let applications = (0..<plan.applications).map { ApplicationPair(watoken: "swarm-\(run)-\($0)", pbkbase64: pbkbase64) }
        let plan = plan
        let swarm = try await eventLoop.submit {
            NIOLoopBound(Swarm(plan: plan, eventLoop: eventLoop, applications: applications, key: key), eventLoop: eventLoop)
        }.get()

        let begin = NIODeadline.now()
        try await connectDevices(swarm, applications)
        let connectSeconds = Double((NIODeadline.now() - begin).nanoseconds) / 1e9
        try await connected(connectSeconds)
        var processorSeconds = 0.0
        if plan.messages > 0 {
            for _ in 0..<min(plan.connections, plan.messages) { try await connectPoster(swarm) }
            let before = Self.processorSeconds
            try await eventLoop.flatSubmit { [patience] in swarm.value.load(patience: .seconds(patience)) }.get()
            processorSeconds = Self.processorSeconds - before
        }
        let used = processorSeconds
        let result = try await eventLoop.submit { swarm.value.result(connectSeconds: connectSeconds, processorSeconds: used) }.get()
        if plan.messages > 0 { try await eventLoop.scheduleTask(in: Self.lastAcknowledgements) {}.futureResult.get() }
        return (result, try await eventLoop.submit { swarm.value.end() }.get())
    }

    /// User and system time of this process, in seconds.
    private static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    // MARK: Devices

    private func connectDevices(_ swarm: NIOLoopBound<Swarm>, _ applications: [ApplicationPair]) async throws {
        let width = min(Self.width, plan.devices)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for first in 0..<width {
                group.addTask {
                    let tokens = try await HTTPClientConnection.connect(to: server)
                    for device in stride(from: first, to: plan.devices, by: width) {
                        let token = try await Self.token(tokens, server)
                        let application = applications[plan.application(ofDevice: device)]
                        try await connectDevice(device, swarm, token: token, application)
                    }
                    await tokens.close()
                }
            }
            try await group.waitForAll()
        }
    }

    private static func token(_ connection: HTTPClientConnection, _ server: ServerURL) async throws -> String {
        let answer = try await connection.request(.GET, path: "/token")
        guard answer.status == 200 else {
            let advice = answer.status == 429 ? "; start the worker with --token-rate 0" : ""
            throw LabError("\(server.authority) gave no token: \(answer.status) \(answer.text)\(advice)")
        }
        return answer.text
    }

    private func connectDevice(
        _ number: Int, _ swarm: NIOLoopBound<Swarm>, token: String, _ application: ApplicationPair
    ) async throws {
        var bootstrap = ClientBootstrap(group: swarm.eventLoop).connectTimeout(.seconds(10))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
        if !sources.isEmpty { bootstrap = bootstrap.bind(to: sources[number % sources.count]) }
        let upgrade: EventLoopFuture<NIOLoopBound<SwarmDevice>?>
        do {
            upgrade = try await bootstrap.connect(host: server.host, port: server.port) { [server] channel in
                channel.eventLoop.makeCompletedFuture {
                    try WebSocketUpgrade.configure(channel, url: server, subprotocols: ["push-notification"]) { channel, _ in
                        let ready = channel.eventLoop.makePromise(of: Void.self)
                        let device = SwarmDevice(swarm: swarm.value, token: token, application: application, ready: ready)
                        try channel.pipeline.syncOperations.addHandler(device)
                        return NIOLoopBound(device, eventLoop: channel.eventLoop)
                    }
                }
            }
        } catch {
            throw LabError("cannot connect device \(number) to \(server.authority): \(error); check that the server runs, and `ulimit -n`")
        }
        guard let device = try await upgrade.get() else {
            throw LabError(
                "\(server.authority) refused the WebSocket of device \(number); check that this is the front for devices")
        }
        try await swarm.eventLoop.flatSubmit { device.value.start() }.get()
    }

    // MARK: Application servers

    private func connectPoster(_ swarm: NIOLoopBound<Swarm>) async throws {
        do {
            _ = try await ClientBootstrap(group: swarm.eventLoop).connectTimeout(.seconds(10))
                .channelOption(.socketOption(.tcp_nodelay), value: 1)
                .connect(host: applicationServers.host, port: applicationServers.port) { [applicationServers] channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(
                            SwarmPoster(swarm: swarm.value, authority: applicationServers.authority))
                    }
                }
        } catch {
            throw LabError("cannot connect an application server to \(applicationServers.authority): \(error); check that the server runs")
        }
    }
}
