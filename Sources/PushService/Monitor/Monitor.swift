import NIOCore
import PushProtocol
import PushStore
import Synchronization

/// NS-Monitor (chapter 4): finds the connected devices of each new message, tells the workers that hold their sockets, and removes what
/// has expired.
final class Monitor: Sendable {
    private let context: WorkerContext
    private let eventLoop: any EventLoop
    /// Applications whose devices are being looked up, each with the greatest sequence number that has come since; nil: none.
    private let inProgress = Mutex<[Int64: Int64?]>([:])

    init(context: WorkerContext, eventLoop: any EventLoop) {
        self.context = context
        self.eventLoop = eventLoop
    }

    /// Begins to remove expired messages.
    func start() {
        scheduleExpiry()
    }

    // MARK: Routing

    /// The store has accepted a message. While the devices of its application are being looked up, later messages only wait.
    func accepted(application: Int64, sequence: Int64) {
        let begins = inProgress.withLock { inProgress in
            guard let waiting = inProgress[application] else {
                inProgress[application] = .some(nil)
                return true
            }
            inProgress[application] = .some(max(waiting ?? 0, sequence))
            return false
        }
        if begins { route(application: application, sequence: sequence) }
    }

    private func route(application: Int64, sequence: Int64) {
        context.store.recipients(of: application) { [self] outcome in
            switch outcome {
            case .success(let recipients): tell(recipients, sequence: sequence)
            case .failure: context.counters.add(.storeReadsFailed)
            }
            let next = inProgress.withLock { inProgress -> Int64? in
                guard let waiting = inProgress[application] ?? nil else {
                    inProgress[application] = nil
                    return nil
                }
                inProgress[application] = .some(nil)
                return waiting
            }
            if let next { route(application: application, sequence: next) }
        }
    }

    private func tell(_ recipients: [Recipient], sequence: Int64) {
        for (worker, group) in Dictionary(grouping: recipients, by: \.worker) {
            for start in stride(from: 0, to: group.count, by: BusNote.deviceLimit) {
                let devices = group[start..<min(start + BusNote.deviceLimit, group.count)].map(\.device)
                context.bus.send(.arrived(sequence: sequence, devices: devices), to: .worker(worker))
            }
        }
    }

    // MARK: Expiry

    private func scheduleExpiry() {
        eventLoop.scheduleTask(in: context.configuration.expiry) { self.removeExpired() }
    }

    private func removeExpired() {
        context.store.removeExpired(now: context.now) { [self] outcome in
            switch outcome {
            case .success(0): scheduleExpiry()
            case .success(let removed):
                context.counters.add(.messagesExpired, removed)
                removeExpired()
            case .failure(.closed): break
            case .failure: scheduleExpiry()
            }
        }
    }
}
