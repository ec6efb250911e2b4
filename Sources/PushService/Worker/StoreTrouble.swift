import Logging
import NIOCore
import PushStore
import Synchronization

/// Says in the log that the store has stopped working, why, and that it works again; not for each operation that fails in between.
final class StoreTrouble: Sendable {
    private struct State {
        /// When the first operation failed; nil: the store works.
        var since: NIODeadline?
        var said = NIODeadline.uptimeNanoseconds(0)
        /// Operations that have failed since then.
        var failures = 0
    }

    /// While the trouble lasts it is named again after this time.
    private static let interval = TimeAmount.seconds(60)

    private let logger: Logger
    private let state = Mutex(State())
    /// Spares the lock while all is well.
    private let isTroubled = Atomic<Bool>(false)

    init(logger: Logger) {
        self.logger = logger
    }

    /// An operation has failed.
    func failed(_ error: StoreError) {
        guard case .unavailable(let reason) = error else { return }
        let failures = state.withLock { state -> Int? in
            let now = NIODeadline.now()
            state.failures += 1
            isTroubled.store(true, ordering: .relaxed)
            if state.since != nil, now - state.said < Self.interval { return nil }
            if state.since == nil { state.since = now }
            state.said = now
            return state.failures
        }
        guard let failures else { return }
        logger.error("the store does not work: \(reason)", metadata: ["failures": "\(failures)"])
    }

    /// Something has been written.
    func written() {
        guard isTroubled.load(ordering: .relaxed) else { return }
        let ended = state.withLock { state -> State? in
            guard state.since != nil else { return nil }
            defer { state = State() }
            isTroubled.store(false, ordering: .relaxed)
            return state
        }
        guard let ended, let since = ended.since else { return }
        let seconds = (NIODeadline.now() - since).nanoseconds / 1_000_000_000
        logger.notice("the store works again", metadata: ["failures": "\(ended.failures)", "seconds": "\(seconds)"])
    }
}
