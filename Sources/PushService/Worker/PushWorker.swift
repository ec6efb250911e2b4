import Foundation
import Glibc
public import Logging
import NIOCore
import NIOPosix
import PushProtocol
import PushStore

/// A running worker: its roles, with their fronts, on one store and one bus.
public final class PushWorker: Sendable {
    let context: WorkerContext
    let eventLoops: MultiThreadedEventLoopGroup
    let fronts: [WorkerFront: any Channel]
    /// The bound port of the front for devices; nil without that role.
    public var userAgentPort: Int? { port(.userAgents) }
    /// The bound port of the front for application servers; nil without that role.
    public var applicationServerPort: Int? { port(.applicationServers) }
    /// The bound port with TLS; nil without it.
    public var tlsPort: Int? { port(.tls) }
    /// The bound port of NS-WakeUp; nil without that role.
    public var wakeUpPort: Int? { port(.wakeUp) }
    /// The bound port of the admin listener; nil without one.
    public var adminPort: Int? { port(.admin) }
    let wakeUpCaller: WakeUpCaller?

    /// What the worker has counted.
    public var counters: WorkerCounters { context.counters }
    /// The name under which other workers reach this one.
    public var name: String { context.bus.name.description }

    private init(context: WorkerContext, eventLoops: MultiThreadedEventLoopGroup, fronts: [WorkerFront: any Channel]) {
        self.context = context
        self.eventLoops = eventLoops
        self.fronts = fronts
        wakeUpCaller = context.configuration.roles.contains(.uaUDP) ? WakeUpCaller(context: context, eventLoops: eventLoops) : nil
    }

    private func port(_ front: WorkerFront) -> Int? { fronts[front]?.localAddress?.port }

    /// Opens the data directory and the fronts, and begins to serve.
    ///
    /// - Throws: `WorkerError` with what failed, why, and what to do.
    public static func start(_ configuration: WorkerConfiguration, logger: Logger) async throws -> PushWorker {
        if configuration.roles == [.wakeUp] {
            let bus = InProcessBus(hub: InProcessBus.Hub(), roles: [])
            return try await start(configuration, logger: logger, store: NoStore(), bus: bus, tokenKeys: TokenKeys())
        }
        try makeDirectory(configuration.dataDirectory)
        let hasStore = StoreCheck.exists(in: configuration.dataDirectory)
        let hasKeys = FileManager.default.fileExists(atPath: configuration.tokenKeysPath)
        if hasStore, !hasKeys {
            logger.warning(
                "there is a store but no token keys: a new key is made, and every device must get a new token; was the file lost?",
                metadata: ["file": "\(configuration.tokenKeysPath)"])
        } else if hasKeys, !hasStore {
            logger.warning(
                "there are token keys but no store: an empty one is made; was the database lost?",
                metadata: ["directory": "\(configuration.dataDirectory)"])
        }
        let keys = try TokenKeyFile.loadOrCreate(configuration.tokenKeysPath)
        let store: SQLiteStore
        let bus: DirectoryBus
        do {
            if configuration.checksStore { try checkStore(configuration.dataDirectory, logger: logger) }
            store = try SQLiteStore(directory: configuration.dataDirectory)
            bus = try DirectoryBus(directory: configuration.dataDirectory, roles: configuration.busRoles)
        } catch StoreError.unavailable(let reason) {
            throw WorkerError("cannot use the data directory \(configuration.dataDirectory): \(reason)")
        }
        return try await start(configuration, logger: logger, store: store, bus: bus, tokenKeys: keys)
    }

    /// Reads the whole database before anything is served from it.
    private static func checkStore(_ directory: String, logger: Logger) throws {
        guard StoreCheck.exists(in: directory) else { return }
        let report = try StoreCheck.run(directory: directory)
        guard report.problems.isEmpty else {
            throw StoreError.unavailable(
                "the check of the database found: \(report.problems.joined(separator: "; ")); restore a back-up (docs/store.md)")
        }
        logger.info("the database is whole", metadata: ["bytes": "\(report.bytes)", "seconds": "\(report.seconds)"])
    }

