/// What a mobile network makes of a device's traffic: its timers and its thresholds (chapter 2, "Circuit domain states").
public struct NetworkRules: Equatable, Sendable {
    /// Where traffic takes a device that is IDLE.
    public enum IdlePromotion: String, CaseIterable, Sendable {
        /// To FACH, or to DCH when the packet is over the threshold.
        case size
        /// Always to FACH; from there the threshold rules.
        case fach
        /// Always to DCH.
        case dch
    }

    /// T1: DCH without traffic becomes FACH. The source gives 5 to 20 s; the shortest is the most lenient to every kind of traffic.
    public var t1 = Duration.seconds(5)
    /// T2: FACH without traffic becomes PCH, or IDLE where there is no PCH. The source gives 30 s.
    public var t2 = Duration.seconds(30)
    /// T3: PCH becomes IDLE. The source says "longer than T1 and T2", and that carriers differ; half an hour is our choice.
    public var t3 = Duration.seconds(1_800)
    /// Whether the network has PCH. Where it has not, T2 leads to IDLE.
    public var hasPCH = true
    /// Fast dormancy: how long after its last traffic the device asks to be released, from DCH or FACH, to PCH or, where there is none,
    /// to IDLE; nil: it never asks.
    public var fastDormancy: Duration?
    /// Bytes of IP packets in one direction that FACH still takes: one packet, or what waits there, above it makes DCH.
    public var thresholdUp = 512
    public var thresholdDown = 512
    /// Bytes a second that leave each direction's buffer in FACH: 32 kbit/s.
    public var fachRate = 4_000
    public var idlePromotion = IdlePromotion.size
    /// What it takes to leave IDLE: the source's "near 2 seconds". The radio is in the new state meanwhile, and timers run from its end.
    public var idleDelay = Duration.seconds(2)

    /// The rules as set out above.
    public init() {}

    /// The threshold of a direction.
    func threshold(_ direction: RadioPacket.Direction) -> Int { direction == .up ? thresholdUp : thresholdDown }

    /// Where FACH leads when T2 ends, and DCH and FACH by fast dormancy.
    var rest: RadioState { hasPCH ? .pch : .idle }

    private static let longest = Duration.seconds(7 * 86_400)

    /// - Throws: `RadioError` that names the rule that cannot be.
    public func check() throws(RadioError) {
        let times: [(name: String, time: Duration)] =
            [("T1", t1), ("T2", t2), ("T3", t3)] + (fastDormancy.map { [("fast dormancy", $0)] } ?? [])
        for (name, time) in times where time <= .zero || time > Self.longest {
            throw RadioError("\(name) of \(time.secondsText) s: must be more than 0 s and at most 7 days")
        }
        guard idleDelay >= .zero, idleDelay <= .seconds(60) else {
            throw RadioError("a delay of \(idleDelay.secondsText) s to leave IDLE: must be from 0 to 60 s")
        }
        for threshold in [thresholdUp, thresholdDown] where !(0...10_000_000).contains(threshold) {
            throw RadioError("a threshold of \(threshold) bytes: must be from 0 to 10,000,000")
        }
        guard (1...1_000_000_000).contains(fachRate) else {
            throw RadioError("a FACH rate of \(fachRate) bytes/s: must be from 1 to 1,000,000,000")
        }
    }
}
