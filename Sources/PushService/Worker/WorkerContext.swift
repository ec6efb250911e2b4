import Foundation
import Logging
import NIOCore
import PushProtocol
import PushStore
import Synchronization

/// What the parts of one worker share.
final class WorkerContext: Sendable {
    /// The life of a worker.
    enum Phase: UInt8, AtomicRepresentable {
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
    let tokenKeys: TokenKeys
    let counters = WorkerCounters()
    let sockets = DeviceSockets()
    let applications = TwoGenerationCache<AppToken, RegisteredApplication>(limit: 16_384)
    let tokenLimiter: RateLimiter?
    let notifyLimiter: RateLimiter?
    let acknowledgements: AcknowledgementBatcher
    let storeTrouble: StoreTrouble
    let load: LoadMeter
    private let currentPhase = Atomic<Phase>(.starting)

    init(
        configuration: WorkerConfiguration, logger: Logger, store: any MessageStore, bus: any MessageBus, tokenKeys: TokenKeys,
        eventLoops: any EventLoopGroup
    ) {
        self.configuration = configuration
        self.logger = logger
        self.store = store
        self.bus = bus
        self.tokenKeys = tokenKeys
        tokenLimiter = configuration.tokenRate.map { RateLimiter($0) }
        notifyLimiter = configuration.notifyRate.map { RateLimiter($0) }
        load = LoadMeter(eventLoops: eventLoops)
        storeTrouble = StoreTrouble(logger: logger)
        acknowledgements = AcknowledgementBatcher(
            store: store, counters: counters, trouble: storeTrouble, delay: configuration.acknowledgementDelay, eventLoop: eventLoops.next()
        )
    }

    var phase: Phase {
        get { currentPhase.load(ordering: .relaxed) }
        set { currentPhase.store(newValue, ordering: .relaxed) }
    }

    /// The machine's time, in milliseconds since 1970 UTC. What expires does so by the store's.
    var now: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }

    /// The device that a UAToken names.
    func device(ofToken token: String) throws(TokenRefusal) -> DeviceID {
        try UAToken(token, keys: tokenKeys, now: now, lifetime: configuration.tokenLifetime).device
    }
}
