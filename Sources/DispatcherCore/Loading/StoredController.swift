/// Moves the number of permissible connections by the number of connection requests that are stored (l4/3; [0052], claims 57-59, 66).
struct StoredController: Sendable {
    let raiseAbove: Int
    let lowerBelow: Int
    private(set) var minimum: Int
    private(set) var maximum: Int
    private(set) var exact: Double
    private(set) var reason = LimitReason.noMeasurement

    init(raiseAbove: Int, lowerBelow: Int, initial: Int, minimum: Int, maximum: Int) {
        precondition(lowerBelow >= 0 && lowerBelow <= raiseAbove + 1)
        precondition(minimum >= 1 && maximum >= minimum)
        self.raiseAbove = raiseAbove
        self.lowerBelow = lowerBelow
        self.minimum = minimum
        self.maximum = maximum
        exact = Double(min(max(initial, minimum), maximum))
    }

    var limit: Int { Int(exact) }

    /// Takes the figures of a window.
    /// - Returns: the limit from now on.
    mutating func take(_ figures: Performance) -> Int {
        if figures.failures > 0 {
            move(to: exact * 0.7, .failures)
        } else if figures.stored > raiseAbove {
            move(to: exact + max(1, exact / 8), .manyStored)
        } else if figures.stored < lowerBelow {
            move(to: exact - max(1, exact / 8), .fewStored)
        } else {
            reason = .someStored
        }
        return limit
    }

    private mutating func move(to wanted: Double, _ reason: LimitReason) {
        let before = limit
        set(wanted)
        self.reason = limit == before && reason == .manyStored && limit == maximum ? .atBound : reason
    }

    private mutating func set(_ wanted: Double) { exact = min(max(wanted, Double(minimum)), Double(maximum)) }

    // MARK: From outside

    mutating func set(limit: Int) {
        set(Double(limit))
        reason = .set
    }

    mutating func setBounds(minimum: Int, maximum: Int) {
        precondition(minimum >= 1 && maximum >= minimum)
        self.minimum = minimum
        self.maximum = maximum
        set(exact)
    }

    mutating func restart(at limit: Int) {
        set(Double(limit))
        reason = .restarted
    }

    /// Another controller's limit counts: this one stays near it, so that it is there when it is needed.
    mutating func follow(_ limit: Int) { set(min(exact, Double(limit) + max(1, Double(limit) / 4))) }
}
