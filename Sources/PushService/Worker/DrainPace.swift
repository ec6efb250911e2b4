/// How a draining worker spreads the end of its WebSockets: their devices come back to the other workers one after the other.
struct DrainPace {
    /// How long one step lasts, in seconds.
    static let step = 0.02

    /// WebSockets a second; nil: all at once.
    let rate: Double?

    /// How many of `total` are to be closed by then.
    ///
    /// - Parameter seconds: since the first step.
    func due(after seconds: Double, of total: Int) -> Int {
        guard let rate else { return total }
        let due = (seconds + Self.step) * rate
        return due < Double(total) ? Int(due) : total
    }
}
