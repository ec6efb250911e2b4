import Foundation
import Logging
import PushStore

/// The file in which a worker writes down what happens to each message, on a thread of its own.
///
/// Whoever adds a step never waits: when too many are to be written, the newest are lost, and counted.
final class MessageLog: @unchecked Sendable {
    /// How many steps may wait.
    static let waitingLimit = 65_536
    /// How long the thread lets steps gather, in seconds.
    private static let gathering = 0.01
    /// How long the end waits for the file, in seconds.
    private static let closingTime = 2.0

    private let path: String
    private let worker: WorkerName
    private let store: UInt32
    private let counters: WorkerCounters
    private let logger: Logger
    // All below but the file is guarded by the condition's lock; the file is the thread's.
    private let condition = NSCondition()
    private var waiting: [MessageStep] = []
    private var wantsReopening = false
    private var isClosing = false
    private var isDone = false
    private var file: AppendedFile

    /// Opens the file at `path`, makes it when it is missing, and starts the thread.
    ///
    /// - Parameter store: the identity of the store, the first part of a messageId.
    /// - Throws: `WorkerError` when the file cannot be opened.
    init(path: String, worker: WorkerName, store: UInt32, counters: WorkerCounters, logger: Logger) throws {
        self.path = path
        self.worker = worker
        self.store = store
        self.counters = counters
        self.logger = logger
        file = try AppendedFile(path)
        let thread = Thread { [self] in loop() }
        thread.name = "message-log"
        thread.start()
    }

    /// Writes a step soon.
    func add(_ step: MessageStep) {
        condition.lock()
        let isTaken = waiting.count < Self.waitingLimit && !isClosing
        if isTaken {
            waiting.append(step)
            if waiting.count == 1 { condition.broadcast() }
        }
        condition.unlock()
        if !isTaken { counters.add(.messageLogLinesLost) }
    }

    /// Opens the file again, after it was moved away (SIGUSR1), before the next step is written.
    func reopen() {
        condition.lock()
        wantsReopening = true
        condition.broadcast()
        condition.unlock()
    }

    /// Writes what waits, then ends the thread. Returns when it has ended, or when it is held up for too long: what waits then is lost.
    func close() {
        condition.lock()
        isClosing = true
        condition.broadcast()
        let end = Date(timeIntervalSinceNow: Self.closingTime)
        while !isDone, condition.wait(until: end) {}
        let lost = isDone ? 0 : waiting.count
        if lost > 0 { waiting = [] }
        condition.unlock()
        guard lost > 0 else { return }
        counters.add(.messageLogLinesLost, lost)
        logger.error("\(lost) lines of the message log \(path) are lost: it takes no more")
    }

    // MARK: The thread

    private func loop() {
        while let (steps, reopens) = next() {
            if reopens { reopenFile() }
            write(steps)
        }
        condition.lock()
        isDone = true
        condition.broadcast()
        condition.unlock()
    }

    /// What is to be done next; nil: nothing any more.
    private func next() -> (steps: [MessageStep], reopens: Bool)? {
        condition.lock()
        while waiting.isEmpty, !wantsReopening {
            if isClosing {
                condition.unlock()
                return nil
            }
            condition.wait()
        }
        if !isClosing, !wantsReopening {
            condition.unlock()
            Thread.sleep(forTimeInterval: Self.gathering)
            condition.lock()
        }
        defer {
            waiting = []
            wantsReopening = false
            condition.unlock()
        }
        return (waiting, wantsReopening)
    }

    private func reopenFile() {
        do {
            try file.reopen()
        } catch {
            logger.error("the message log goes on in the old file: \(error)")
        }
    }

    private func write(_ steps: [MessageStep]) {
        guard !steps.isEmpty else { return }
        if let reason = file.write(steps.flatMap { $0.line(worker: worker, store: store) }) {
            counters.add(.messageLogLinesLost, steps.count)
            logger.error("\(steps.count) lines of the message log \(path) are lost: \(reason)")
        }
    }
}