    /// Opens the fronts on any engine, and begins to serve. Store and bus are the worker's from then on, also when this fails.
    static func start(
        _ configuration: WorkerConfiguration, logger: Logger, store: any MessageStore, bus: any MessageBus, tokenKeys: TokenKeys
    ) async throws -> PushWorker {
        let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoops ?? Processors.usable)
        var messageLog: MessageLog?
        do {
            let context = try WorkerContext(
                configuration: configuration, logger: logger, store: store, bus: bus, tokenKeys: tokenKeys, eventLoops: eventLoops)
            messageLog = context.messageLog
            var fronts: [WorkerFront: any Channel] = [:]
            for front in try self.fronts(context, eventLoops) { fronts[front.front] = try await front.bind(on: eventLoops) }
            let worker = PushWorker(context: context, eventLoops: eventLoops, fronts: fronts)
            worker.startRoles()
            return worker
        } catch {
            bus.close()
            try? await eventLoops.shutdownGracefully()
            store.close()
            messageLog?.close()
            throw error
        }
    }

    /// The listeners that the configuration asks for.
    private static func fronts(_ context: WorkerContext, _ eventLoops: MultiThreadedEventLoopGroup) throws -> [HTTPFront] {
        let configuration = context.configuration
        var fronts: [HTTPFront] = []
        func add(_ front: WorkerFront, _ address: String, _ port: Int, _ routes: any HTTPRoutes) {
            fronts.append(HTTPFront(front: front, address: address, port: port, routes: routes, context: context))
        }
        if configuration.roles.contains(.uaWS) {
            add(.userAgents, configuration.listenAddress, configuration.userAgentPort, UserAgentRoutes(context: context))
        }
        if configuration.roles.contains(.applicationServers) {
            add(
                .applicationServers, configuration.listenAddress, configuration.applicationServerPort,
                ApplicationServerRoutes(context: context))
        }
        if configuration.roles.contains(.wakeUp) {
            let sender = try WakeUpSender.open(eventLoops: eventLoops)
            add(.wakeUp, configuration.listenAddress, configuration.wakeUpPort, WakeUpRoutes(context: context, sender: sender))
        }
        if let tls = configuration.tls { add(.tls, configuration.listenAddress, tls.port, PublicRoutes(context: context)) }
        if let admin = configuration.admin { add(.admin, admin.address, admin.port, AdminRoutes(context: context)) }
        return fronts
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
            case .message(let message, let device, let previous): devices?.arrived(message, device: device, previous: previous)
            case .replaced(let device, let connection): devices?.replaced(device: device, connection: connection)
            case .wakeUps: caller?.noted()
            }
        }
        context.bus.start(receive, gone: { worker in monitor?.gone(worker) })
        devices?.start()
        monitor?.start()
        caller?.start()
        context.descriptors.refresh(always: true)
        context.phase = .running
        let ports = WorkerFront.allCases.compactMap { front in port(front).map { "\(front.title) on port \($0)" } }
        context.logger.info(
            "serving \(ports.isEmpty ? "no port" : ports.joined(separator: ", "))",
            metadata: ["worker": "\(name)", "roles": "\(roles.map(\.rawValue).sorted().joined(separator: ","))"])
    }

    // MARK: Signals

    /// Reads the certificate with its key, and the token keys, again. What is bad is logged and counted, and the old stays.
    public func reload() {
        if let tls = context.tls {
            reload("the TLS certificate", .certificateReloaded, .certificateRefused) { try tls.reload() }
        }
        reload("the token keys", .tokenKeysReloaded, .tokenKeysRefused) {
            context.tokenKeys = try TokenKeyFile.read(context.configuration.tokenKeysPath)
        }
    }

    private func reload(_ what: String, _ done: WorkerCount, _ refused: WorkerCount, _ body: () throws -> Void) {
        do {
            try body()
            context.counters.add(done)
            context.logger.info("\(what): read again")
        } catch {
            context.counters.add(refused)
            context.logger.error("\(what): not read again, the old goes on: \(error)")
        }
    }

    /// Opens the message log again, after it was moved away.
    public func reopenLogs() {
        context.messageLog?.reopen()
    }
}
