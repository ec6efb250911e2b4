/// Looks for the highest rate that holds: rises by steps until one does not hold, then goes between.
///
/// A rate that does not hold is tried once more before it counts: what else the machine does must not decide.
public struct RateSearch: Hashable, Sendable {
    /// Each rate is so many times the last while all hold.
    private static let growth = 1.5
    /// Near enough when what does not hold is at most so many times what holds.
    private static let nearEnough = 1.1
    /// A rate is a multiple of this, in messages a second.
    private static let grain = 50.0

    private let highest: Double
    private var stepsLeft: Int
    private var next: Double?
    /// Whether the rate that is tried did not hold before.
    private var isSecondTry = false
    /// The highest that held, and the lowest that did not.
    public private(set) var held: Double?
    public private(set) var missed: Double?

    /// - Parameters:
    ///   - lowest: where it begins, above 0.
    ///   - highest: no rate above is tried.
    ///   - steps: how many rates are tried at most.
    public init(from lowest: Double, to highest: Double, steps: Int) {
        self.highest = highest
        stepsLeft = steps
        next = min(lowest, highest)
    }

    /// The rate to try; nil: the search is over.
    public var rate: Double? { stepsLeft > 0 ? next : nil }

    /// Whether the rate that was to be tried held.
    public mutating func tried(held isHeld: Bool) {
        guard let rate else { return }
        stepsLeft -= 1
        if !isHeld, !isSecondTry {
            isSecondTry = true
            return
        }
        isSecondTry = false
        if isHeld { held = max(held ?? rate, rate) } else { missed = min(missed ?? rate, rate) }
        next = following
    }

    private var following: Double? {
        switch (held, missed) {
        case (let held?, nil): held < highest ? min(highest, Self.rounded(held * Self.growth)) : nil
        case (nil, let missed?): below(missed)
        case (let held?, let missed?): between(held, missed)
        case (nil, nil): nil
        }
    }

    private func below(_ missed: Double) -> Double? {
        let lower = Self.rounded(missed / Self.growth)
        return lower >= Self.grain && lower < missed ? lower : nil
    }

    private func between(_ held: Double, _ missed: Double) -> Double? {
        let middle = Self.rounded((held * missed).squareRoot())
        return missed > held * Self.nearEnough && middle > held && middle < missed ? middle : nil
    }

    private static func rounded(_ rate: Double) -> Double { (rate / grain).rounded() * grain }
}
