import Foundation
import Glibc
public import Logging
import NIOCore
import NIOPosix
import PushProtocol
import PushStore

/// A running worker: its roles, with their fronts, on one store and one bus.
public final class PushWorker: Sendable {
    private let context: WorkerContext
    private let eventLoops: MultiThreadedEventLoopGroup
    private let fronts: [any Channel]
    /// The bound port of the front for devices; nil without that role.
    public let userAgentPort: Int?
    /// The bound port of the front for application servers; nil without that role.
    public let applicationServerPort: Int?
    /// The bound port of NS-WakeUp; nil without that role.
    public let wakeUpPort: Int?
    private let wakeUpCaller: WakeUpCaller?

    /// What the worker has counted.
    public var counters: WorkerCounters { context.counters }
    /// The name under which other workers reach this one.
    public var name: String { context.bus.name.description }

    private init(
        context: WorkerContext, eventLoops: MultiThreadedEventLoopGroup, userAgents: (any Channel)?, applicationServers: (any Channel)?,
        wakeUp: (any Channel)?
    ) {
        self.context = context
        self.eventLoops = eventLoops
        wakeUpCaller = context.configuration.roles.contains(.uaUDP) ? WakeUpCaller(context: context, eventLoops: eventLoops) : nil
        fronts = [userAgents, applicationServers, wakeUp].compactMap { $0 }
        wakeUpPort = wakeUp?.localAddress?.port
        userAgentPort = userAgents?.localAddress?.port
        applicationServerPort = applicationServers?.localAddress?.port
    }

    /// Opens the data directory and the fronts, and begins to serve.
    ///
    /// - Throws: `WorkerError` with what failed, why, and what to do.
    public static func start(_ configuration: WorkerConfiguration, logger: Logger) async throws -> PushWorker {
        if configuration.roles == [.wakeUp] {
            let bus = InProcessBus(hub: InProcessBus.Hub(), roles: [])
            return try await start(configuration, logger: logger, store: NoStore(), bus: bus, tokenKeys: TokenKeys())
        }
        try makeDirectory(configuration.dataDirectory)
        let keys = try TokenKeyFile.loadOrCreate(configuration.tokenKeysFile ?? "\(configuration.dataDirectory)/token-keys")
        let store: SQLiteStore
        let bus: DirectoryBus
        do {
            store = try SQLiteStore(directory: configuration.dataDirectory)
            bus = try DirectoryBus(directory: configuration.dataDirectory, roles: configuration.busRoles)
        } catch StoreError.unavailable(let reason) {
            throw WorkerError("cannot use the data directory \(configuration.dataDirectory): \(reason)")
        }
        return try await start(configuration, logger: logger, store: store, bus: bus, tokenKeys: keys)
    }

    /// Opens the fronts on any engine, and begins to serve. Store and bus are the worker's from then on, also when this fails.
    static func start(
        _ configuration: WorkerConfiguration, logger: Logger, store: any MessageStore, bus: any MessageBus, tokenKeys: TokenKeys
    ) async throws -> PushWorker {
        // The first is what the control group allows, the second what the process may run on (taskset, CPUAffinity=).
        let processors = min(System.coreCount, ProcessInfo.processInfo.activeProcessorCount)
        let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoops ?? max(1, processors))
        let context = WorkerContext(
            configuration: configuration, logger: logger, store: store, bus: bus, tokenKeys: tokenKeys, eventLoops: eventLoops)
        func front(for role: WorkerRole, port: Int, routes: any HTTPRoutes) async throws -> (any Channel)? {
            guard configuration.roles.contains(role) else { return nil }
            return try await HTTPFront.bind(port: port, routes: routes, context: context, eventLoops: eventLoops)
        }
        func wakeUpFront(_ sender: WakeUpSender?) async throws -> (any Channel)? {
            guard let sender else { return nil }
            return try await front(for: .wakeUp, port: configuration.wakeUpPort, routes: WakeUpRoutes(context: context, sender: sender))
        }
        do {
            let sender = configuration.roles.contains(.wakeUp) ? try WakeUpSender.open(eventLoops: eventLoops) : nil
            let worker = PushWorker(
                context: context, eventLoops: eventLoops,
                userAgents: try await front(for: .uaWS, port: configuration.userAgentPort, routes: UserAgentRoutes(context: context)),
                applicationServers: try await front(
                    for: .applicationServers, port: configuration.applicationServerPort, routes: ApplicationServerRoutes(context: context)),
                wakeUp: try await wakeUpFront(sender))
            worker.startRoles()
            return worker
        } catch {
            bus.close()
            try? await eventLoops.shutdownGracefully()
            store.close()
            throw error
        }
    }

    private static func makeDirectory(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw WorkerError(
                "cannot make the data directory \(path): \(error.localizedDescription)",
                isPermission: (error as? CocoaError)?.code == .fileWriteNoPermission)
        }
        guard access(path, R_OK | W_OK | X_OK) == 0 else {
            throw WorkerError(
                "cannot use the data directory \(path): \(SystemError.text(errno)); give the user of this process access to it",
                isPermission: true)
        }
    }

    private func startRoles() {
        let roles = context.configuration.roles
        let devices = roles.contains(.uaWS) ? DeviceNotes(context: context, eventLoop: eventLoops.next()) : nil
        let monitor = roles.contains(.monitor) ? Monitor(context: context, eventLoop: eventLoops.next()) : nil
        let caller = wakeUpCaller
        let receive: @Sendable (BusNote) -> Void = { note in
            switch note {
            case .accepted(let application, let sequence): monitor?.accepted(application: application, sequence: sequence)
            case .arrived(let sequence, let ids): devices?.arrived(sequence: sequence, devices: ids)
            case .replaced(let device, let connection): devices?.replaced(device: device, connection: connection)
            case .wakeUps: caller?.noted()
            }
        }
        context.bus.start(receive, gone: { worker in monitor?.gone(worker) })
        devices?.start()
        monitor?.start()
        caller?.start()
        context.phase = .running
        let ports = [("devices", userAgentPort), ("application servers", applicationServerPort), ("wake-up orders", wakeUpPort)]
            .compactMap { name, port in port.map { "\(name) on port \($0)" } }
        context.logger.info(
            "serving \(ports.isEmpty ? "no port" : ports.joined(separator: ", "))",
            metadata: ["worker": "\(name)", "roles": "\(roles.map(\.rawValue).sorted().joined(separator: ","))"])
    }

    /// Ends the worker: `/status` says `Draining` and posts are refused for the configured time, WebSockets are closed with 1012,
    /// acknowledgements are written.
    public func stop() async {
        context.phase = .draining
        context.logger.info("draining")
        for socket in context.sockets.all { socket.execute { $0.drain() } }
        try? await Task.sleep(nanoseconds: UInt64(max(0, context.configuration.drain.nanoseconds)))
        for front in fronts { try? await front.close() }
        await wakeUpCaller?.stop()
        await withCheckedContinuation { continuation in
            context.acknowledgements.flush { continuation.resume() }
        }
        context.bus.close()
        // The store ends what was begun before the event loops go, so that answers to accepted messages are still written.
        context.store.close()
        try? await eventLoops.shutdownGracefully()
        context.counters.add(.notesLost, context.bus.lostNotes)
        let counts = context.counters.nonZero.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        context.logger.info("stopped", metadata: ["counters": "\(counts)"])
    }
}
