import Glibc

/// Holds a metric that rises with the load in a band by the number of permissible connections (controlled-loading.md "Hold"; [0038]).
///
/// A band that cannot be reached is said to be: at a bound, between two whole numbers of connections, or past the server's peak, where more
/// connections make the server slower and give less. Inside it the limit is a real number; what is enforced is `limit`.
struct HoldController: Sendable {
    /// The band, in the metric's unit; an end that is missing does not bound it.
    private(set) var low: Double?
    private(set) var high: Double?
    let metric: Metric
    private(set) var minimum: Int
    private(set) var maximum: Int
    private(set) var exact: Double
    private(set) var reason = LimitReason.noMeasurement
    private var wasSaturated = false
    /// Windows in a row in which the longest response time was below the band.
    private var clean = 0
    /// How many there must be before the limit is raised by a longest response time: one slow request is rare at any limit.
    static let cleanWindows = 5

    /// The limits that were last seen below and above the band, one apart: no whole number of connections lies in it.
    private var tooFew: Int?
    private var tooMany: Int?
    /// A limit past which less was done; the band lies beyond the peak.
    private var ceiling: Int?
    private var climb: Climb?
    /// When what was found out about limits is forgotten, and how long the next ceiling is kept.
    private var forgetIn = Interval.zero
    private var patience = Self.shortestPatience
    /// Windows in a row at a bound and outside the band; after so many it says so.
    private var stuck = 0
    static let stuckWindows = 3
    static let memory = Interval.seconds(20)
    static let shortestPatience = Interval.seconds(30)
    static let longestPatience = Interval.seconds(600)
    /// The peak lies behind when the rate has surely fallen by so much (in ln X) in two windows in a row.
    static let fall = 0.1

    /// Where most was done since it began to raise.
    private struct Climb: Sendable {
        var limit: Int
        var rate: Double
        var responses: Double
        var falls = 0
    }

    init(metric: Metric, low: Double?, high: Double?, initial: Int, minimum: Int, maximum: Int) {
        precondition(metric.risesWithLoad && (low != nil || high != nil))
        precondition(minimum >= 1 && maximum >= minimum)
        self.metric = metric
        self.low = low
        self.high = high
        self.minimum = minimum
        self.maximum = maximum
        exact = Double(min(max(initial, minimum), maximum))
    }

    var limit: Int { Int(exact) }

    /// The narrowest band that a limit of so many connections can hold: one connection more or less moves the metric by as much.
    static func narrowest(limit: Double) -> Double { 1 + 2 / limit }

    /// Below this the limit is raised: the band's low end or, where there is only a high one, as far below it as a step can be; with few
    /// connections, where a step may be long, it is tried.
    private var raiseBelow: Double? { low ?? high.map { $0 / min(Self.narrowest(limit: exact), Self.tried) } }
    static let tried = 1.25

    mutating func setBand(low: Double?, high: Double?) {
        precondition(low != nil || high != nil)
        self.low = low
        self.high = high
        forgetLimits()
    }

    private mutating func forgetLimits() {
        (tooFew, tooMany, ceiling, climb) = (nil, nil, nil, nil)
        forgetIn = .zero
        patience = Self.shortestPatience
        stuck = 0
    }

    /// Takes the figures of a window.
    /// - Returns: the limit from now on.
    mutating func take(_ figures: Performance) -> Int {
        let saturated = figures.isSaturated
        defer { wasSaturated = saturated }
        age(by: figures.length)
        if figures.failures > 0 {
            clean = 0
            climb = nil
            return move(to: exact * 0.7, .failures)
        }
        guard let value = figures[metric], value.isFinite else { return stay(.noMeasurement) }
        if let high, value > high { return tooHigh(value, high) }
        guard let raiseBelow, value < raiseBelow else {
            clean = 0
            stuck = 0
            (tooFew, tooMany) = (nil, nil)
            climb = nil
            patience = Self.shortestPatience
            return stay(.inBand)
        }
        clean += 1
        guard saturated, wasSaturated else { return stay(.notSaturated) }
        if metric == .maximumResponseTime, clean < Self.cleanWindows { return stay(.waiting) }
        return tooLow(value, raiseBelow, figures)
    }

