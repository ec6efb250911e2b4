/// Moves the number of permissible connections of one server, from performance window to performance window, as its configuration says
/// ([0038]-[0040]).
///
/// It is a value: it reads no clock and does nothing by itself. Whoever owns it hands in each window's figures and enforces the limit.
public struct LimitController: Sendable {
    /// What it does at the moment: what the metric `controller_state` shows. It is in exactly one state.
    public enum State: String, CaseIterable, Sendable {
        /// Nothing moves the limit.
        case fixed
        /// All is as it should be: the limit stays.
        case hold
        /// The last window raised, or lowered it.
        case raise, lower
        /// It compares two limits.
        case probe
        /// The demand is below the limit: nothing can be said about the server.
        case notSaturated = "not-saturated"
        /// What is wanted cannot be reached: the limit stays.
        case infeasible
        /// Nothing has been measured yet.
        case noMeasurement = "no-measurement"
    }

    public private(set) var control: LimitControl
    private var minimum: Int
    private var maximum: Int
    private var fixed: Int
    // Those that the control asks for; of two the lower limit counts.
    private var holder: HoldController?
    private var rateHolder: RateHoldController?
    private var optimiser: OptimiseController?
    private var storer: StoredController?

    /// - Parameters:
    ///   - control: one without `fault`.
    ///   - initial: the limit at the start, brought between the bounds.
    ///   - minimum: where something moves the limit it stays above zero all the same.
    ///   - maximum: at least the minimum, below what the server could hold (claims 1, 12).
    public init(_ control: LimitControl, initial: Int, minimum: Int, maximum: Int) {
        precondition(control.fault == nil, control.fault ?? "")
        precondition(minimum >= 0 && maximum >= minimum)
        self.control = control
        self.minimum = minimum
        self.maximum = maximum
        fixed = min(max(initial, minimum), maximum)
        // What moves a limit needs at least one connection to go by; a fixed one may be zero.
        let minimum = max(1, minimum)
        let maximum = max(1, maximum)
        var held: (metric: Metric, low: Double?, high: Double?)?
        switch control {
        case .fixed: break
        case .hold(let metric, let low, let high): held = (metric, low, high)
        case .optimiseThroughput: optimiser = OptimiseController(initial: initial, minimum: minimum, maximum: maximum)
        case .stored(let above, let below):
            storer = StoredController(raiseAbove: above, lowerBelow: below, initial: initial, minimum: minimum, maximum: maximum)
        case .storedHolding(let above, let below, let metric, let low, let high):
            storer = StoredController(raiseAbove: above, lowerBelow: below, initial: initial, minimum: minimum, maximum: maximum)
            held = (metric, low, high)
        }
        guard let held else { return }
        if held.metric.risesWithLoad {
            holder = HoldController(
                metric: held.metric, low: held.low, high: held.high, initial: initial, minimum: minimum, maximum: maximum)
        } else {
            rateHolder = RateHoldController(
                metric: held.metric, low: held.low, high: held.high, initial: initial, minimum: minimum, maximum: maximum)
        }
    }

    // MARK: What it says

    /// The number of permissible connections from now on.
    public var limit: Int {
        guard let one = holder?.limit ?? rateHolder?.limit ?? optimiser?.limit else { return storer?.limit ?? fixed }
        return min(one, storer?.limit ?? one)
    }

    /// Why the limit is what it is: the last window's reason, or what was done from outside since.
    public var reason: LimitReason {
        let measured = holder?.reason ?? rateHolder?.reason ?? optimiser?.reason
        guard let storer else { return measured ?? .fixed }
        // Of the two the one speaks that is nearer to the server.
        guard let measured, let other = holder?.limit ?? rateHolder?.limit else { return storer.reason }
        return other <= storer.limit ? measured : storer.reason
    }

    public var state: State { State(reason) }

    /// How much of a change of the limit the rate follows, as measured: d ln X / d ln L; nil where it is not measured, or not yet.
    public var elasticity: Double? { rateHolder?.elasticity ?? optimiser?.elasticity }

