import NIOCore
import PushStore
import Synchronization

/// Gathers the acknowledgements of all devices, to be written in batches. Those that wait are lost in a crash; the device then gets the
/// message again.
///
/// Those that the store does not take are kept and tried again until it does. So many are kept at most; further ones are lost.
final class AcknowledgementBatcher: Sendable {
    /// As many do not wait any longer.
    private static let enough = 512
    /// The most of one operation.
    private static let batch = 4096
    /// The most of one operation after many failures.
    private static let smallBatch = 32
    /// The most that are kept while the store fails: 8 MiB.
    static let limit = 262_144
    /// After a failure the store is left alone for this time.
    private static let pause = TimeAmount.seconds(1)

    private struct State {
        var waiting: [Acknowledgement] = []
        /// A task will flush.
        var isScheduled = false
        /// The store did not take the last ones.
        var isFailing = false
        /// The most of the next operation: less after a failure, for a small one may still find room on a full disk.
        var most = AcknowledgementBatcher.batch
    }

    private let store: any MessageStore
    private let counters: WorkerCounters
    private let trouble: StoreTrouble
    private let messageLog: MessageLog?
    private let delay: TimeAmount
    private let limit: Int
    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    init(
        store: any MessageStore, counters: WorkerCounters, trouble: StoreTrouble, messageLog: MessageLog?, delay: TimeAmount,
        limit: Int = limit, eventLoop: any EventLoop
    ) {
        self.store = store
        self.counters = counters
        self.trouble = trouble
        self.messageLog = messageLog
        self.delay = delay
        self.limit = limit
        self.eventLoop = eventLoop
    }

    func add(_ acknowledgement: Acknowledgement) {
        let (count, isFailing) = state.withLock { state in
            state.waiting.append(acknowledgement)
            trim(&state)
            return (state.waiting.count, state.isFailing)
        }
        // After a failure the next attempt is scheduled already.
        guard !isFailing else { return }
        if count >= Self.enough { flush() } else { schedule(in: delay) }
    }

    /// Hands what waits to the store, before whatever is handed to it next; `then` is called when it is written, or cannot be written now.
    func flush(then: (@Sendable () -> Void)? = nil) {
        if state.withLock({ $0.isFailing }) {
            // The next attempt is scheduled; nobody waits for the store to recover.
            then?()
        } else {
            write(then: then)
        }
    }

    /// The last attempt: `then` is called when everything is written, or is lost.
    func finish(then: @escaping @Sendable () -> Void) {
        write { [self] in
            let left = state.withLock { state in
                if state.isFailing { lose(state.waiting.count, of: &state) }
                return state.waiting.count
            }
            if left > 0 { finish(then: then) } else { then() }
        }
    }

    private func write(then: (@Sendable () -> Void)? = nil) {
        let batch = state.withLock { state in
            let batch = Array(state.waiting.prefix(state.most))
            state.waiting.removeFirst(batch.count)
            return batch
        }
        guard !batch.isEmpty || then != nil else { return }
        store.acknowledge(batch) { [self] outcome in
            switch outcome {
            case .success(let unknown):
                counters.add(.acknowledged, batch.count - unknown)
                counters.add(.acknowledgementsUnknown, unknown)
                if !batch.isEmpty { trouble.written() }
                let isMore = state.withLock { state in
                    state.isFailing = false
                    state.most = Self.batch
                    return !state.waiting.isEmpty
                }
                if isMore { schedule(in: delay) }
            case .failure(let error): keep(batch, error)
            }
            then?()
        }
    }

    private func schedule(in time: TimeAmount) {
        let begins = state.withLock { state in
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        guard begins else { return }
        eventLoop.scheduleTask(in: time) { [self] in
            state.withLock { $0.isScheduled = false }
            write()
        }
    }

    // MARK: Failures

    private func keep(_ batch: [Acknowledgement], _ error: StoreError) {
        trouble.failed(error)
        let isClosed = error == .closed
        state.withLock { state in
            state.isFailing = true
            state.most = max(Self.smallBatch, batch.count / 2)
            state.waiting.insert(contentsOf: batch, at: 0)
            trim(&state)
            if isClosed { lose(state.waiting.count, of: &state) }
        }
        guard !isClosed else { return }
        counters.add(.acknowledgementsPostponed, batch.count)
        schedule(in: Self.pause)
    }

    private func trim(_ state: inout State) {
        if state.waiting.count > limit { lose(state.waiting.count - limit, of: &state) }
    }

    private func lose(_ count: Int, of state: inout State) {
        for lost in state.waiting.suffix(count) {
            messageLog?.add(
                MessageStep(
                    event: .acknowledgementLost, sequence: lost.sequence, device: lost.device, reason: "the store is unavailable"))
        }
        state.waiting.removeLast(count)
        counters.add(.acknowledgementsLost, count)
    }
}
