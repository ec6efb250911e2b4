import Glibc

/// Holds a rate in a band by the number of permissible connections ([0038], claims 5-8, 45-49; controlled-loading.md "Hold").
///
/// A rate has a peak, and past it more connections give less: "below the minimum, add connections" would drive a server into collapse. So
/// below the band the limit moves by the sign of dX/dL, which the server's curve tells; where the curve is not known well enough, fewer
/// connections are compared with more. Where the rate is at its peak and still below the band, the band cannot be reached.
struct RateHoldController: Sendable {
    /// The band, in the metric's unit a second; an end that is missing does not bound it.
    private(set) var low: Double?
    private(set) var high: Double?
    let metric: Metric
    private(set) var minimum: Int
    private(set) var maximum: Int
    private(set) var exact: Double
    private(set) var reason = LimitReason.noMeasurement
    private(set) var curve = LoadCurve()
    private var probe: LoadProbe?
    private var wasSaturated = false
    /// What was done under this limit.
    private var here = Sum()
    /// How long it has been at the peak, below the band; and how long it has compared nothing.
    private var atPeak = Interval.zero
    private var unsure = Self.again

    private struct Sum: Sendable {
        var amount = 0.0
        var seconds = 0.0
        var responses = 0.0
        var rate: Double { seconds > 0 ? amount / seconds : 0 }

        mutating func halve() {
            amount /= 2
            seconds /= 2
            responses /= 2
        }
    }

    /// At the peak: an elasticity so near to zero, known so well; looked at again after so long.
    static let flat = 0.1
    static let sure = 0.1
    static let again = Interval.seconds(30)
    static let soon = Interval.seconds(10)
    /// Known worse than this, the elasticity says nothing: in the band, on which side of the peak the rate lies is found out.
    static let unknown = 0.3
    /// Past the peak the way back is gone in steps of this factor.
    static let back = 0.6

    init(metric: Metric, low: Double?, high: Double?, initial: Int, minimum: Int, maximum: Int) {
        precondition(!metric.risesWithLoad && (low != nil || high != nil))
        precondition(minimum >= 1 && maximum >= minimum)
        self.metric = metric
        self.low = low
        self.high = high
        self.minimum = minimum
        self.maximum = maximum
        exact = Double(min(max(initial, minimum), maximum))
    }

    var limit: Int { probe?.limit ?? Int(exact) }

    /// d ln X / d ln L at the limit, as the curve has it; nil while nothing has been compared.
    var elasticity: Double? { curve.points.count < 2 ? nil : curve.elasticity(at: exact) }

    /// Below this the limit is raised: the band's low end or, where there is only a high one, as far below it as a step can be.
    private var raiseBelow: Double? { low ?? high.map { $0 / min(HoldController.narrowest(limit: exact), HoldController.tried) } }

    // MARK: A window

    /// Takes the figures of a window.
    /// - Returns: the limit from now on.
    mutating func take(_ figures: Performance) -> Int {
        let saturated = figures.isSaturated
        defer { wasSaturated = saturated }
        if figures.failures > 0 { return move(to: exact * 0.7, .failures) }
        guard figures.length > .zero else { return stay(.noMeasurement) }
        guard saturated else {
            // What is too much is too much, whoever decided it.
            let rate = figures[metric] ?? 0
            if let high, rate > high * (1 + scatter(Double(figures.allResponses))) { return lower(rate, high) }
            probe = nil
            here = Sum()
            let isBelow = raiseBelow.map { rate < $0 } ?? false
            return stay(isBelow ? .notSaturated : .inBand)
        }
        if curve.learn(figures, metric, near: exact) {
            here = Sum()
            atPeak = Self.again
        }
        if var probe {
            let isLast = probe.advance()
            self.probe = isLast ? nil : probe
            // Its limits lie beside the one that is held: what was done there is no measure of it.
            return isLast ? judge(curve.rate(at: exact), 0, figures.length) : stay(.probing)
        }
        add(figures)
        // Half of what counting alone makes it scatter by is allowed: one window is no reason to leave a band.
        return judge(here.rate, scatter(here.responses) / 2, figures.length)
    }

    private mutating func add(_ figures: Performance) {
        // Some seconds are remembered: one window scatters, and the server may change.
        if here.seconds > 10 { here.halve() }
        here.amount += (figures[metric] ?? 0) * figures.seconds
        here.seconds += figures.seconds
        here.responses += Double(figures.allResponses)
    }