    private mutating func tooHigh(_ value: Double, _ high: Double) -> Int {
        clean = 0
        climb = nil
        tooMany = limit
        if limit == minimum {
            stuck += 1
            return stay(stuck >= Self.stuckWindows ? .atBound : .above)
        }
        stuck = 0
        if tooFew == limit - 1 {
            forgetIn = Self.memory
            return move(to: Double(limit - 1), low == nil ? .above : .betweenLimits)
        }
        return move(to: min(exact - 1, exact * max(0.6, (high / value).squareRoot())), .above)
    }

    private mutating func tooLow(_ value: Double, _ raiseBelow: Double, _ figures: Performance) -> Int {
        tooFew = limit
        if limit == maximum {
            // Where only too much is bounded, all is well.
            guard low != nil else { return stay(.inBand) }
            stuck += 1
            return stay(stuck >= Self.stuckWindows ? .atBound : .below)
        }
        stuck = 0
        if tooMany == limit + 1 {
            // A response time rises at most as the square of the limit, also past the peak: so far below the band one connection more would
            // not be too many. The server is faster than it was then.
            let next = Double(limit + 1) / Double(limit)
            if value * next * next > raiseBelow {
                if forgetIn <= .zero { forgetIn = Self.memory }
                return stay(low == nil ? .inBand : .betweenLimits)
            }
            tooMany = nil
        }
        if let ceiling, limit >= ceiling { return stay(low == nil ? .inBand : .atPeak) }
        if let peak = peakBehind(figures) {
            ceiling = peak
            forgetIn = patience
            patience = min(patience * 2, Self.longestPatience)
            climb = nil
            return move(to: Double(peak), .pastPeak)
        }
        clean = 0
        // Left of the peak a response time rises at most as the limit does: this goes no further than into the band.
        let part = value > 0 ? min(0.2, log(raiseBelow / value)) : 0.2
        return move(to: exact + max(1, exact * part), .below)
    }

    /// While it raises: where most was done a second, if that was so much more than now that the peak must lie behind.
    private mutating func peakBehind(_ figures: Performance) -> Int? {
        let (rate, responses) = (figures.requestRate, max(Double(figures.allResponses), 1))
        guard let best = climb, rate <= best.rate || limit <= best.limit else {
            climb = Climb(limit: limit, rate: rate, responses: responses)
            return nil
        }
        guard rate > 0 else { return nil }
        // Twice what counting alone makes the two rates differ by is allowed for.
        let scatter = (1 / responses + 1 / best.responses).squareRoot()
        climb!.falls = log(rate / best.rate) + 2 * scatter < -Self.fall ? best.falls + 1 : 0
        return climb!.falls >= 2 ? best.limit : nil
    }

    /// What was found out about limits is forgotten after a while: it is tried again.
    private mutating func age(by length: Interval) {
        guard forgetIn > .zero else { return }
        forgetIn = forgetIn - length
        if forgetIn <= .zero { (tooFew, tooMany, ceiling) = (nil, nil, nil) }
    }

    // MARK: From outside

    mutating func set(limit: Int) { begin(at: limit, .set) }
    mutating func restart(at limit: Int) { begin(at: limit, .restarted) }

    private mutating func begin(at limit: Int, _ reason: LimitReason) {
        wasSaturated = false
        clean = 0
        forgetLimits()
        _ = move(to: Double(limit), reason)
    }

    mutating func setBounds(minimum: Int, maximum: Int) {
        precondition(minimum >= 1 && maximum >= minimum)
        self.minimum = minimum
        self.maximum = maximum
        _ = move(to: exact, reason)
    }

    /// Another controller's limit counts: this one stays near it, so that it is there when it is needed.
    mutating func follow(_ limit: Int) { _ = move(to: min(exact, Double(limit) + max(1, Double(limit) / 4)), reason) }

    private mutating func move(to wanted: Double, _ reason: LimitReason) -> Int {
        exact = min(max(wanted, Double(minimum)), Double(maximum))
        self.reason = reason
        return limit
    }

    private mutating func stay(_ reason: LimitReason) -> Int {
        self.reason = reason
        return limit
    }
}
