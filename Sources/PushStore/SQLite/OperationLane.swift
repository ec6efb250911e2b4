import Foundation

/// A thread that takes waiting operations in batches, in the order in which they came.
///
/// Under load the next batch gathers while one runs; without load an operation waits for `gathering` at most.
final class OperationLane<Operation: Sendable>: @unchecked Sendable {
    /// When a batch begins.
    struct Limits {
        /// How long the first operation waits for others, until that is changed.
        var gathering: TimeInterval
        /// As many operations do not wait any longer.
        var enough: Int
        /// The most operations of one batch.
        var batch: Int
        /// The most operations that may wait.
        var waiting: Int
    }

    private let limits: Limits
    private let run: (() -> [Operation]) -> Void
    // All below is guarded by the condition's lock.
    private let condition = MonotonicCondition()
    private var waiting: [Operation] = []
    private var gatheringTime: TimeInterval
    private var oldest = MonotonicTime.distantPast
    private var isClosing = false
    private var isDone = false

    /// A lane that calls `run` for each batch, on a thread called `name`. `run` takes the batch when it is ready for it, once: what comes
    /// until then belongs to it.
    init(name: String, limits: Limits, run: @escaping (() -> [Operation]) -> Void) {
        self.limits = limits
        gatheringTime = limits.gathering
        self.run = run
        let thread = Thread { [self] in loop() }
        thread.name = name
        thread.start()
    }

    /// Why an operation was not taken.
    enum Rejection {
        case full, closed
    }

    /// Lets `operation` wait for its batch; nil: taken. `always` takes it past the limit.
    func submit(_ operation: Operation, always: Bool = false) -> Rejection? {
        condition.lock()
        defer { condition.unlock() }
        guard !isClosing else { return .closed }
        guard always || waiting.count < limits.waiting else { return .full }
        if waiting.isEmpty { oldest = .now }
        waiting.append(operation)
        if waiting.count == 1 || waiting.count == limits.enough { condition.broadcast() }
        return nil
    }

    /// How long the first operation of a batch waits for others, in seconds; from the next batch on.
    var gathering: TimeInterval {
        get {
            condition.lock()
            defer { condition.unlock() }
            return gatheringTime
        }
        set {
            condition.lock()
            defer { condition.unlock() }
            gatheringTime = newValue
        }
    }

    /// How many operations wait.
    var length: Int {
        condition.lock()
        defer { condition.unlock() }
        return waiting.count
    }

    /// Runs what waits, then ends the thread. Returns when it has ended.
    func close() {
        condition.lock()
        defer { condition.unlock() }
        isClosing = true
        condition.broadcast()
        while !isDone { condition.wait() }
    }

    private func loop() {
        while waitForBatch() { run(take) }
        condition.lock()
        isDone = true
        condition.broadcast()
        condition.unlock()
    }

    /// Returns when a batch is to begin; false when the lane is closed and nothing waits.
    private func waitForBatch() -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while waiting.isEmpty {
            if isClosing { return false }
            condition.wait()
        }
        let (gathering, start) = (gatheringTime, oldest + gatheringTime)
        while gathering > 0, waiting.count < limits.enough, !isClosing {
            guard condition.wait(until: start) else { break }
        }
        return true
    }

    private func take() -> [Operation] {
        condition.lock()
        defer { condition.unlock() }
        let batch = Array(waiting.prefix(limits.batch))
        waiting.removeFirst(batch.count)
        return batch
    }
}
