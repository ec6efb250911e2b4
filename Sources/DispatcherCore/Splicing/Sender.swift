/// The sending side of a connection: SND.UNA and SND.NXT (RFC 9293 3.3.1), and the retransmission of what the dispatcher itself
/// originates ("own bytes"): requests, its own answers, heads that it holds, FIN. Bytes that are forwarded end to end pass through
/// the same sequence space, but whoever sent them repeats them.
///
/// Own bytes are the range `base..<end`; they lie in a buffer of the connection, from its offset 0 on or, where acknowledged ones are
/// dropped while others are added, wherever it says. Recovery is that of RFC 5681 and RFC
/// 6582 without SACK; the timer is that of RFC 6298 with a minimum of 200 ms.
struct Sender {
    static let minimumTimeout = Interval.milliseconds(200)
    static let maximumTimeout = Interval.seconds(60)
    static let initialTimeout = Interval.seconds(1)

    /// The oldest number that the peer has not acknowledged.
    var unacknowledged: SequenceNumber
    /// The next number to be sent for the first time or, after a timeout, again.
    var next: SequenceNumber
    /// The highest number ever sent, plus one.
    var highest: SequenceNumber
    /// Own bytes.
    var base: SequenceNumber
    var end: SequenceNumber
    /// The peer's right edge: its acknowledgement plus its window.
    var edge: SequenceNumber
    /// The farthest right edge that the peer has offered: it must take what was sent before it shrank its window.
    private(set) var farthestEdge: SequenceNumber
    /// The largest window that the peer has offered, bytes (MAX.SND.WND of RFC 5961 section 5.2); at least what a field without scale says.
    private(set) var largestWindow = 65_535
    /// SND.WL1, SND.WL2: of the segment that set the window last.
    private var windowSequence: SequenceNumber
    private var windowAcknowledgement: SequenceNumber

    /// Most payload bytes of a segment to this peer.
    var segmentSize: UInt16
    /// A FIN follows the last byte (own or forwarded) as soon as that is sent.
    var finQueued = false
    var finSent = false
    /// Whether the peer has acknowledged our FIN.
    var finAcknowledged = false

    private var duplicates: UInt8 = 0
    /// How often the timer has run out in a row.
    private(set) var backoff: UInt8 = 0
    private var isTiming = false
    private var timedEnd: SequenceNumber
    private var timedAt = Instant.distantPast
    private var congestionWindow: UInt32
    private var threshold: UInt32 = .max
    private var recovery: SequenceNumber
    private var smoothed = Interval.zero
    private var variation = Interval.zero
    var timeout: Interval
    /// When the retransmission or persist timer runs out.
    var deadline = Instant.distantFuture

    init(initial: SequenceNumber, segmentSize: UInt16, timeout: Interval = Sender.initialTimeout) {
        unacknowledged = initial
        next = initial
        highest = initial
        base = initial
        end = initial
        edge = initial
        farthestEdge = initial
        windowSequence = initial
        windowAcknowledgement = initial
        self.segmentSize = segmentSize
        timedEnd = initial
        congestionWindow = UInt32(segmentSize) * 10
        recovery = initial
        self.timeout = timeout
    }

    /// The number that the next byte of the stream will have: after all own and all forwarded bytes.
    var streamEnd: SequenceNumber { SequenceNumber.later(end, finSent ? finSequence : highest) }
    /// Whether own bytes or the FIN are not acknowledged yet.
    var hasUnacknowledgedOwn: Bool { unacknowledged.isBefore(end) || (finSent && !finAcknowledged) }
    /// The peer's window as bytes beyond what it has acknowledged.
    var window: Int { max(0, edge.distance(from: unacknowledged)) }
    /// A smoothed round trip, zero when none was measured.
    var roundTrip: Interval { smoothed }

    // MARK: Window

    /// Takes the peer's window from a segment (RFC 9293 3.10.7.4, the WL1/WL2 rule).
    /// - Returns: whether the right edge moved.
    mutating func noteWindow(_ segment: Segment, bytes: Int) -> Bool {
        let isNewer =
            windowSequence.isBefore(segment.sequence)
            || (windowSequence == segment.sequence && windowAcknowledgement.isAtOrBefore(segment.acknowledgement))
        guard isNewer else { return false }
        windowSequence = segment.sequence
        windowAcknowledgement = segment.acknowledgement
        largestWindow = max(largestWindow, bytes)
        let edge = segment.acknowledgement + bytes
        guard edge != self.edge else { return false }
        self.edge = edge
        farthestEdge = SequenceNumber.later(farthestEdge, edge)
        return true
    }

