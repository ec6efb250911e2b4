import NIOCore
import PushStore
import Synchronization

/// Gathers the acknowledgements of all devices, to be written in batches. Those that wait are lost in a crash; the device then gets the
/// message again.
final class AcknowledgementBatcher: Sendable {
    /// As many do not wait any longer.
    private static let enough = 512

    private let store: any MessageStore
    private let counters: WorkerCounters
    private let messageLog: MessageLog?
    private let delay: TimeAmount
    private let eventLoop: any EventLoop
    private let waiting = Mutex<[Acknowledgement]>([])

    init(store: any MessageStore, counters: WorkerCounters, messageLog: MessageLog?, delay: TimeAmount, eventLoop: any EventLoop) {
        self.store = store
        self.counters = counters
        self.messageLog = messageLog
        self.delay = delay
        self.eventLoop = eventLoop
    }

    func add(_ acknowledgement: Acknowledgement) {
        let count = waiting.withLock { waiting in
            waiting.append(acknowledgement)
            return waiting.count
        }
        if count == 1 {
            eventLoop.scheduleTask(in: delay) { self.flush() }
        } else if count >= Self.enough {
            flush()
        }
    }

    /// Hands what waits to the store, before whatever is handed to it next; `then` is called when it is written.
    func flush(then: (@Sendable () -> Void)? = nil) {
        let batch = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        guard !batch.isEmpty || then != nil else { return }
        let (counters, messageLog) = (counters, messageLog)
        store.acknowledge(batch) { outcome in
            switch outcome {
            case .success(let unknown):
                counters.add(.acknowledged, batch.count - unknown)
                counters.add(.acknowledgementsUnknown, unknown)
            case .failure:
                counters.add(.acknowledgementsLost, batch.count)
                for lost in batch {
                    messageLog?.add(
                        MessageStep(
                            event: .acknowledgementLost, sequence: lost.sequence, device: lost.device, reason: "the store is unavailable"))
                }
            }
            then?()
        }
    }
}
