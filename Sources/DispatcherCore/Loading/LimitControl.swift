/// How a server's number of permissible connections is controlled: the key `control` of a pool.
public enum LimitControl: Equatable, Sendable {
    /// It stays as it is set.
    case fixed
    /// A metric is kept in a band, in the metric's unit (rates a second, times in seconds); one end may be missing ([0038]).
    case hold(Metric, low: Double?, high: Double?)
    /// The most responses a second are looked for; no band is needed.
    case optimiseThroughput
    /// l4/3: more connection requests stored than the one number raise it, fewer than the other lower it (claims 57-59, 66).
    case stored(raiseAbove: Int, lowerBelow: Int)
    /// Both: the lower of the two limits counts, so that a long queue never pushes a server over its band.
    case storedHolding(raiseAbove: Int, lowerBelow: Int, Metric, low: Double?, high: Double?)

    /// The metric that is held; nil = none is.
    public var metric: Metric? {
        switch self {
        case .fixed, .optimiseThroughput, .stored: nil
        case .hold(let metric, _, _), .storedHolding(_, _, let metric, _, _): metric
        }
    }

    /// Why a controller cannot be made from it, in words for the configuration's error; nil = it can.
    public var fault: String? {
        switch self {
        case .fixed, .optimiseThroughput: nil
        case .hold(_, let low, let high): Self.fault(low, high)
        case .stored(let above, let below): Self.fault(above, below)
        case .storedHolding(let above, let below, _, let low, let high): Self.fault(above, below) ?? Self.fault(low, high)
        }
    }

    static func fault(_ low: Double?, _ high: Double?) -> String? {
        guard low != nil || high != nil else { return "a band needs at least one end" }
        guard (low ?? 1).isFinite, (high ?? 1).isFinite, (low ?? 1) > 0, (high ?? 1) > 0 else { return "a band's ends must be above zero" }
        if let low, let high, low >= high { return "a band's low end must be below its high end" }
        return nil
    }

    private static func fault(_ raiseAbove: Int, _ lowerBelow: Int) -> String? {
        guard lowerBelow >= 0, raiseAbove >= 0 else { return "a number of stored requests cannot be negative" }
        return lowerBelow > raiseAbove + 1 ? "stored requests cannot be both too many and too few" : nil
    }
}
