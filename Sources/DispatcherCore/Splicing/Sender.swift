/// The sending side of a connection: SND.UNA and SND.NXT (RFC 9293 3.3.1), and the transmission of what the dispatcher itself
/// originates ("own bytes"): requests, its own answers, response bytes in its custody, FIN. Bytes that are forwarded end to end pass
/// through the same sequence space, but whoever sent them repeats them.
///
/// Own bytes are the range `base..<end`; they lie in a buffer of the connection, from its offset 0 on or, where acknowledged ones are
/// dropped while others are added, wherever it says. Congestion control is that of RFC 5681
/// with the initial window of RFC 6928; recovery that of RFC 6675 where the peer reports what it has (SACK), else that of RFC 6582;
/// limited transmit by RFC 3042, the tail loss probe by RFC 8985 section 7, the timer by RFC 6298 with a minimum of 200 ms.
/// `+Sending` picks the next piece, `+Acknowledge` takes what the peer says, `+Timers` lets time pass.
struct Sender {
    static let minimumTimeout = Interval.milliseconds(200)
    static let maximumTimeout = Interval.seconds(60)
    static let initialTimeout = Interval.seconds(1)
    /// How long a peer may delay its acknowledgement of a single segment (RFC 8985 7.2, WCDelAckT).
    static let longestDelay = Interval.milliseconds(200)
    /// The least time before a tail loss probe: on short paths a busy peer is slower than two round trips.
    static let shortestProbe = Interval.milliseconds(10)
    static let initialSegments: UInt32 = 10

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
    private var widest: UInt32 = 65_535
    /// SND.WL1, SND.WL2: of the segment that set the window last.
    private var windowSequence: SequenceNumber
    private var windowAcknowledgement: SequenceNumber

    /// Most payload bytes of a segment to this peer.
    var segmentSize: UInt16
    /// Whether the peer reports what it has beyond gaps.
    var sackPermitted = false
    /// A FIN follows the last byte (own or forwarded) as soon as that is sent.
    var finQueued = false
    var finSent = false
    /// Whether the peer has acknowledged our FIN.
    var finAcknowledged = false

    /// Others' bytes alone are on their way, and will be: who sent them repeats them. There is no transmission then.
    private(set) var onlyForwards = false
    /// When the next of the timers runs out.
    var deadline = Instant.distantFuture
    /// Of own bytes; blank while there can be none.
    private(set) var transmission: UnsafeMutablePointer<Transmission>

    /// - Parameter transmission: where its own is kept from now on.
    init(
        initial: SequenceNumber, segmentSize: UInt16, timeout: Interval = Sender.initialTimeout,
        transmission: UnsafeMutablePointer<Transmission>
    ) {
        transmission.initialize(to: Transmission(initial: initial, segmentSize: segmentSize, timeout: timeout))
        self.init(initial: initial, segmentSize: segmentSize, kept: transmission)
    }

    /// Of a connection that is not open.
    init(blank: UnsafeMutablePointer<Transmission>) {
        self.init(initial: SequenceNumber(0), segmentSize: 536, kept: blank)
    }

    private init(initial: SequenceNumber, segmentSize: UInt16, kept: UnsafeMutablePointer<Transmission>) {
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
        transmission = kept
    }

    /// From now on others' bytes alone are sent: nothing of ours is on its way, and nothing will be.
    /// - Returns: the transmission, which is the caller's again.
    mutating func forwardOnly(blank: UnsafeMutablePointer<Transmission>) -> UnsafeMutablePointer<Transmission> {
        precondition(!hasUnacknowledgedOwn && !finQueued && !finSent)
        let given = transmission
        transmission = blank
        deadline = .distantFuture
        onlyForwards = true
        return given
    }

