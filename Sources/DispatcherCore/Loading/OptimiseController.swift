import Glibc

/// Finds the number of permissible connections at which a server does most, without being told a band (controlled-loading.md "Optimise").
///
/// It doubles while that pays, then learns the server's curve: it compares fewer with more connections around a centre, widely while little
/// is known, and goes to where the curve does nearly the most, a little left of the peak. There it rests, compares again now and then, and
/// at once when the server has changed.
struct OptimiseController: Sendable {
    enum Phase: Sendable {
        /// Doubles: windows at this limit so far.
        case growing(windows: Int)
        /// Goes a long way: one window at each limit.
        case moving
        case probing(LoadProbe)
        /// Stays where it is, for so long already.
        case resting(Interval)
        /// There is too little to do for saying anything: saturated windows in a row.
        case waiting(Int)
    }

    /// How much of the peak's rate is wanted: the last parts cost many connections, and time.
    static let part = 0.985
    /// Where it is more than this already, fewer will do as well.
    static let enough = 0.997
    /// More connections are tried while the elasticity is above this.
    static let slope = 0.05
    /// A comparison at least so often.
    static let rest = Interval.seconds(30)
    static let shortestRest = Interval.seconds(4)
    /// So many rounds are early: little is known yet.
    static let early = 8
    /// How far the two limits of a comparison may lie from the centre, as a part of it; the less is known, the farther.
    static let wide = 0.4
    static let narrow = 0.12
    /// It rests when the elasticity is known so well (a standard deviation), after many rounds when half as well. By so much of that it
    /// may be higher than it seems.
    static let sure = 0.08
    static let hope = 0.75
    /// A step of so much in ln L is a long way.
    static let far = 0.35
    /// After a failure it does not go up for so many windows.
    static let cautious = 8

    let metric: Metric
    private(set) var minimum: Int
    private(set) var maximum: Int
    private(set) var phase = Phase.growing(windows: 0)
    private(set) var reason = LimitReason.noMeasurement
    /// The number that is believed to be right.
    private(set) var center: Double
    /// What is enforced now.
    private(set) var limit: Int
    private(set) var curve = LoadCurve()
    /// While growing: what was done at this limit, and the limit before with its rate.
    private var here = (amount: 0.0, seconds: 0.0, responses: 0.0)
    private var before: (limit: Int, rate: Double, responses: Double)?
    /// Windows in which it does not go up yet.
    private var caution = 0
    /// Decisions since the start, or since the server changed.
    private var rounds = 0
    /// Where it last went a long way to: above zero to more connections.
    private var direction = 0.0
    /// How long it rests next.
    private var calm = Self.shortestRest

    init(metric: Metric = .requestRate, initial: Int, minimum: Int, maximum: Int) {
        precondition(!metric.risesWithLoad && minimum >= 1 && maximum >= minimum)
        self.metric = metric
        self.minimum = minimum
        self.maximum = maximum
        limit = min(max(initial, minimum), maximum)
        center = Double(limit)
    }

    /// d ln X / d ln L at the centre, as the curve has it; nil while nothing has been compared.
    var elasticity: Double? { curve.points.count < 2 ? nil : curve.elasticity(at: center) }

    // MARK: From outside

    mutating func set(limit: Int) {
        center = clamped(Double(limit))
        phase = .waiting(0)
        setLimit()
        reason = .set
    }

    /// A server came back: what was known of it may be wrong.
    mutating func restart(at limit: Int) {
        center = clamped(Double(limit))
        curve = LoadCurve()
        before = nil
        caution = 0
        rounds = 0
        calm = Self.shortestRest
        beginGrowing()
        reason = .restarted
    }

    mutating func setBounds(minimum: Int, maximum: Int) {
        precondition(minimum >= 1 && maximum >= minimum)
        self.minimum = minimum
        self.maximum = maximum
        center = clamped(center)
        if case .growing = phase {} else { phase = .waiting(0) }
        setLimit()
    }

    // MARK: A window

    /// Takes the figures of a window.
    /// - Returns: the limit from now on.
    mutating func take(_ figures: Performance) -> Int {
        if figures.failures > 0 {
            center = clamped(center * 0.7)
            caution = Self.cautious
            compare()
            reason = .failures
            return limit
        }
        caution = max(0, caution - 1)
        guard figures.isSaturated else {
            reason = .notSaturated
            if case .resting = phase { return limit }
            phase = .waiting(0)
            setLimit()
            return limit
        }
        if case .waiting(let windows) = phase {
            reason = .waiting
            phase = .waiting(windows + 1)
            if windows >= 1 { curve.points.count < 2 ? beginGrowing() : compare() }
            return limit
        }
        if case .growing = phase {
            curve.add(figures, metric)
        } else if curve.learn(figures, metric, near: center) {
            rounds = 0
            if case .resting = phase { compare() }
        }
        switch phase {
        case .growing(let windows): grow(figures, windows + 1)
        case .moving: decide()
        case .probing(var probe):
            let isLast = probe.advance()
            phase = .probing(probe)
            if isLast { decide() } else { limit = probe.limit }
        case .resting(let since): watch(since + figures.length)
        case .waiting: break
        }
        return limit
    }

