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
    /// Whether the server has said something of itself that the controller has not heard yet.
    private var hasReport = false

    init(_ control: LimitControl, initial: Int, minimum: Int, maximum: Int) {
        controller = LimitController(control, initial: initial, minimum: minimum, maximum: maximum)
    }

    /// Another configuration: what moves the limit begins anew at the limit that it had, unless only the band or the bounds are others.
    mutating func change(_ control: LimitControl, minimum: Int, maximum: Int) {
        controller.change(control, minimum: minimum, maximum: maximum)
        hasReport = false
    }

    // MARK: Requests

    /// A request is dispatched.
    /// - Parameters:
    ///   - limit: what is enforced: the controller's, or a part of it.
    ///   - waited: for how long, in all, requests have waited in the pool's queue.
    /// - Returns: the era that it belongs to.
    mutating func dispatched(limit: Int, waited: Interval, at now: Instant) -> UInt32 {
        if !isMeasuring {
            isMeasuring = true
            window.begin(limit: limit, at: now)
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
    mutating func carried(packets: Int) { window.carried(packets: packets) }
    mutating func stored(_ count: Int) { window.stored(count) }
    mutating func report(_ value: Double) {
        window.report(value)
        hasReport = true
    }

    /// Whether nothing is outstanding.
    var isEmpty: Bool { window.isEmpty }

    // MARK: Time

    /// When `end` must be called next; `distantFuture` while it rests.
    func due(at now: Instant) -> Instant { isMeasuring ? window.due(at: now) : .distantFuture }

    /// Ends the window, if it is long enough, and moves the limit. A controller that goes by what the server says of itself is not told the
    /// same word twice: it would move again for what it has moved for already.
    /// - Parameter isWhole: whether the controller's limit was enforced, and not a part of it; else it learns nothing from the window.
    /// - Returns: whether the limit is another one now.
    mutating func end(waited: Interval, isWhole: Bool, at now: Instant) -> Bool {
        guard isMeasuring else { return false }
        let wasBusy = window.isBusy
        let wasSettling = window.isSettling
        let begun = window.begun
        guard var figures = window.end(at: now) else {
            if wasSettling, !window.isSettling { waitedBefore = waited }
            return false
        }
        if waited > waitedBefore, (waited - waitedBefore) * 2 >= now - begun { figures.hadQueue = true }
        waitedBefore = waited
        guard wasBusy else {
            isMeasuring = false
            return false
        }
        last = figures
        guard isWhole, hasReport || controller.control.metric != .reported || figures.failures > 0 else { return false }
        hasReport = false
        let before = controller.limit
        let limit = controller.take(figures)
        if limit != before { window.changeLimit(to: limit, at: now) }
        return limit != before
    }

    /// Another limit is enforced, whatever the reason.
    mutating func enforced(_ limit: Int, waited: Interval, at now: Instant) {
        guard isMeasuring, window.limit != limit else { return }
        window.changeLimit(to: limit, at: now)
        waitedBefore = waited
    }
}