    /// The band that is held, in the metric's unit; nil = none is.
    public var band: (low: Double?, high: Double?)? {
        if let holder { return (holder.low, holder.high) }
        if let rateHolder { return (rateHolder.low, rateHolder.high) }
        return nil
    }

    // MARK: What it is told

    /// Takes the figures of a window.
    /// - Returns: the limit from now on.
    public mutating func take(_ figures: Performance) -> Int {
        _ = holder?.take(figures)
        _ = rateHolder?.take(figures)
        _ = optimiser?.take(figures)
        _ = storer?.take(figures)
        if storer != nil, holder != nil || rateHolder != nil {
            let lower = limit
            holder?.follow(lower)
            rateHolder?.follow(lower)
            storer?.follow(lower)
        }
        return limit
    }

    /// Sets the band of the metric that is held.
    /// - Returns: false when none is held, or this is not a band: nothing has changed then.
    @discardableResult public mutating func setBand(low: Double?, high: Double?) -> Bool {
        guard band != nil, LimitControl.fault(low, high) == nil else { return false }
        holder?.setBand(low: low, high: high)
        rateHolder?.setBand(low: low, high: high)
        return true
    }

    /// A person sets the limit: the controller goes on from there. It is brought between the bounds.
    public mutating func setLimit(_ wanted: Int) {
        fixed = min(max(wanted, minimum), maximum)
        holder?.set(limit: fixed)
        rateHolder?.set(limit: fixed)
        optimiser?.set(limit: fixed)
        storer?.set(limit: fixed)
    }

    /// A server came back: what was known of it may be wrong.
    public mutating func restart(at wanted: Int) {
        fixed = min(max(wanted, minimum), maximum)
        holder?.restart(at: fixed)
        rateHolder?.restart(at: fixed)
        optimiser?.restart(at: fixed)
        storer?.restart(at: fixed)
    }

    /// Another configuration: it begins anew at the limit that it had, unless only the band or the bounds are others.
    mutating func change(_ control: LimitControl, minimum: Int, maximum: Int) {
        if control != self.control, !takeBand(of: control) {
            self = LimitController(control, initial: limit, minimum: minimum, maximum: maximum)
        } else {
            setBounds(minimum: minimum, maximum: maximum)
        }
    }

    /// - Returns: false when the other control is more than another band of the same metric: nothing has changed then.
    private mutating func takeBand(of other: LimitControl) -> Bool {
        switch (control, other) {
        case (.hold(let metric, _, _), .hold(let same, let low, let high)) where metric == same:
            setBand(low: low, high: high)
            control = other
            return true
        default:
            return false
        }
    }

    public mutating func setBounds(minimum: Int, maximum: Int) {
        precondition(minimum >= 0 && maximum >= minimum)
        self.minimum = minimum
        self.maximum = maximum
        fixed = min(max(fixed, minimum), maximum)
        let minimum = max(1, minimum)
        let maximum = max(1, maximum)
        holder?.setBounds(minimum: minimum, maximum: maximum)
        rateHolder?.setBounds(minimum: minimum, maximum: maximum)
        optimiser?.setBounds(minimum: minimum, maximum: maximum)
        storer?.setBounds(minimum: minimum, maximum: maximum)
    }
}

extension LimitController.State {
    /// What a reason means for the limit.
    init(_ reason: LimitReason) {
        switch reason {
        case .fixed: self = .fixed
        case .noMeasurement, .set, .restarted: self = .noMeasurement
        case .inBand, .waiting, .found, .someStored: self = .hold
        case .notSaturated: self = .notSaturated
        case .below, .growing, .morePays, .manyStored: self = .raise
        case .above, .failures, .pastPeak, .fewerPay, .fewStored: self = .lower
        case .probing: self = .probe
        case .atBound, .betweenLimits, .atPeak: self = .infeasible
        }
    }
}
