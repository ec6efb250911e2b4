import Foundation

/// A thread that takes waiting operations in batches, in the order in which they came.
///
/// Under load the next batch gathers while one runs; without load an operation waits for `gathering` at most.
final class OperationLane<Operation: Sendable>: @unchecked Sendable {
    /// When a batch begins.
    struct Limits {
        /// How long the first operation waits for others.
        var gathering: TimeInterval
        /// As many operations do not wait any longer.
        var enough: Int
        /// The most operations of one batch.
        var batch: Int
        /// The most operations that may wait.
        var waiting: Int
    }

    private let limits: Limits
    private let run: ([Operation]) -> Void
    // All below is guarded by the condition's lock.
    private let condition = MonotonicCondition()
    private var waiting: [Operation] = []
    private var oldest = MonotonicTime.distantPast
    private var isClosing = false
    private var isDone = false

    /// A lane that hands batches to `run` on a thread called `name`.
    init(name: String, limits: Limits, run: @escaping ([Operation]) -> Void) {
        self.limits = limits
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
        while let batch = next() { run(batch) }
        condition.lock()
        isDone = true
        condition.broadcast()
        condition.unlock()
    }

    /// The next batch; nil when the lane is closed and nothing waits.
    private func next() -> [Operation]? {
        condition.lock()
        defer { condition.unlock() }
        while waiting.isEmpty {
            if isClosing { return nil }
            condition.wait()
        }
        let start = oldest + limits.gathering
        while limits.gathering > 0, waiting.count < limits.enough, !isClosing {
            guard condition.wait(until: start) else { break }
        }
        let batch = Array(waiting.prefix(limits.batch))
        waiting.removeFirst(batch.count)
        return batch
    }
}