    /// Takes the window of the segment that opened the connection.
    mutating func setWindow(_ segment: Segment, bytes: Int) {
        windowSequence = segment.sequence
        windowAcknowledgement = segment.acknowledgement
        largestWindow = max(largestWindow, bytes)
        edge = segment.acknowledgement + bytes
        farthestEdge = edge
    }

    // MARK: Sending

    /// A piece to be sent.
    struct Piece {
        var sequence: SequenceNumber
        /// Where it lies in the own bytes.
        var offset: Int
        var length: Int
        var fin: Bool
        var isRetransmission: Bool
        var isProbe = false
    }

    /// The next piece that window and congestion window allow; nil when there is none. Up to `most` bytes in one piece: who
    /// transmits splits it.
    mutating func nextPiece(at now: Instant, most: Int = 60_000) -> Piece? {
        if next.isBefore(base) {
            // What lies before the own bytes is acknowledged or somebody else's to repeat.
            next = base
        }
        let left = end.distance(from: next)
        if left > 0 {
            let allowed = min(
                edge.distance(from: next), (unacknowledged + Int(min(congestionWindow, 1 << 30))).distance(from: next))
            let size = Int(segmentSize)
            var length = min(left, allowed, most)
            if length < left, length >= size { length -= length % size }
            // Silly window avoidance (RFC 9293 3.8.6.2.1): whole segments, or all that is left, or nothing is on its way.
            guard length > 0, length == left || length >= size || next == unacknowledged else {
                if deadline == .distantFuture { armTimer(at: now) }
                return nil
            }
            let fin = finQueued && length == left && streamEnd == end
            return take(length, fin: fin, at: now)
        }
        guard finQueued else { return nil }
        if !finSent {
            next = streamEnd
        } else if next != finSequence {
            return nil
        }
        return take(0, fin: true, at: now)
    }

    /// The number that our FIN has; meaningful once it is sent.
    var finSequence: SequenceNumber { highest - 1 }

    private mutating func take(_ length: Int, fin: Bool, at now: Instant) -> Piece {
        let piece = Piece(
            sequence: next, offset: next.distance(from: base), length: length, fin: fin, isRetransmission: next.isBefore(highest))
        next += length + (fin ? 1 : 0)
        if fin { finSent = true }
        if next.isAfter(highest) {
            highest = next
            if !isTiming, !piece.isRetransmission {
                isTiming = true
                timedEnd = next
                timedAt = now
            }
        }
        if deadline == .distantFuture { armTimer(at: now) }
        return piece
    }

    /// Notes that bytes up to `end` were forwarded, with our FIN behind them if `fin`.
    mutating func noteForwarded(upTo end: SequenceNumber, fin: Bool, at now: Instant) {
        if end.isAfter(highest) { highest = end }
        // Own bytes that wait for the window are still to be sent.
        if end.isAfter(next), !next.isBefore(self.end) { next = end }
        if fin {
            highest = end + 1
            next = highest
            finSent = true
            armTimer(at: now)
        }
    }

    mutating func armTimer(at now: Instant) { deadline = now + timeout }

    // MARK: Acknowledgements

    /// What an acknowledgement did.
    struct Progress {
        /// Bytes (and FIN) newly acknowledged.
        var bytes = 0
        /// The first own byte that is missing should be sent again at once.
        var resend = false
    }

    /// Takes an acknowledgement that lies within what was sent.
    /// - Parameter isBare: no data, no FIN and an unchanged window: it may count as a duplicate (RFC 5681 section 2).
    mutating func acknowledge(_ number: SequenceNumber, isBare: Bool, at now: Instant) -> Progress {
        var progress = Progress()
        let moved = number.distance(from: unacknowledged)
        if moved > 0 {
            progress.bytes = moved
            let wasRecovering = recovery.isAfter(unacknowledged)
            unacknowledged = number
            if next.isBefore(number) { next = number }
            duplicates = 0
            backoff = 0
            if finSent, number == highest { finAcknowledged = true }
            if isTiming, number.isAtOrAfter(timedEnd) {
                isTiming = false
                measure(now - timedAt)
            }
            if wasRecovering, recovery.isAfter(number), number.isBefore(end) {
                progress.resend = true
            } else if congestionWindow < threshold {
                congestionWindow &+= UInt32(min(moved, Int(segmentSize)))
            } else {
                congestionWindow &+= max(1, UInt32(segmentSize) * UInt32(segmentSize) / max(congestionWindow, 1))
            }
            congestionWindow = min(congestionWindow, 1 << 24)
            // What lies behind goes along: half of the sequence space later it would count as being ahead.
            if end.isBefore(number) {
                base = number
                end = number
            }
            if recovery.isBefore(number) { recovery = number }
            if hasUnacknowledgedOwn { armTimer(at: now) } else { deadline = .distantFuture }
        } else if moved == 0, isBare, unacknowledged.isBefore(end), highest.isAfter(unacknowledged) {
            duplicates = min(duplicates + 1, 200)
            if duplicates == 3, !recovery.isAfter(unacknowledged) {
                halve()
                recovery = highest
                progress.resend = true
            }
        }
        return progress
    }

