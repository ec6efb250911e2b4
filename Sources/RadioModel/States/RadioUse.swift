/// What a radio did in a stretch of time, and what went over it.
public struct RadioUse: Equatable, Sendable {
    /// A promotion: from a state into a dearer one.
    public struct Promotion: Hashable, Sendable {
        public var from: RadioState
        public var to: RadioState

        public init(_ from: RadioState, _ to: RadioState) {
            self.from = from
            self.to = to
        }
    }

    /// The first instant that counts.
    public let from: Duration
    /// The first instant that counts no more.
    public let until: Duration
    /// Time in each state; together `until` less `from`.
    public internal(set) var time = PerState(repeating: Duration.zero)
    /// How often each happened: each costs signalling ("Signalling storms").
    public internal(set) var promotions: [Promotion: Int] = [:]
    /// Promotions out of IDLE and PCH that the network began: it paged the device.
    public internal(set) var pages = 0
    public internal(set) var releasesByT1 = 0
    public internal(set) var releasesByT2 = 0
    public internal(set) var releasesByT3 = 0
    public internal(set) var releasesByFastDormancy = 0
    public internal(set) var packetsUp = 0
    public internal(set) var packetsDown = 0
    /// Of IP packets, headers included.
    public internal(set) var bytesUp = 0
    public internal(set) var bytesDown = 0

    init(from: Duration, until: Duration) {
        self.from = from
        self.until = until
    }

    /// Of all kinds.
    public var promotionCount: Int { promotions.values.reduce(0, +) }

    /// Relative units: of each state its seconds times what a second costs.
    public func units(_ state: RadioState, _ units: RadioUnits) -> Double { time[state].seconds * units[state] }

    /// Relative units of all states.
    public func units(_ units: RadioUnits) -> Double { RadioState.allCases.reduce(0) { $0 + self.units($1, units) } }

    /// Adds a stay in a state; what lies outside is left out.
    mutating func add(_ state: RadioState, from start: Duration, until end: Duration) {
        let (start, end) = (max(start, from), min(end, until))
        if start < end { time[state] += end - start }
    }

    mutating func add(_ change: RadioChange) {
        guard change.at >= from, change.at < until else { return }
        switch change.cause {
        case .traffic(let direction):
            promotions[Promotion(change.from, change.to), default: 0] += 1
            if direction == .down, change.from < .fach { pages += 1 }
        case .t1: releasesByT1 += 1
        case .t2: releasesByT2 += 1
        case .t3: releasesByT3 += 1
        case .fastDormancy: releasesByFastDormancy += 1
        }
    }

    /// - Returns: whether the packet lies in the stretch.
    mutating func add(_ packet: RadioPacket) -> Bool {
        guard packet.at >= from, packet.at < until else { return false }
        switch packet.direction {
        case .up: (packetsUp, bytesUp) = (packetsUp + 1, bytesUp + packet.bytes)
        case .down: (packetsDown, bytesDown) = (packetsDown + 1, bytesDown + packet.bytes)
        }
        return true
    }
}
