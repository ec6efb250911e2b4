public import Logging
public import ServiceLifecycle

/// A worker as a service: it starts, and drains when it is told to stop (SIGTERM).
public struct WorkerService: Service {
    private let configuration: WorkerConfiguration
    private let logger: Logger

    /// A worker set up by `configuration`.
    public init(configuration: WorkerConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    public func run() async throws {
        let worker = try await PushWorker.start(configuration, logger: logger)
        try? await gracefulShutdown()
        await worker.stop()
    }
}
