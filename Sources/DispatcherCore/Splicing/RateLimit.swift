/// At most so many events a second, with a burst of a tenth of that (at least one).
struct RateLimit {
    private let perSecond: Int64
    private let burst: Int64
    /// In billionths of an event.
    private var credit: Int64
    private var last = Instant.distantPast

    init(perSecond: Int64) {
        self.perSecond = perSecond
        burst = max(perSecond / 10, 1) * 1_000_000_000
        credit = burst
    }

    /// Whether one more event is within the limit; takes it if so.
    mutating func allows(at now: Instant) -> Bool {
        let elapsed = min((now - last).nanoseconds, 1_000_000_000)
        if elapsed > 0 {
            credit = min(burst, credit + elapsed * perSecond)
            last = now
        }
        guard credit >= 1_000_000_000 else { return false }
        credit -= 1_000_000_000
        return true
    }
}
