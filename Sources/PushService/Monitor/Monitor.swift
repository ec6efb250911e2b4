import NIOCore
import PushProtocol
import PushStore
import Synchronization

/// NS-Monitor (chapter 4): finds the devices of each new message, tells the workers that hold the sockets of those that are connected, has
/// those woken that sleep, and removes what has expired and devices that have not come for long.
final class Monitor: Sendable {
    private let context: WorkerContext
    private let eventLoop: any EventLoop
    /// Applications whose devices are being looked up, each with the sequence numbers that have come since; without a message log only
    /// the greatest is kept.
    private let inProgress = Mutex<[Int64: [Int64]]>([:])

    init(context: WorkerContext, eventLoop: any EventLoop) {
        self.context = context
        self.eventLoop = eventLoop
    }

    /// Begins to remove what has expired.
    func start() {
        scheduleExpiry()
    }

    // MARK: Routing

    /// The store has accepted a message. While the devices of its application are being looked up, later messages only wait.
    func accepted(application: Int64, sequence: Int64) {
        let isLogged = context.messageLog != nil
        let begins = inProgress.withLock { inProgress in
            guard let waiting = inProgress[application] else {
                inProgress[application] = []
                return true
            }
            if isLogged {
                inProgress[application, default: []].append(sequence)
            } else {
                inProgress[application] = [max(waiting.first ?? 0, sequence)]
            }
            return false
        }
        if begins { route(application: application, sequences: [sequence]) }
    }

    /// - Parameter sequences: not empty.
    private func route(application: Int64, sequences: [Int64]) {
        context.store.recipients(of: application) { [self] outcome in
            switch outcome {
            case .success(let recipients):
                tell(recipients.connected, sequences: sequences)
                if recipients.hasSleepers { wake(application) }
            case .failure(let error):
                context.storeTrouble.failed(error)
                context.counters.add(.storeReadsFailed)
            }
            let next = inProgress.withLock { inProgress -> [Int64] in
                let waiting = inProgress[application] ?? []
                inProgress[application] = waiting.isEmpty ? nil : []
                return waiting
            }
            if !next.isEmpty { route(application: application, sequences: next) }
        }
    }

    private func tell(_ recipients: [Recipient], sequences: [Int64]) {
        guard let sequence = sequences.max() else { return }
        if recipients.isEmpty {
            for sequence in sequences { context.note(.routed, sequence, devices: 0, reason: "no device is connected") }
        }
        for (worker, group) in Dictionary(grouping: recipients, by: \.worker) {
            for sequence in sequences { context.note(.routed, sequence, to: worker, devices: group.count) }
            for start in stride(from: 0, to: group.count, by: BusNote.deviceLimit) {
                let devices = group[start..<min(start + BusNote.deviceLimit, group.count)].map(\.device)
                context.bus.send(.arrived(sequence: sequence, devices: devices), to: .worker(worker))
            }
        }
    }

    // MARK: Sleepers

    private func wake(_ application: Int64) {
        context.store.requestWakeUps(of: application, now: context.store.now) { [self] outcome in
            switch outcome {
            case .success(let count): requested(count)
            case .failure(let error):
                context.storeTrouble.failed(error)
                context.counters.add(.storeWritesFailed)
            }
        }
    }

    private func requested(_ count: Int) {
        guard count > 0 else { return }
        context.counters.add(.wakeUpsRequested, count)
        context.bus.send(.wakeUps, to: .any(.uaUDP))
    }

    /// A worker has died: its devices have no socket any more, and those that can be woken are, for what they have missed.
    func gone(_ worker: WorkerName) {
        guard worker != context.bus.name else { return }
        context.store.disconnectAll(of: worker, now: context.store.now) { [self] outcome in
            switch outcome {
            case .success(0): break
            case .success(let count):
                context.logger.notice("a worker is gone", metadata: ["gone": "\(worker)", "devices": "\(count)"])
                context.bus.send(.wakeUps, to: .any(.uaUDP))
            case .failure(let error):
                context.storeTrouble.failed(error)
                context.counters.add(.storeWritesFailed)
            }
        }
    }

    // MARK: Retention

    private func scheduleExpiry() {
        eventLoop.scheduleTask(in: context.configuration.expiry) { self.removeExpired() }
    }

    private func removeExpired() {
        context.store.removeExpired(now: context.store.now) { [self] outcome in
            switch outcome {
            case .success([]): removeUnseen()
            case .success(let removed):
                for message in removed {
                    context.counters.add(message.isTransient ? .messagesDropped : .messagesExpired)
                    context.note(
                        message.isTransient ? .dropped : .expired, message.sequence,
                        reason: message.isTransient ? "ttl 0: who was connected has got it" : "its ttl is over")
                }
                removeExpired()
            case .failure(let error): pauseRetention(after: error)
            }
        }
    }

    private func removeUnseen() {
        guard let days = context.configuration.deviceRetention else { return scheduleExpiry() }
        context.store.removeUnseen(since: context.store.now - Int64(days) * 86_400_000) { [self] outcome in
            switch outcome {
            case .success(0): scheduleExpiry()
            case .success(let removed):
                context.counters.add(.devicesUnseen, removed)
                removeUnseen()
            case .failure(let error): pauseRetention(after: error)
            }
        }
    }

    private func pauseRetention(after error: StoreError) {
        guard error != .closed else { return }
        context.storeTrouble.failed(error)
        scheduleExpiry()
    }
}
