/// What one end of a forwarded connection has sent, in that end's own numbers, and what the other end has said of it.
struct ForwardedStream {
    /// The number after the highest that has passed.
    var next: SequenceNumber
    /// The highest acknowledgement of it, and the farthest edge that its receiver has shown.
    var acknowledged: SequenceNumber
    var edge: SequenceNumber
    /// The number after its FIN; meaningless before one has passed.
    var finEnd = SequenceNumber(0)
    var hasFin = false
    /// How far the windows are shifted that this end shows.
    var shift: UInt8 = 0
    /// Payload bytes that have passed, each once.
    var bytes: UInt64 = 0

    /// How far beyond the edge a number may be that nobody has made up: a peer may probe a closed window, and may have been shown more by
    /// a segment that overtook others.
    static let slack = 65_535

    init(initial: SequenceNumber) {
        next = initial + 1
        acknowledged = initial
        edge = initial + 1
    }

    /// Whether a segment of this end can be one of its own.
    func isPlausible(_ sequence: SequenceNumber) -> Bool {
        !sequence.isAfter(SequenceNumber.later(edge, next) + Self.slack)
    }

    /// Whether a RST of this end lies where its receiver may expect one (RFC 9293 3.10.7.4).
    func isInWindow(_ sequence: SequenceNumber) -> Bool {
        sequence.isAtOrAfter(acknowledged) && sequence.isAtOrBefore(SequenceNumber.later(edge, next))
    }

    /// Whether a number is of what was sent and is not acknowledged (RFC 5927 section 4.1).
    func isInFlight(_ sequence: SequenceNumber) -> Bool { sequence.isAtOrAfter(acknowledged) && sequence.isBefore(next) }

    /// Whether all of it, its FIN included, has reached the other end.
    var isOver: Bool { hasFin && acknowledged.isAtOrAfter(finEnd) }

    /// A segment of this end has passed.
    mutating func sent(_ segment: Segment) {
        if segment.end.isAfter(next) {
            let payload = segment.payloadEnd.distance(from: next)
            if payload > 0 { bytes &+= UInt64(payload) }
            next = segment.end
        }
        if segment.flags.contains(.fin), !hasFin { (hasFin, finEnd) = (true, segment.end) }
    }

    /// The other end has acknowledged up to a number, and shown a window of so many bytes.
    mutating func acknowledge(_ number: SequenceNumber, window: Int) {
        if number.isAfter(acknowledged) { acknowledged = number }
        let shown = number + window
        if shown.isAfter(edge) { edge = shown }
    }
}

/// A connection between a client and a server that the dispatcher only forwards ([0049]-[0053]): both ends' TCP is their own. The entry of a
/// stored SYN is its beginning.
struct ForwardedConnection {
    enum State: UInt8 {
        /// Its SYN waits for a server. Next: opening, or forgotten.
        case queued
        /// Its SYN is at a server, and the handshake is not complete. Next: open, closed, or forgotten.
        case opening
        /// Both ends talk, or one of them still does. Next: closed.
        case open
        /// Both ends have closed, or one has reset: late segments still pass, and it counts no longer. Next: forgotten.
        case closed
    }

    static let noServer = UInt16.max

    var state = State.queued
    let client: Endpoint
    /// Where the client's last frame came from.
    var neighbour: HardwareAddress
    let listener: UInt16
    let service: UInt16
    let pool: UInt16
    var server = ForwardedConnection.noServer
    /// Of its pool's queue, while it waits.
    var lane: UInt16 = 0
    /// While it waits: lower ones have waited longer, in whichever shard.
    var ticket: UInt64 = 0
    /// The server's end of it that is not the server: an address and port of ours, or the client's.
    var local = Endpoint(address: IPAddress(v4: 0), port: 0)
    let syn: StoredSYN

    /// The number that we answered the client's SYN with; meaningless unless `isAnswered`.
    let cookie: SequenceNumber
    let isAnswered: Bool
    /// What is added to the server's numbers for the client; 0 unless we answered the SYN ourselves.
    var delta: UInt32 = 0
    /// How far the windows are shifted that the client is shown, where we answered its SYN; and what both ends agreed on.
    var toldShift: UInt8 = 0
    var serverScales = false
    var usesSACK = true
    /// Whether the server has answered the SYN.
    var hasServerNumbers = false
    /// The number of its first byte, once it has.
    var serverFirst = SequenceNumber(0)

    /// The client's stream and the server's.
    var up: ForwardedStream
    var down: ForwardedStream
    /// The most payload bytes of a segment to either end, beside no option.
    var toClientSize: UInt16
    var toServerSize: UInt16 = 0

    let began: Instant
    /// When its SYN went to a server; the response time of a connection that never got there is none.
    var dispatched = Instant.distantPast
    /// When the client's SYN came last, or the handshake last went on.
    var seen: Instant
    /// By when the server must have answered the SYN.
    var answerBy = Instant.distantFuture
    /// When its SYN is repeated, where we answered the client's and it will not repeat it; and after how long again.
    var repeatAt = Instant.distantFuture
    var repeatAfter = Interval.zero
    /// When anything passed last.
    var progress: Instant
    var forgetAt = Instant.distantFuture
    var queuePosition: UInt32 = 0
    var queueTime = Interval.zero
    var connectTime: Interval?
    var era: UInt32 = 0
    /// The client has said something to which the server has not answered: since when, and under which limit.
    var asked = Instant.distantFuture
    var askedEra: UInt32 = 0
    /// Servers that it was offered to after the first.
    var retries: UInt8 = 0
    var wasReset = false
    /// The window field that the client showed last, while we answer it ourselves.
    var clientWindow: UInt16 = 0

    init(
        client: Endpoint, neighbour: HardwareAddress, listener: Int, service: Int, pool: Int, syn: StoredSYN, cookie: SequenceNumber?,
        clientShift: UInt8, toClientSize: Int, at now: Instant
    ) {
        self.client = client
        self.neighbour = neighbour
        self.listener = UInt16(listener)
        self.service = UInt16(service)
        self.pool = UInt16(pool)
        self.syn = syn
        self.cookie = cookie ?? SequenceNumber(0)
        isAnswered = cookie != nil
        up = ForwardedStream(initial: syn.sequence)
        up.shift = clientShift
        down = ForwardedStream(initial: cookie ?? SequenceNumber(0))
        self.toClientSize = UInt16(clamping: toClientSize)
        began = now
        seen = now
        progress = now
    }

    /// Whether it counts against its server's limit.
    var counts: Bool { state == .opening || state == .open }

    /// The server's number in the client's count, and back.
    func toClient(_ number: SequenceNumber) -> SequenceNumber { SequenceNumber(number.value &+ delta) }
    func toServer(_ number: SequenceNumber) -> SequenceNumber { SequenceNumber(number.value &- delta) }

    /// The field for the client of a window that the server shows, and back. They differ only where we answered the client's SYN before
    /// the server's options were known (RFC 7323 2.3).
    func windowToClient(_ field: UInt16) -> UInt16 {
        isAnswered ? UInt16(min((Int(field) << Int(down.shift)) >> Int(toldShift), 65_535)) : field
    }
    func windowToServer(_ field: UInt16) -> UInt16 {
        isAnswered && !serverScales ? UInt16(min(Int(field) << Int(up.shift), 65_535)) : field
    }
}
