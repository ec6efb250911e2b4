import Glibc
import Logging
import ServiceLifecycle
import UnixSignals

/// The process around a worker: log, limits, signals.
public enum WorkerProcess {
    /// The levels of the log, most talkative first.
    public static let logLevels = Logger.Level.allCases.map(\.rawValue)

    /// Serves until SIGTERM or SIGINT, then drains; a second one ends the process at once. SIGHUP reads certificate and keys again, SIGUSR1
    /// opens the message log again. Logs to standard error.
    ///
    /// - Parameter logLevel: one of `logLevels`.
    /// - Throws: `WorkerError` when the worker cannot start.
    public static func run(_ configuration: WorkerConfiguration, logLevel: String) async throws {
        var logger = Logger(label: "sluice-worker") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = Logger.Level(rawValue: logLevel) ?? .info
        umask(0o077)
        raiseDescriptorLimit()
        // A log that nobody reads any more must not end the worker.
        signal(SIGPIPE, SIG_IGN)
        let service = WorkerService(configuration: configuration, logger: logger)
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: service, successTerminationBehavior: .gracefullyShutdownGroup)], logger: logger))
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup, .sigusr1)
        let heeding = Task { await heed(signals, service: service, group: group, logger: logger) }
        defer { heeding.cancel() }
        try await group.run()
    }

    private static func heed(_ signals: UnixSignalsSequence, service: WorkerService, group: ServiceGroup, logger: Logger) async {
        var isStopping = false
        for await signal in signals {
            switch signal {
            case .sighup: service.worker?.reload()
            case .sigusr1: service.worker?.reopenLogs()
            case _ where !isStopping:
                isStopping = true
                await group.triggerGracefulShutdown()
            default:
                // What was accepted is on disk; acknowledgements of the last moment come again as duplicates.
                logger.warning("a second signal: ending at once, without draining")
                _exit(0)
            }
        }
    }

    /// One descriptor a device: as many as the system lets this process have.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }
}
