/// Measures a server from window to window: at least 250 ms, at most 2 s, until enough responses came to say something
/// (controlled-loading.md "Measuring"). What was dispatched before the limit last changed does not count: it was served under another. So a
/// window under a new limit begins when nearly all of that has left, or after the longest time of a window.
struct PerformanceWindow {
    static let shortest = Interval.milliseconds(250)
    static let longest = Interval.seconds(2)

    /// Counts the changes of the limit; a request carries the number of its dispatch.
    private(set) var era: UInt32 = 0
    private(set) var begun = Instant.distantPast
    private var figures = Performance()
    /// Requests outstanding now, since when, and what they add up to in this window; request nanoseconds.
    private var outstanding = 0
    private var countedAt = Instant.distantPast
    private var area = 0.0
    /// Requests outstanding that were dispatched before the limit last changed, and whether they are still too many.
    private var old = 0
    private(set) var isSettling = false

    /// Begins a window. Requests that are outstanding stay so.
    mutating func begin(limit: Int, at now: Instant) {
        let (reported, stored) = (figures.reported, figures.stored)
        figures = Performance()
        figures.reported = reported
        figures.stored = stored
        figures.limit = limit
        figures.mostOutstanding = outstanding
        begun = now
        countedAt = now
        area = 0
    }

    /// Begins a window under another limit: what was dispatched before counts no longer.
    mutating func changeLimit(to limit: Int, at now: Instant) {
        era &+= 1
        old = outstanding
        begin(limit: limit, at: now)
        isSettling = !isSettled
    }

    /// Whether so few of the earlier requests are left that they change nothing: a tenth of the limit.
    private var isSettled: Bool { old <= figures.limit / 10 }

    /// The measuring begins.
    private mutating func settle(at now: Instant) {
        isSettling = false
        begin(limit: figures.limit, at: now)
    }

    private mutating func count(to now: Instant) {
        area += Double(outstanding) * Double((now - countedAt).nanoseconds)
        countedAt = now
    }

    // MARK: Requests

    /// A request is dispatched.
    /// - Returns: the era that it belongs to.
    mutating func dispatched(at now: Instant) -> UInt32 {
        count(to: now)
        outstanding += 1
        figures.mostOutstanding = max(figures.mostOutstanding, outstanding)
        return era
    }

    /// The head of a response has come.
    mutating func responded(after time: Interval, era: UInt32) {
        figures.allResponses += 1
        guard era == self.era else { return }
        figures.responses += 1
        figures.responseTimes = figures.responseTimes + time
        figures.longestResponseTime = max(figures.longestResponseTime, time)
    }

    /// A request is outstanding no more, `time` after its dispatch.
    mutating func departed(after time: Interval, era: UInt32, at now: Instant) {
        precondition(outstanding > 0, "a request departs that was not dispatched")
        count(to: now)
        outstanding -= 1
        guard era == self.era else {
            old -= 1
            if isSettling, isSettled { settle(at: now) }
            return
        }
        figures.departures += 1
        figures.outstandingTimes = figures.outstandingTimes + time
    }

    /// The server has failed, whenever the request came to it.
    mutating func failed() { figures.failures += 1 }

    mutating func carried(_ bytes: Int) { figures.bytes += UInt64(bytes) }
    /// Packets from the server (l4/3).
    mutating func carried(packets: Int) { figures.packets += UInt64(packets) }
    /// How many connection requests are stored now (l4/3).
    mutating func stored(_ count: Int) { figures.stored = count }
    /// Requests waited for most of the window.
    mutating func queued() { figures.hadQueue = true }
    mutating func report(_ value: Double) { figures.reported = value }

    /// Whether nothing is outstanding.
    var isEmpty: Bool { outstanding == 0 }

    // MARK: The end

    /// How many responses a window waits for.
    private var enough: Int { max(10, 7 * figures.limit) }

    /// The limit whose figures it takes.
    var limit: Int { figures.limit }

    /// Whether requests are outstanding, or were in this window.
    var isBusy: Bool { figures.mostOutstanding > 0 }

    /// Whether enough responses have come for the window to end.
    func isComplete(at now: Instant) -> Bool { !isSettling && figures.responses >= enough && now >= begun + Self.shortest }

    /// When the window must be looked at again: its shortest time, then its longest.
    func due(at now: Instant) -> Instant { !isSettling && now < begun + Self.shortest ? begun + Self.shortest : begun + Self.longest }

    /// Ends the window, if it is long enough, and begins the next one under the same limit.
    /// - Returns: its figures; nil when it goes on.
    mutating func end(at now: Instant) -> Performance? {
        let length = now - begun
        if isSettling {
            // Some requests take longer than a window: it cannot be waited for them.
            if length >= Self.longest { settle(at: now) }
            return nil
        }
        guard length >= Self.longest || isComplete(at: now) else { return nil }
        count(to: now)
        var ended = figures
        ended.length = length
        ended.meanOutstanding = area / Double(length.nanoseconds)
        begin(limit: figures.limit, at: now)
        return ended
    }
}