    /// The largest window that the peer has offered, bytes (MAX.SND.WND of RFC 5961 section 5.2); at least what a field without scale says.
    var largestWindow: Int { Int(widest) }
    /// The number that the next byte of the stream will have: after all own and all forwarded bytes.
    var streamEnd: SequenceNumber { SequenceNumber.later(end, finSent ? finSequence : highest) }
    /// Whether own bytes or the FIN are not acknowledged yet.
    var hasUnacknowledgedOwn: Bool { unacknowledged.isBefore(end) || (finSent && !finAcknowledged) }
    /// Whether the oldest byte that is sent and not acknowledged is an own one: then it is ours to recover.
    var ownIsInFlight: Bool {
        unacknowledged.isBefore(end) && unacknowledged.isAtOrAfter(base) && highest.isAfter(unacknowledged)
    }
    /// The peer's window as bytes beyond what it has acknowledged.
    var window: Int { max(0, edge.distance(from: unacknowledged)) }
    /// Bytes sent and not acknowledged.
    var flight: Int { max(0, highest.distance(from: unacknowledged)) }
    /// A smoothed round trip, zero when none was measured.
    var roundTrip: Interval { smoothed }
    /// The number that our FIN has; meaningful once it is sent.
    var finSequence: SequenceNumber { highest - 1 }

    /// Whether a number lies among what is sent and not acknowledged.
    func isInFlight(_ number: SequenceNumber) -> Bool { number.isAtOrAfter(unacknowledged) && number.isBefore(highest) }

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
        widest = max(widest, UInt32(clamping: bytes))
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
        widest = max(widest, UInt32(clamping: bytes))
        edge = segment.acknowledgement + bytes
        farthestEdge = edge
    }

    // MARK: Own bytes

    /// Where own bytes may be added: they must follow the stream's end.
    /// - Parameter behind: whether they go behind those that are acknowledged, where they follow them: the buffer does not begin anew.
    /// - Returns: the offset in the buffer; nil when earlier own bytes, not acknowledged yet, are apart from it.
    mutating func beginOwn(behind: Bool = false) -> Int? {
        if base != end, behind, streamEnd == end { return end.distance(from: base) }
        if base != end, unacknowledged.isBefore(end) { return streamEnd == end ? end.distance(from: base) : nil }
        base = streamEnd
        end = base
        return 0
    }

    mutating func appendOwn(_ count: Int) { end += count }

    /// Takes bytes into custody that were forwarded: they are own bytes from here on, all of them sent already. The buffer begins with
    /// the byte at `start`, which is not beyond what the peer has acknowledged.
    mutating func adopt(from start: SequenceNumber, to end: SequenceNumber, at now: Instant) {
        precondition(!unacknowledged.isBefore(self.end) && unacknowledged.isAtOrAfter(start) && end.isAtOrBefore(highest))
        base = start
        self.end = end
        if hasUnacknowledgedOwn { armTimer(at: now) }
    }

    /// Lets go of own bytes at the buffer's beginning that the peer has acknowledged.
    /// - Returns: how many; the buffer's offsets move down by as much.
    mutating func dropAcknowledged() -> Int {
        let count = SequenceNumber.earlier(unacknowledged, end).distance(from: base)
        guard count > 0 else { return 0 }
        base += count
        return count
    }

    // MARK: A narrower path

    /// The path takes less than was thought: segments have at most `size` bytes of payload from now on. What was too large is lost, so
    /// all own bytes on their way are sent again from the first missing one on; that is no sign of congestion, and the congestion window
    /// stays (RFC 1191 section 6.5).
    /// - Returns: false when segments are no larger already; then nothing changes.
    mutating func narrow(to size: UInt16, at now: Instant) -> Bool {
        guard size < segmentSize else { return false }
        segmentSize = size
        if onlyForwards { return true }
        // Karn: what is timed may be sent twice now.
        isTiming = false
        if unacknowledged.isBefore(end), unacknowledged.isAtOrAfter(base), next.isAfter(unacknowledged) {
            isRecovering = false
            next = unacknowledged
            armTimer(at: now)
        }
        return true
    }
}