    /// Whether a number lies among what is sent and not acknowledged.
    func isInFlight(_ number: SequenceNumber) -> Bool { number.isAtOrAfter(unacknowledged) && number.isBefore(highest) }

    /// The path takes less than was thought: segments have at most `size` bytes of payload from now on. What was too large is lost, so
    /// all own bytes on their way are sent again from the first missing one on; that is no sign of congestion, and the congestion window
    /// stays (RFC 1191 section 6.5).
    /// - Returns: false when segments are no larger already; then nothing changes.
    mutating func narrow(to size: UInt16, at now: Instant) -> Bool {
        guard size < segmentSize else { return false }
        segmentSize = size
        // Karn: what is timed may be sent twice now.
        isTiming = false
        if unacknowledged.isBefore(end), unacknowledged.isAtOrAfter(base), next.isAfter(unacknowledged) {
            next = unacknowledged
            armTimer(at: now)
        }
        return true
    }

    private mutating func halve() {
        let flight = UInt32(max(0, highest.distance(from: unacknowledged)))
        threshold = max(flight / 2, 2 * UInt32(segmentSize))
        congestionWindow = threshold
    }

    /// RFC 6298 section 2; never fed from a segment that was sent twice (Karn).
    private mutating func measure(_ sample: Interval) {
        if smoothed == .zero {
            smoothed = sample
            variation = sample / 2
        } else {
            let error = smoothed > sample ? smoothed - sample : sample - smoothed
            variation = (variation * 3 + error) / 4
            smoothed = (smoothed * 7 + sample) / 8
        }
        let wanted = smoothed + max(variation * 4, .milliseconds(1))
        timeout = min(max(wanted, Self.minimumTimeout), Self.maximumTimeout)
    }

    /// The first missing own bytes, once, without moving `next`.
    mutating func firstMissing(at now: Instant) -> Piece? {
        let left = min(end.distance(from: unacknowledged), Int(segmentSize), max(edge.distance(from: unacknowledged), 1))
        guard left > 0, unacknowledged.isAtOrAfter(base) else { return nil }
        isTiming = false
        armTimer(at: now)
        return Piece(
            sequence: unacknowledged, offset: unacknowledged.distance(from: base), length: left, fin: false, isRetransmission: true)
    }

    /// The timer ran out.
    /// - Returns: what to send again, or a probe of a closed window (RFC 9293 3.8.6.1); nil when everything missing is somebody else's.
    mutating func timedOut(at now: Instant) -> Piece? {
        isTiming = false
        guard hasUnacknowledgedOwn || end.isAfter(next) else {
            deadline = .distantFuture
            return nil
        }
        backoff = min(backoff + 1, 60)
        timeout = min(timeout * 2, Self.maximumTimeout)
        armTimer(at: now)
        if unacknowledged.isBefore(end) {
            guard unacknowledged.isAtOrAfter(base) else { return nil }
            if edge.isAtOrBefore(unacknowledged) {
                var probe = Piece(
                    sequence: unacknowledged, offset: unacknowledged.distance(from: base), length: 1, fin: false,
                    isRetransmission: highest.isAfter(unacknowledged))
                probe.isProbe = true
                if highest == unacknowledged { highest += 1 }
                next = unacknowledged
                return probe
            }
            halve()
            congestionWindow = UInt32(segmentSize)
            recovery = unacknowledged
            next = unacknowledged
            return nextPiece(at: now, most: Int(segmentSize))
        }
        // Only the FIN is missing, or forwarded bytes before it.
        guard finSent, unacknowledged == finSequence else { return nil }
        return Piece(sequence: finSequence, offset: 0, length: 0, fin: true, isRetransmission: true)
    }

    // MARK: Own bytes

    /// Where own bytes may be added: they must follow the stream's end.
    /// - Returns: the offset in the buffer; nil when earlier own bytes, not acknowledged yet, are apart from it.
    mutating func beginOwn() -> Int? {
        if base != end, unacknowledged.isBefore(end) { return streamEnd == end ? end.distance(from: base) : nil }
        base = streamEnd
        end = base
        return 0
    }

    mutating func appendOwn(_ count: Int) { end += count }

    /// Lets go of the own bytes that the peer has acknowledged: they need not be kept any longer.
    /// - Returns: how many bytes go from the front of the buffer.
    mutating func dropAcknowledged() -> Int {
        let reached = SequenceNumber.earlier(unacknowledged, end)
        let dropped = reached.distance(from: base)
        guard dropped > 0 else { return 0 }
        base = reached
        return dropped
    }
}
