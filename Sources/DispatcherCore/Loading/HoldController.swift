import Glibc

/// Holds a metric that rises with the load in a band by the number of permissible connections (controlled-loading.md "Hold"; [0038]).
///
/// Inside it the limit is a real number; what is enforced is `limit`.
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

    /// Below this the limit is raised: the band's low end or, where there is only a high one, as far below it as a step can be.
    private var raiseBelow: Double? { low ?? high.map { $0 / Self.narrowest(limit: exact) } }

    mutating func setBand(low: Double?, high: Double?) {
        precondition(low != nil || high != nil)
        self.low = low
        self.high = high
    }

    /// Takes the figures of a window.
    /// - Returns: the limit from now on.
    mutating func take(_ figures: Performance) -> Int {
        let saturated = figures.isSaturated
        defer { wasSaturated = saturated }
        if figures.failures > 0 {
            clean = 0
            return move(to: exact * 0.7, .failures)
        }
        guard let value = figures[metric], value.isFinite else { return stay(.noMeasurement) }
        if let high, value > high {
            clean = 0
            return move(to: exact * max(0.6, (high / value).squareRoot()), .above)
        }
        guard let raiseBelow, value < raiseBelow else {
            clean = 0
            return stay(.inBand)
        }
        clean += 1
        guard saturated, wasSaturated else { return stay(.notSaturated) }
        if metric == .maximumResponseTime, clean < Self.cleanWindows { return stay(.waiting) }
        clean = 0
        let part = value > 0 ? min(0.2, log(raiseBelow / value) / 2) : 0.2
        return move(to: exact + max(1, exact * part), .below)
    }

    // MARK: From outside

    mutating func set(limit: Int) { begin(at: limit, .set) }
    mutating func restart(at limit: Int) { begin(at: limit, .restarted) }

    private mutating func begin(at limit: Int, _ reason: LimitReason) {
        wasSaturated = false
        clean = 0
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
