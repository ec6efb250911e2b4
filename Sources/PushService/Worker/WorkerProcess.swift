import Glibc
import Logging
import ServiceLifecycle

/// The process around a worker: log, limits, signals.
public enum WorkerProcess {
    /// The levels of the log, most talkative first.
    public static let logLevels = Logger.Level.allCases.map(\.rawValue)

    /// Serves until SIGTERM or SIGINT, then drains. Logs to standard error.
    ///
    /// - Parameter logLevel: one of `logLevels`.
    /// - Throws: `WorkerError` when the worker cannot start.
    public static func run(_ configuration: WorkerConfiguration, logLevel: String) async throws {
        var logger = Logger(label: "sluice-worker") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = Logger.Level(rawValue: logLevel) ?? .info
        umask(0o077)
        raiseDescriptorLimit()
        let service = WorkerService(configuration: configuration, logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
    }

    /// One descriptor a device: as many as the system lets this process have.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
