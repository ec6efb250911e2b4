/// Measures one server from window to window, and has its controller move the number of permissible connections.
///
/// It rests while nothing is outstanding: a window begins with the first request that is dispatched.
struct LoadControl {
    private(set) var window = PerformanceWindow()
    var controller: LimitController
    /// The figures of the last window; nil before the first.
    private(set) var last: Performance?
    private(set) var isMeasuring = false
    /// For how long, in all, requests had waited in the pool when the window was looked at last, and how much of the window that makes.
    private var waitedBefore = Interval.zero

    init(_ control: LimitControl, initial: Int, minimum: Int, maximum: Int) {
        controller = LimitController(control, initial: initial, minimum: minimum, maximum: maximum)
    }

    // MARK: Requests

    /// A request is dispatched.
    /// - Parameter waited: for how long, in all, requests have waited in the pool's queue.
    /// - Returns: the era that it belongs to.
    mutating func dispatched(waited: Interval, at now: Instant) -> UInt32 {
        if !isMeasuring {
            isMeasuring = true
            window.begin(limit: controller.limit, at: now)
            waitedBefore = waited
        }
        return window.dispatched(at: now)
    }

    /// The head of a response has come, so long after its dispatch.
    /// - Returns: whether the window is complete by that.
    mutating func responded(after time: Interval, era: UInt32, at now: Instant) -> Bool {
        window.responded(after: time, era: era)
        return window.isComplete(at: now)
    }

    mutating func departed(after time: Interval, era: UInt32, waited: Interval, at now: Instant) {
        let wasSettling = window.isSettling
        window.departed(after: time, era: era, at: now)
        if wasSettling, !window.isSettling { waitedBefore = waited }
    }

    mutating func failed() { window.failed() }
    mutating func carried(_ bytes: Int) { window.carried(bytes) }
    mutating func report(_ value: Double) { window.report(value) }

    // MARK: Time

    /// When `end` must be called next; `distantFuture` while it rests.
    func due(at now: Instant) -> Instant { isMeasuring ? window.due(at: now) : .distantFuture }

    /// Ends the window, if it is long enough, and moves the limit.
    /// - Returns: whether the limit is another one now.
    mutating func end(waited: Interval, at now: Instant) -> Bool {
        guard isMeasuring else { return false }
        if (waited - waitedBefore) * 2 >= now - window.begun, waited > waitedBefore { window.queued() }
        let wasBusy = window.isBusy
        let wasSettling = window.isSettling
        guard let figures = window.end(at: now) else {
            if wasSettling, !window.isSettling { waitedBefore = waited }
            return false
        }
        waitedBefore = waited
        guard wasBusy else {
            isMeasuring = false
            return false
        }
        last = figures
        let before = controller.limit
        let limit = controller.take(figures)
        if limit != before { window.changeLimit(to: limit, at: now) }
        return limit != before
    }

    /// The limit is another one for a reason that is not the controller's.
    mutating func changedLimit(at now: Instant) {
        if isMeasuring { window.changeLimit(to: controller.limit, at: now) }
    }
}
