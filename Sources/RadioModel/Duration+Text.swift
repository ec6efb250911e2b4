extension Duration {
    /// Seconds.
    public var seconds: Double { self / .seconds(1) }

    /// Seconds with as many decimals as they need, at most three.
    public var secondsText: String {
        let milliseconds = Int64((seconds * 1_000).rounded())
        let (whole, rest) = milliseconds.magnitude.quotientAndRemainder(dividingBy: 1_000)
        let digits = String(rest + 1_000).dropFirst()
        let decimals = digits.reversed().drop { $0 == "0" }.reversed()
        return (milliseconds < 0 ? "-" : "") + "\(whole)" + (decimals.isEmpty ? "" : "." + String(decimals))
    }

    private static let unitSeconds: [Character: Double] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]

    /// Reads seconds, or a number with a unit: `30`, `0.5s`, `4m`, `24h`, `1d`; nil when it is neither, negative, or over 10,000 days.
    public init?(parsing text: some StringProtocol) {
        let unit = text.last.flatMap { Self.unitSeconds[$0] }
        let number = unit == nil ? Substring(text) : Substring(text.dropLast())
        // `Double` would take "0x10", "1e3", "inf" and the like too.
        guard !number.isEmpty, number.allSatisfy({ ("0"..."9").contains($0) || $0 == "." }), let value = Double(number) else { return nil }
        let seconds = value * (unit ?? 1)
        guard seconds <= 10_000 * 86_400 else { return nil }
        self = .nanoseconds(Int64((seconds * 1e9).rounded()))
    }
}
