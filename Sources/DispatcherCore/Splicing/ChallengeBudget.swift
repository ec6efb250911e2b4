/// How many acknowledgements a connection may spend on segments that carry nothing and do not fit: ten a second. It ends storms in which
/// two sides answer each other for ever, and it is each connection's own, because a common budget would be a side channel (RFC 5961
/// section 7).
struct ChallengeBudget {
    private static let perSecond: UInt8 = 10

    private var second: UInt32 = 0
    private var spent: UInt8 = 0

    /// Whether one more may be sent; takes it if so.
    mutating func allows(at now: Instant) -> Bool {
        let current = UInt32(truncatingIfNeeded: now.nanoseconds / 1_000_000_000)
        if second != current {
            second = current
            spent = 0
        }
        guard spent < Self.perSecond else { return false }
        spent += 1
        return true
    }
}
