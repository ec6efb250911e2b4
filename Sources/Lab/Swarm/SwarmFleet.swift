import NIOCore
import NIOHTTP1
import NIOPosix
import PushProtocol

/// The connections of a swarm: makes them, and registers what is to be registered.
struct SwarmFleet: Sendable {
    /// How many devices connect at once.
    private static let width = 32
    /// Wait before a device tries again, in milliseconds; twice and three times as long before the second and third.
    private static let retryDelay = 500

    let target: SwarmTarget
    let eventLoop: any EventLoop
    let swarm: NIOLoopBound<Swarm>
    private let applications: [ApplicationPair]
    /// The public key that all of this fleet's applications have.
    let pbkbase64: String

    /// Makes a key and signs the messages.
    init(target: SwarmTarget, applications count: Int, size: Int, eventLoop: any EventLoop) async throws {
        let key: RSAPrivateKey
        do {
            key = try RSAPrivateKey.generate(bits: 2048)
        } catch {
            throw LabError("cannot make a key for the messages: \(error)")
        }
        let run = Randomness.bytes(4).reduce(0) { $0 << 8 | Int($1) }
        let pbkbase64 = key.pbkbase64
        let applications = (0..<count).map { ApplicationPair(watoken: "swarm-\(run)-\($0)", pbkbase64: pbkbase64) }
        self.target = target
        self.eventLoop = eventLoop
        self.applications = applications
        self.pbkbase64 = pbkbase64
        swarm = try await eventLoop.submit {
            NIOLoopBound(Swarm(size: size, eventLoop: eventLoop, applications: applications, key: key), eventLoop: eventLoop)
        }.get()
    }

    // MARK: Devices

    /// Connects and registers so many devices; device d has application d modulo the number of applications.
    ///
    /// - Parameters:
    ///   - rate: at most so many begin a second; 0: as fast as it goes.
    ///   - retries: how often a device that could not connect tries again; then all fails.
    ///   - retried: called with the reason for each try that failed and is repeated.
    func connect(
        devices: Int, rate: Double = 0, retries: Int = 0, retried: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws {
        let width = min(Self.width, devices)
        let begin = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for first in 0..<width {
                group.addTask {
                    var tokens: HTTPClientConnection?
                    for device in stride(from: first, to: devices, by: width) {
                        if rate > 0 { try await Task.sleep(until: begin + .seconds(Double(device) / rate), clock: .continuous) }
                        tokens = try await attempt(device, tokens, retries, retried)
                    }
                    await tokens?.close()
                }
            }
            try await group.waitForAll()
        }
    }

    /// One device, as often as it takes. Returns the connection for the next one's token.
    private func attempt(
        _ device: Int, _ tokens: HTTPClientConnection?, _ retries: Int, _ retried: @Sendable (String) -> Void
    ) async throws -> HTTPClientConnection {
        var tokens = tokens
        for retry in 0... {
            do {
                let connection: HTTPClientConnection
                if let tokens { connection = tokens } else { connection = try await HTTPClientConnection.connect(to: target.server) }
                tokens = connection
                let token = try await Self.token(connection, target.server)
                try await connectDevice(device, token: token)
                return connection
            } catch {
                guard retry < retries, !(error is CancellationError) else { throw error }
                retried("\(error)")
                await tokens?.close()
                tokens = nil
                try await Task.sleep(for: .milliseconds(Self.retryDelay * (retry + 1)))
            }
        }
        preconditionFailure("the last try returns or throws")
    }

    private static func token(_ connection: HTTPClientConnection, _ server: ServerURL) async throws -> String {
        let answer = try await connection.request(.GET, path: "/token")
        guard answer.status == 200 else {
            let advice = answer.status == 429 ? "; start the worker with --token-rate 0" : ""
            throw LabError("\(server.authority) gave no token: \(answer.status) \(answer.text)\(advice)")
        }
        return answer.text
    }

    private func connectDevice(_ number: Int, token: String) async throws {
        let (server, sources, swarm) = (target.server, target.sources, swarm)
        let application = applications[number % applications.count]
        var bootstrap = ClientBootstrap(group: eventLoop).connectTimeout(.seconds(10))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
        if !sources.isEmpty { bootstrap = bootstrap.bind(to: sources[number % sources.count]) }
        let upgrade: EventLoopFuture<NIOLoopBound<SwarmDevice>?>
        do {
            upgrade = try await bootstrap.connect(host: server.host, port: server.port) { channel in
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
        try await eventLoop.flatSubmit { device.value.start() }.get()
    }

    /// The first `count` devices register an application that others share with them; `done` is called after each.
    func share(_ application: ApplicationPair, devices count: Int, done: @escaping @Sendable () -> Void = {}) async throws {
        let width = min(Self.width, count)
        let (swarm, eventLoop) = (swarm, eventLoop)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for first in 0..<width {
                group.addTask {
                    for number in stride(from: first, to: count, by: width) {
                        try await eventLoop.flatSubmit {
                            swarm.value.device(number)?.register(application, on: eventLoop)
                                ?? eventLoop.makeFailedFuture(LabError("device \(number) is not registered"))
                        }.get()
                        done()
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    // MARK: Application servers

    /// Opens so many connections of application servers.
    func connectPosters(_ count: Int) async throws {
        let (applicationServers, swarm) = (target.applicationServers, swarm)
        for _ in 0..<count {
            do {
                _ = try await ClientBootstrap(group: eventLoop).connectTimeout(.seconds(10))
                    .channelOption(.socketOption(.tcp_nodelay), value: 1)
                    .connect(host: applicationServers.host, port: applicationServers.port) { channel in
                        channel.eventLoop.makeCompletedFuture {
                            try channel.pipeline.syncOperations.addHTTPClientHandlers()
                            try channel.pipeline.syncOperations.addHandler(
                                SwarmPoster(swarm: swarm.value, authority: applicationServers.authority))
                        }
                    }
            } catch {
                throw LabError(
                    "cannot connect an application server to \(applicationServers.authority): \(error); check that the server runs")
            }
        }
    }

    /// The application servers' connections end.
    func hangUp() async throws {
        let swarm = swarm
        try await eventLoop.submit { swarm.value.hangUp() }.get()
    }
}
