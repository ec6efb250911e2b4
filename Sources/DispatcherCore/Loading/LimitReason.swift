/// What a controller did with a limit, and why; for the log and the metrics.
public enum LimitReason: String, CaseIterable, Sendable {
    /// Nothing moves the limit; a person has set it.
    case fixed
    case set
    /// A server came back: it begins anew.
    case restarted
    /// The metric lies in its band; the demand is below the limit; nothing was measured.
    case inBand = "in-band"
    case notSaturated = "not-saturated"
    case noMeasurement = "no-measurement"
    /// The metric lies below, or above its band.
    case below, above
    /// Raised only when the longest response time was below the band for some windows in a row: not yet.
    case waiting
    /// The server failed.
    case failures
    /// The band cannot be reached: the limit is at its bound, no whole number of connections meets it, or the rate is at its peak.
    case atBound = "at-bound"
    case betweenLimits = "between-limits"
    case atPeak = "at-peak"
    /// More connections gave less: it went back.
    case pastPeak = "past-peak"
    /// Optimising: doubles, compares, moves toward the peak in either direction, or has found it.
    case growing, probing
    case morePays = "more-pays"
    case fewerPay = "fewer-pay"
    case found
    /// More connection requests are stored than may be, or fewer; or a number in between (l4/3, claims 57-59).
    case manyStored = "many-stored"
    case fewStored = "few-stored"
    case someStored = "some-stored"
}
