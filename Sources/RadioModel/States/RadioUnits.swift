/// What a second in each state costs a battery, in the relative units of chapter 2 ("Battery consumption").
public struct RadioUnits: Equatable, Sendable {
    private var values: PerState<Double>

    /// Chapter 2: IDLE 1, FACH 40, DCH 100. It gives PCH as less than 2; 2 is its worst.
    public static let standard: RadioUnits = {
        var values = PerState(repeating: 1.0)
        values[.pch] = 2
        values[.fach] = 40
        values[.dch] = 100
        return RadioUnits(values: values)
    }()

    private init(values: PerState<Double>) { self.values = values }

    /// Reads `idle=1,pch=2,fach=40,dch=100`; what is left out keeps its standard value.
    /// - Throws: `RadioError` when a name is unknown or comes twice, or a value is no number of at least 0.
    public init(parsing text: String) throws(RadioError) {
        values = Self.standard.values
        var seen: Set<RadioState> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let sides = part.split(separator: "=", omittingEmptySubsequences: false)
            guard sides.count == 2, let state = RadioState(key: String(sides[0])) else {
                throw RadioError("\"\(part)\" is no STATE=UNITS with a state of idle, pch, fach, dch; write idle=1,pch=2,fach=40,dch=100")
            }
            guard let value = Double(sides[1]), value.isFinite, value >= 0 else {
                throw RadioError("\"\(part)\": the units must be a number of at least 0")
            }
            guard seen.insert(state).inserted else { throw RadioError("\"\(part)\": \(state.key) has its units already") }
            values[state] = value
        }
    }

    /// Relative units a second.
    public subscript(state: RadioState) -> Double { values[state] }
}