    private func scatter(_ responses: Double) -> Double { (curve.dispersion / max(responses, 1)).squareRoot() }

    private mutating func judge(_ rate: Double, _ scatter: Double, _ length: Interval) -> Int {
        unsure = unsure + length
        if let high, rate > high * (1 + scatter) { return lower(rate / (1 + scatter), high) }
        let slope = curve.elasticity(at: exact)
        let error = curve.elasticityError(at: exact)
        guard let raiseBelow, rate * (1 + scatter) < raiseBelow else {
            atPeak = .zero
            // The same rate is to be had with fewer connections, left of the peak, and in less time.
            if slope + error < -Self.flat { return move(to: exact * Self.back, .pastPeak) }
            let isOpen = error > Self.unknown || slope < -Self.flat
            return isOpen && unsure >= Self.soon ? compare() : stay(.inBand)
        }
        guard wasSaturated else { return stay(.notSaturated) }
        if reason == .atPeak {
            atPeak = atPeak + length
            if atPeak < Self.again { return stay(.atPeak) }
            atPeak = .zero
            return compare()
        }
        // The farther from the peak, the less must be known of the slope for its sign to be sure.
        guard error < max(Self.sure, abs(slope) / 2) else {
            // Where little is known of many connections, fewer are looked at: a server that thrashes answers too little to say even that.
            return error > Self.unknown && exact > Double(maximum) / 2 ? move(to: exact / 2, .probing) : compare()
        }
        let missing = log(raiseBelow / max(rate, raiseBelow / 100))
        if slope > Self.flat {
            guard exact < Double(maximum) else { return stay(low == nil ? .inBand : .atBound) }
            return move(to: exact + max(1, exact * min(0.4, missing / slope / 2)), .below)
        }
        if slope < -Self.flat {
            guard exact > Double(minimum) else { return stay(.atBound) }
            return move(to: min(exact - 1, exact * Self.back), .pastPeak)
        }
        // Where only too much is bounded, the peak is as good as it gets.
        return stay(low == nil ? .inBand : .atPeak)
    }

    private mutating func lower(_ rate: Double, _ high: Double) -> Int {
        guard exact > Double(minimum) else { return stay(.atBound) }
        // Left of the peak the rate follows the limit by the elasticity; past it this leads back to the left.
        let slope = max(curve.points.count < 2 ? 1 : curve.elasticity(at: exact), 0.25)
        return move(to: exact * max(0.6, exp(log(high / rate) / slope / 2)), .above)
    }

    private mutating func compare() -> Int {
        unsure = .zero
        let width = (4 * curve.elasticityError(at: exact)).clamped(0.12, 0.4)
        guard let probe = LoadProbe(around: exact, width: width, minimum: minimum, maximum: maximum) else { return stay(.atBound) }
        self.probe = probe
        return stay(.probing)
    }

    private mutating func move(to wanted: Double, _ reason: LimitReason) -> Int {
        let before = limit
        probe = nil
        atPeak = .zero
        exact = wanted.clamped(Double(minimum), Double(maximum))
        if limit != before { here = Sum() }
        self.reason = reason
        return limit
    }

    private mutating func stay(_ reason: LimitReason) -> Int {
        self.reason = reason
        return limit
    }

    // MARK: From outside

    mutating func setBand(low: Double?, high: Double?) {
        precondition(low != nil || high != nil)
        self.low = low
        self.high = high
        atPeak = .zero
        if reason == .atPeak { reason = .inBand }
    }

    mutating func set(limit: Int) { begin(at: limit, .set) }

    /// A server came back: what was known of it may be wrong.
    mutating func restart(at limit: Int) {
        curve = LoadCurve()
        begin(at: limit, .restarted)
    }

    private mutating func begin(at limit: Int, _ reason: LimitReason) {
        wasSaturated = false
        here = Sum()
        _ = move(to: Double(limit), reason)
    }

    mutating func setBounds(minimum: Int, maximum: Int) {
        precondition(minimum >= 1 && maximum >= minimum)
        self.minimum = minimum
        self.maximum = maximum
        _ = move(to: exact, reason)
    }

    /// Another controller's limit counts: this one stays near it, so that it is there when it is needed.
    mutating func follow(_ limit: Int) {
        let most = Double(limit) + max(1, Double(limit) / 4)
        if exact > most { _ = move(to: most, reason) }
    }
}
