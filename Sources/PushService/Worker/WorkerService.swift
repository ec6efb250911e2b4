public import Logging
public import ServiceLifecycle
import Synchronization

/// A worker as a service: it starts, and drains when it is told to stop (SIGTERM).
public struct WorkerService: Service {
    private let configuration: WorkerConfiguration
    private let logger: Logger
    private let running = Running()

    private final class Running: Sendable {
        let worker = Mutex<PushWorker?>(nil)
    }

    /// The worker, once it has started.
    public var worker: PushWorker? { running.worker.withLock { $0 } }

    /// A worker set up by `configuration`.
    public init(configuration: WorkerConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    public func run() async throws {
        let worker = try await PushWorker.start(configuration, logger: logger)
        running.worker.withLock { $0 = worker }
        try? await gracefulShutdown()
        await worker.stop()
    }
}