    // MARK: Doubling

    private mutating func beginGrowing() {
        here = (0, 0, 0)
        phase = .growing(windows: 0)
        reason = .growing
        setLimit()
    }

    private mutating func grow(_ figures: Performance, _ windows: Int) {
        here.amount += (figures[metric] ?? 0) * figures.seconds
        here.seconds += figures.seconds
        here.responses += Double(figures.allResponses)
        phase = .growing(windows: windows)
        reason = .growing
        guard windows >= 2 else { return }
        let rate = here.amount / max(here.seconds, 1e-9)
        // What counting alone makes the two rates scatter by is allowed for: to stop too early costs most.
        let scatter = (curve.dispersion * (1 / max(here.responses, 1) + 1 / max(before?.responses ?? 1, 1))).squareRoot()
        let pays = before.map { rate * (1 + scatter) >= $0.rate * (1 + (Double(limit) / Double($0.limit) - 1) / 2) } ?? true
        curve.fit(near: center, metric)
        guard pays, limit < maximum else { return decide() }
        before = (limit, rate, here.responses)
        center = clamped(Double(2 * limit))
        beginGrowing()
    }

    // MARK: Comparing

    /// Goes where the curve does nearly the most.
    private mutating func decide() {
        curve.fit(near: center, metric)
        rounds += 1
        let wanted = proposal()
        let step = log(wanted / center)
        // A long way: one window at each limit, while the way goes on in the same direction. Not when much is known already: there it would
        // follow the scatter.
        let isMoving = if case .moving = phase { true } else { false }
        if abs(step) > Self.far, rounds < 2 * Self.early, !isMoving || step * direction > 0 {
            direction = step
            reason = step > 0 ? .morePays : .fewerPay
            center = wanted
            phase = .moving
            setLimit()
            return
        }
        let error = curve.elasticityError(at: center)
        center = clamped(center * exp((step / 2).clamped(-0.2, 0.2)))
        let rises = hopeful > Self.slope + 0.02 && center < Double(maximum) - 0.5
        let isSettled = abs(step) < 0.1 && !rises
        if !isSettled { calm = Self.shortestRest }
        if isSettled, error < (rounds < Self.early ? Self.sure : 2 * Self.sure) { beginRest() } else { compare() }
    }

    /// The elasticity at the centre, on the high side of what is known: to try more connections costs less than to stay with too few.
    private var hopeful: Double { curve.elasticity(at: center) + Self.hope * min(curve.elasticityError(at: center), 0.15) }

    /// Where the curve does nearly the most, at most a factor of two from here, and from what is known.
    private func proposal() -> Double {
        let known = (low: curve.lowest, high: curve.highest)
        // Where little is known of many connections, fewer are looked at: a server that thrashes answers too little to say even that.
        if curve.elasticityError(at: center) > 0.4, center > Double(maximum) / 2 { return clamped(center / 2) }
        // A single limit says nothing of any other.
        if known.high < known.low * 1.25 { return center }
        let range = (low: max(Double(minimum), known.low / 2), high: min(Double(maximum), known.high * 2))
        // The curve is flat around its peak: where it does well enough it stays.
        let fewest = curve.limit(for: Self.part, from: range.low, to: range.high)
        let most = curve.limit(for: Self.enough, from: range.low, to: range.high)
        var wanted = min(max(center, fewest), max(most, fewest))
        // The slope here is known better than how high the peak is, and where.
        if wanted < center * 1.5 { wanted = max(wanted, center * exp(min(0.4, 4 * (hopeful - Self.slope)))) }
        return clamped(min(max(wanted, center / 2), caution > 0 ? center : center * 2))
    }

    private mutating func compare() {
        let widest = caution > 0 ? Self.narrow : rounds < Self.early ? Self.wide : Self.wide / 2
        let width = (4 * curve.elasticityError(at: center)).clamped(Self.narrow, widest)
        guard let probe = LoadProbe(around: center, width: width, minimum: minimum, maximum: maximum) else { return beginRest() }
        phase = .probing(probe)
        reason = .probing
        limit = probe.limit
    }

    private mutating func beginRest() {
        phase = .resting(.zero)
        reason = .found
        setLimit()
    }

    private mutating func watch(_ time: Interval) {
        guard case .resting = phase else { return }
        reason = .found
        phase = .resting(time)
        // What it rested on may turn out to be chance.
        let doubts = abs(log(proposal() / center)) > 0.15
        guard doubts || time >= calm else { return }
        calm = doubts ? Self.shortestRest : min(calm * 2, Self.rest)
        compare()
    }

    private mutating func setLimit() { limit = Int(clamped(center).rounded()) }
    private func clamped(_ wanted: Double) -> Double { min(max(wanted, Double(minimum)), Double(maximum)) }
}
