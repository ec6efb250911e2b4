import Foundation
import Logging
import NIOCore
import PushProtocol
import PushStore
import Synchronization

/// What the parts of one worker share.
final class WorkerContext: Sendable {
    /// The life of a worker.
    enum Phase: UInt8, AtomicRepresentable, CaseIterable {
        /// Not all parts work yet; then `running`.
        case starting
        /// Then `draining`.
        case running
        /// No new work; the end.
        case draining
    }

    let configuration: WorkerConfiguration
    let logger: Logger
    let store: any MessageStore
    let bus: any MessageBus
    /// Nil: no TLS.
    let tls: TLSIdentity?
    /// Nil: none is written.
    let messageLog: MessageLog?
    let counters: WorkerCounters
    let sockets = DeviceSockets()
    let connections = FrontConnections()
    let descriptors: DescriptorBudget
    /// HTTP requests that have come and are not answered.
    let requestsUnderWay = Gauge()
    /// From a message's acceptance to an acknowledgement of it.
    let acknowledgementTimes = LatencyHistogram(bounds: [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86_400,
    ])
    /// From handing a message to the store until it is durable.
    let acceptTimes = LatencyHistogram(bounds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
    let applications: RegisteredApplications
    let tokenLimiter: RateLimiter?
    let notifyLimiter: RateLimiter?
    let acknowledgements: AcknowledgementBatcher
    let storeTrouble: StoreTrouble
    let load: LoadMeter
    private let currentPhase = Atomic<Phase>(.starting)
    private let currentTokenKeys: Mutex<TokenKeys>

    init(
        configuration: WorkerConfiguration, logger: Logger, store: any MessageStore, bus: any MessageBus, tokenKeys: TokenKeys,
        eventLoops: any EventLoopGroup
    ) throws {
        descriptors = DescriptorBudget(connections: connections)
        let counters = WorkerCounters()
        self.counters = counters
        tls = try configuration.tls.map { try TLSIdentity($0) }
        messageLog = try configuration.messageLog.map {
            try MessageLog(path: $0, worker: bus.name, store: store.identity, counters: counters, logger: logger)
        }
        applications = RegisteredApplications(permittedKeyBits: configuration.permittedKeyBits)
        self.configuration = configuration
        self.logger = logger
        self.store = store
        self.bus = bus
        currentTokenKeys = Mutex(tokenKeys)
        tokenLimiter = configuration.tokenRate.map { RateLimiter($0) }
        notifyLimiter = configuration.notifyRate.map { RateLimiter($0) }
        load = LoadMeter(eventLoops: eventLoops)
        storeTrouble = StoreTrouble(logger: logger)
        acknowledgements = AcknowledgementBatcher(
            store: store, counters: counters, trouble: storeTrouble, messageLog: messageLog, delay: configuration.acknowledgementDelay,
            eventLoop: eventLoops.next())
    }

    var phase: Phase {
        get { currentPhase.load(ordering: .relaxed) }
        set { currentPhase.store(newValue, ordering: .relaxed) }
    }

    /// The keys of the UATokens; they change when their file is read again.
    var tokenKeys: TokenKeys {
        get { currentTokenKeys.withLock { $0 } }
        set { currentTokenKeys.withLock { $0 = newValue } }
    }

    /// The machine's time, in milliseconds since 1970 UTC. What expires does so by the store's.
    var now: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }

    /// Notes a step in the life of a message, if a log is kept.
    func note(
        _ event: MessageStep.Event, _ sequence: Int64? = nil, device: DeviceID? = nil, application: AppToken? = nil,
        to target: WorkerName? = nil, devices: Int? = nil, reason: String? = nil
    ) {
        messageLog?.add(
            MessageStep(
                event: event, sequence: sequence, device: device, application: application, target: target, devices: devices, reason: reason
            ))
    }

    /// The device that a UAToken names.
    func device(ofToken token: String) throws(TokenRefusal) -> DeviceID {
        try UAToken(token, keys: tokenKeys, now: now, lifetime: configuration.tokenLifetime).device
    }
}
