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

/// How many resets an engine answers with: a second's worth for those that know nothing of us, and for those that we turn away.
struct ResetLimits {
    /// Segments of no connection. What a stranger sends costs little here, and he is not helped by an answer.
    var strangers = RateLimit(perSecond: 1_000)
    /// SYNs that are refused. A client that is not told sends its SYN again after a second or three: at overload those would come back as
    /// work that nobody wants any more, and a server at its best would spend part of it on them.
    var refusals = RateLimit(perSecond: 20_000)

    mutating func allow(refused: Bool, at now: Instant) -> Bool {
        refused ? refusals.allows(at: now) : strangers.allows(at: now)
    }
}
