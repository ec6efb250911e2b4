/// What the sending side of a connection must know of own bytes on their way, and of the path: congestion, recovery, round trip and timers.
/// A tunnel, in which others' bytes alone are on their way, has none.
struct Transmission {
    // MARK: Congestion and recovery
    var congestionWindow: UInt32
    var threshold: UInt32 = .max
    var scoreboard = Scoreboard()
    /// Acknowledgements in a row that repeat the last one while own bytes are on their way.
    var duplicates: UInt8 = 0
    /// RecoveryPoint of RFC 6675: until it is acknowledged no second recovery begins.
    var recovery: SequenceNumber
    var isRecovering = false
    /// The first missing piece is sent whatever the congestion window says: recovery has begun, or gone on by one hole without SACK.
    var repairsAtOnce = false
    /// HighRxt of RFC 6675: up to here holes were filled in this recovery; and whether the last piece was sent for want of others.
    var repaired: SequenceNumber
    var isRescued = false

    // MARK: Round trip and timers
    /// How often the timer has run out in a row.
    var backoff: UInt8 = 0
    var isTiming = false
    /// Whether the timer that runs out next is the tail loss probe.
    var isProbeNext = false
    var timedEnd: SequenceNumber
    var timedAt = Instant.distantPast
    var lastSent = Instant.distantPast
    var smoothed = Interval.zero
    var variation = Interval.zero
    var timeout: Interval
    /// When the retransmission or persist timer runs out.
    var retransmitAt = Instant.distantFuture
    /// A tail loss probe is on its way: it ended there, and it repeated bytes.
    var probe: TailProbe?

    // MARK: The path
    /// The most bytes that were on their way to the peer lately without a loss, and when; nothing counts before `provenAfter`.
    /// Up to `flightThreshold`, where a loss was, the path may be asked for twice as much (slow start, RFC 5681 3.1).
    var provenFlight = 0
    var flightThreshold = Int.max
    var provenAt = Instant.distantPast
    var provenAfter: SequenceNumber

    struct TailProbe {
        var end: SequenceNumber
        var repeats: Bool
    }

    init(initial: SequenceNumber, segmentSize: UInt16, timeout: Interval) {
        congestionWindow = UInt32(segmentSize) * Sender.initialSegments
        recovery = initial
        repaired = initial
        timedEnd = initial
        provenAfter = initial
        self.timeout = timeout
    }
}

/// Its parts by their names. While only others' bytes are on their way they are as at the beginning, and must not be written.
extension Sender {
    var congestionWindow: UInt32 {
        _read { yield transmission.pointee.congestionWindow }
        nonmutating _modify { yield &transmission.pointee.congestionWindow }
    }
    var threshold: UInt32 {
        _read { yield transmission.pointee.threshold }
        nonmutating _modify { yield &transmission.pointee.threshold }
    }
    var scoreboard: Scoreboard {
        _read { yield transmission.pointee.scoreboard }
        nonmutating _modify { yield &transmission.pointee.scoreboard }
    }
    var duplicates: UInt8 {
        _read { yield transmission.pointee.duplicates }
        nonmutating _modify { yield &transmission.pointee.duplicates }
    }
    var recovery: SequenceNumber {
        _read { yield transmission.pointee.recovery }
        nonmutating _modify { yield &transmission.pointee.recovery }
    }
    var isRecovering: Bool {
        _read { yield transmission.pointee.isRecovering }
        nonmutating _modify { yield &transmission.pointee.isRecovering }
    }
    var repairsAtOnce: Bool {
        _read { yield transmission.pointee.repairsAtOnce }
        nonmutating _modify { yield &transmission.pointee.repairsAtOnce }
    }
    var repaired: SequenceNumber {
        _read { yield transmission.pointee.repaired }
        nonmutating _modify { yield &transmission.pointee.repaired }
    }
    var isRescued: Bool {
        _read { yield transmission.pointee.isRescued }
        nonmutating _modify { yield &transmission.pointee.isRescued }
    }
    var backoff: UInt8 {
        _read { yield transmission.pointee.backoff }
        nonmutating _modify { yield &transmission.pointee.backoff }
    }
    var isTiming: Bool {
        _read { yield transmission.pointee.isTiming }
        nonmutating _modify { yield &transmission.pointee.isTiming }
    }
    var isProbeNext: Bool {
        _read { yield transmission.pointee.isProbeNext }
        nonmutating _modify { yield &transmission.pointee.isProbeNext }
    }
    var timedEnd: SequenceNumber {
        _read { yield transmission.pointee.timedEnd }
        nonmutating _modify { yield &transmission.pointee.timedEnd }
    }
    var timedAt: Instant {
        _read { yield transmission.pointee.timedAt }
        nonmutating _modify { yield &transmission.pointee.timedAt }
    }
    var lastSent: Instant {
        _read { yield transmission.pointee.lastSent }
        nonmutating _modify { yield &transmission.pointee.lastSent }
    }
    var smoothed: Interval {
        _read { yield transmission.pointee.smoothed }
        nonmutating _modify { yield &transmission.pointee.smoothed }
    }
    var variation: Interval {
        _read { yield transmission.pointee.variation }
        nonmutating _modify { yield &transmission.pointee.variation }
    }
    var timeout: Interval {
        _read { yield transmission.pointee.timeout }
        nonmutating _modify { yield &transmission.pointee.timeout }
    }
    var retransmitAt: Instant {
        _read { yield transmission.pointee.retransmitAt }
        nonmutating _modify { yield &transmission.pointee.retransmitAt }
    }
    var probe: Transmission.TailProbe? {
        _read { yield transmission.pointee.probe }
        nonmutating _modify { yield &transmission.pointee.probe }
    }
}

extension Sender {
    /// Learns from an acknowledgement how much the path takes.
    /// - Parameters:
    ///   - flight: bytes on their way before it.
    ///   - lost: it shows a gap.
    mutating func noteFlight(_ flight: Int, lost: Bool, moved: Bool, at now: Instant) {
        if lost {
            transmission.pointee.provenFlight /= 2
            transmission.pointee.flightThreshold = transmission.pointee.provenFlight
            transmission.pointee.provenAfter = highest
        } else if moved, unacknowledged.isAtOrAfter(transmission.pointee.provenAfter) {
            transmission.pointee.provenAfter = unacknowledged
            if flight >= transmission.pointee.provenFlight || now - transmission.pointee.provenAt > timeout {
                transmission.pointee.provenFlight = flight
                transmission.pointee.provenAt = now
            }
        }
    }

    /// What the path may be given at once: twice what it took lately, after a loss no more than that. What is older than a timeout, and
    /// than a second, is not trusted (RFC 5681 4.1).
    func trustedFlight(at now: Instant) -> Int {
        if now - transmission.pointee.provenAt > max(timeout, .seconds(1)) { return 0 }
        let flight = transmission.pointee.provenFlight
        return max(flight, min(2 * flight, transmission.pointee.flightThreshold))
    }
}
