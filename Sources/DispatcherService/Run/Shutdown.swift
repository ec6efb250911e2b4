import DispatcherCore

/// How the service ends: stop taking connections, wait until the last is gone or the time is over, reset what is left. A value that
/// is told the time and says what to do, so that it needs no thread to be tested.
struct Shutdown {
    enum Step: Equatable {
        /// Ask again after this time.
        case wait(milliseconds: Int32)
        /// Tell the engine, then leave.
        case abort
        /// Leave: nothing is left.
        case quit
    }

    private let deadline: Instant
    private var isHurried = false

    /// - Parameter drain: how long connections may take to finish.
    init(at now: Instant, drain: Interval) { deadline = now + drain }

    /// A second signal: do not wait any longer.
    mutating func hurry() { isHurried = true }

    func next(at now: Instant, isDrained: Bool) -> Step {
        if isDrained { return .quit }
        if isHurried || now >= deadline { return .abort }
        return .wait(milliseconds: Int32(min(50, max(1, (deadline - now).milliseconds))))
    }
}
