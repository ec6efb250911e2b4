import Glibc

/// Finds the number of permissible connections at which a server does most, without being told a band (controlled-loading.md "Optimise").
///
/// It doubles while that pays, then compares four windows: fewer, more, more, fewer connections around a centre, so that a drift of the
/// load cancels out. What it learns is the elasticity d ln X / d ln L; where that is a tenth it stays: a little left of the peak.
struct OptimiseController: Sendable {
    /// What it does; in the words of the metric `controller_state`.
    enum Phase: Equatable, Sendable {
        /// Doubles: windows at this limit so far.
        case growing(windows: Int)
        /// Compares: the number of the window, 0 to 3.
        case probing(window: Int)
        /// Stays where it is until something changes.
        case resting
        /// There is too little to do for saying anything.
        case waiting
    }

    static let target = 0.10
    static let rest = Interval.seconds(30)

    /// The elasticity that was seen last, smoothed; nil = none yet.
    private(set) var elasticity: Double?
    private(set) var phase = Phase.growing(windows: 0)
    private(set) var reason = LimitReason.noMeasurement
    /// The number that is believed to be right.
    private(set) var center: Double
    /// What is enforced now.
    private(set) var limit: Int
    let metric: Metric
    private(set) var minimum: Int
    private(set) var maximum: Int

    /// Of the limit at which it stands, or of the two that it compares: what was done there, in how long, and in how many responses.
    private struct Sum: Sendable {
        var amount = 0.0
        var seconds = 0.0
        var responses = 0

        var rate: Double { seconds > 0 ? amount / seconds : 0 }

        mutating func add(_ figures: Performance, _ metric: Metric) {
            let length = Double(figures.length.nanoseconds) / 1e9
            amount += (figures[metric] ?? 0) * length
            seconds += length
            responses += figures.responses
        }
    }
    private var here = Sum()
    private var fewer = Sum()
    private var more = Sum()
    private var bounds = (low: 1, high: 2)
    /// While growing: the limit before, and its rate.
    private var before: (limit: Int, rate: Double)?
    /// While resting: for how long, and the rate that it rests at.
    private var rested = Interval.zero
    private var reference = 0.0
    /// Comparisons in a row that moved it little; saturated windows in a row while it waits.
    private var steady = 0
    private var saturatedInARow = 0

    init(metric: Metric = .requestRate, initial: Int, minimum: Int, maximum: Int) {
        precondition(!metric.risesWithLoad && minimum >= 1 && maximum >= minimum)
        self.metric = metric
        self.minimum = minimum
        self.maximum = maximum
        limit = min(max(initial, minimum), maximum)
        center = Double(limit)
    }

    /// A server came back: what was known of it may be wrong.
    mutating func restart() {
        phase = .growing(windows: 0)
        before = nil
        here = Sum()
        elasticity = nil
        steady = 0
        set(center)
    }

    mutating func set(limit: Int) {
        center = clamped(Double(limit))
        startProbing()
        reason = .set
    }

    mutating func restart(at limit: Int) {
        center = clamped(Double(limit))
        restart()
        reason = .restarted
    }

    mutating func setBounds(minimum: Int, maximum: Int) {
        self.minimum = minimum
        self.maximum = maximum
        center = clamped(center)
        limit = min(max(limit, minimum), maximum)
    }

    /// Takes the figures of a window.
    /// - Returns: the limit from now on.
    mutating func take(_ figures: Performance) -> Int {
        if figures.failures > 0 {
            reason = .failures
            center = clamped(center * 0.7)
            startProbing()
            return limit
        }
        guard figures.isSaturated else {
            saturatedInARow = 0
            reason = .notSaturated
            if phase != .resting {
                phase = .waiting
                set(center)
            }
            return limit
        }
        saturatedInARow += 1
        switch phase {
        case .growing(let windows): grow(figures, windows + 1)
        case .probing(let window): probe(figures, window)
        case .resting: watch(figures)
        case .waiting:
            reason = .waiting
            if saturatedInARow >= 2 { before == nil && elasticity == nil ? restart() : startProbing() }
        }
        return limit
    }

    // MARK: Doubling

    private mutating func grow(_ figures: Performance, _ windows: Int) {
        here.add(figures, metric)
        phase = .growing(windows: windows)
        guard windows >= 2 else { return }
        let rate = here.rate
        if let before {
            let pays = rate / max(before.rate, 1e-9) - 1 >= (Double(limit) / Double(before.limit) - 1) / 2
            guard pays else {
                center = (Double(limit) * Double(before.limit)).squareRoot()
                return startProbing()
            }
        }
        guard limit < maximum else { return startProbing() }
        reason = .growing
        before = (limit, rate)
        here = Sum()
        phase = .growing(windows: 0)
        center = clamped(Double(2 * limit))
        set(center)
    }

    // MARK: Comparing

    private mutating func startProbing() {
        let middle = Int(center.rounded())
        if center < 2 || middle < 2 {
            bounds = (1, 2)
        } else {
            let distance = min(max(1, Int((0.12 * center).rounded())), middle - 1)
            bounds = (middle - distance, middle + distance)
        }
        bounds = (max(bounds.low, minimum), min(bounds.high, maximum))
        guard bounds.low < bounds.high else { return beginRest(0) }
        fewer = Sum()
        more = Sum()
        phase = .probing(window: 0)
        limit = bounds.low
    }

    private mutating func probe(_ figures: Performance, _ window: Int) {
        if window == 0 || window == 3 { fewer.add(figures, metric) } else { more.add(figures, metric) }
        guard window == 3 else {
            phase = .probing(window: window + 1)
            limit = window + 1 == 3 ? bounds.low : bounds.high
            return
        }
        judge()
    }

    private mutating func judge() {
        let span = log(Double(bounds.high) / Double(bounds.low))
        guard fewer.rate > 0, more.rate > 0 else { return startProbing() }
        let measured = log(more.rate / fewer.rate) / span
        // What counting alone makes it scatter by (Poisson); a small one among much scatter says little.
        let scatter = (1 / Double(max(fewer.responses, 1)) + 1 / Double(max(more.responses, 1))).squareRoot() / span
        let shrunk = measured * measured * measured / max(measured * measured + scatter * scatter, 1e-12)
        let smoothed = elasticity.map { ($0 + shrunk) / 2 } ?? shrunk
        elasticity = smoothed
        var step = min(max(0.6 * (smoothed - Self.target), -0.4), 0.3)
        if shrunk < -0.5 { step = -0.5 }
        reason = step > 0 ? .morePays : .fewerPay
        center = clamped(exp(log(center) + step))
        steady = abs(step) < 0.08 ? steady + 1 : 0
        if steady >= 2 { beginRest((fewer.rate + more.rate) / 2) } else { startProbing() }
    }

    // MARK: Resting

    private mutating func beginRest(_ rate: Double) {
        phase = .resting
        rested = .zero
        reference = rate
        set(center)
    }

    private mutating func watch(_ figures: Performance) {
        reason = .found
        rested = rested + figures.length
        let rate = figures[metric] ?? 0
        let scatter = 2 / Double(max(figures.responses, 1)).squareRoot()
        let hasLeft = reference > 0 && abs(log(max(rate, 1e-9) / reference)) > 0.10 + scatter
        guard hasLeft || rested >= Self.rest else { return }
        if hasLeft { elasticity = nil }
        steady = 0
        startProbing()
    }

    private mutating func set(_ wanted: Double) { limit = Int(clamped(wanted).rounded()) }
    private func clamped(_ wanted: Double) -> Double { min(max(wanted, Double(minimum)), Double(maximum)) }
}
