/// Holds a rate in a band ([0038], claims 5-8, 45-49): lowers above it; below it raises while more connections pay.
struct RateHoldController: Sendable {
    private(set) var low: Double?
    private(set) var high: Double?
    let metric: Metric
    private var optimiser: OptimiseController
    private var exact: Double
    private(set) var reason = LimitReason.noMeasurement

    init(metric: Metric, low: Double?, high: Double?, initial: Int, minimum: Int, maximum: Int) {
        precondition(!metric.risesWithLoad && (low != nil || high != nil))
        self.metric = metric
        self.low = low
        self.high = high
        optimiser = OptimiseController(metric: metric, initial: initial, minimum: minimum, maximum: maximum)
        exact = Double(optimiser.limit)
    }

    var limit: Int { Int(exact) }
    var elasticity: Double? { optimiser.elasticity }

    /// Takes the figures of a window.
    /// - Returns: the limit from now on.
    mutating func take(_ figures: Performance) -> Int {
        let value = figures[metric] ?? 0
        if let high, value > high {
            set(exact * max(0.6, (high / value).squareRoot()))
            optimiser.set(limit: limit)
            reason = .above
        } else if value < low ?? (high ?? 0) * 0.9 {
            set(Double(optimiser.take(figures)))
            reason = optimiser.reason == .found ? .atPeak : optimiser.reason
        } else {
            reason = .inBand
        }
        return limit
    }

    private mutating func set(_ wanted: Double) {
        exact = min(max(wanted, Double(optimiser.minimum)), Double(optimiser.maximum))
    }

    mutating func setBand(low: Double?, high: Double?) {
        self.low = low
        self.high = high
    }

    mutating func set(limit: Int) {
        optimiser.set(limit: limit)
        set(Double(limit))
        reason = .set
    }

    mutating func restart(at limit: Int) {
        optimiser.restart(at: limit)
        set(Double(limit))
        reason = .restarted
    }

    mutating func setBounds(minimum: Int, maximum: Int) {
        optimiser.setBounds(minimum: minimum, maximum: maximum)
        set(exact)
    }

    mutating func follow(_ limit: Int) { set(min(exact, Double(limit) + max(1, Double(limit) / 4))) }
}
