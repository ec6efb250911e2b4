/// What a front-end connection is doing.
public enum FrontPhase: UInt8, CaseIterable, Sendable {
    /// No byte of a request is there. Next: reading, closing.
    case idle
    /// A request is coming in. Next: queued, connecting, waiting, closing.
    case reading
    /// The request waits for an idle server. Next: connecting, waiting, closing.
    case queued
    /// The request has a slot whose connection is being opened. Next: waiting, queued (repeated), closing.
    case connecting
    /// The request is at the server. Next: responding, tunnel, queued (repeated), closing.
    case waiting
    /// The response goes to the client. Next: idle, closing.
    case responding
    /// After 101. Ends with the connection.
    case tunnel
    /// Our last bytes and our FIN are on their way; what still comes is discarded. Ends with the connection.
    case closing
}

/// A front-end connection: the TCP connection between a client and the dispatcher, and the request that is being served on it.
///
/// Sequence numbers in the words of [0062]: `receiveNext` is Y, the stream's end in `sender` is X.
struct FrontConnection {
    static let noIndex = UInt32.max

    /// Whether its place can be had for a new connection.
    enum Spare: UInt8 {
        case no
        /// It has no request.
        case idle
        /// It was told to go.
        case leaving
    }

    /// Tells apart the connections that have the same place one after the other.
    var generation: UInt32
    var phase = FrontPhase.idle
    /// False once its place was given back.
    var isOpen = true
    var spare = Spare.no
    /// Index of the listening endpoint, and of its service.
    let listener: UInt16
    let service: UInt16
    let client: Endpoint
    /// Where the client's last frame came from.
    var neighbour: HardwareAddress

    // MARK: TCP
    var sender: Sender
    let options: NegotiatedOptions
    var receiveNext: SequenceNumber
    /// The right edge of what there is room for: it never moves back.
    var shownEdge: SequenceNumber
    /// The right edge that the client was told last: `shownEdge`, or beyond it what a scaled window cannot say exactly.
    var toldEdge: SequenceNumber
    /// How far beyond `shownEdge` the client may be told at most, besides a step: rounded up at each acknowledgement, it moves on.
    static let mostBeyond = 8_192
    /// The acknowledgement that the client was told last.
    var told: SequenceNumber
    var finReceived = false
    /// Whether the client closed before we did: then it has the last word, and there is no TIME_WAIT.
    var closedByClient = false
    /// Full segments taken in since the last acknowledgement.
    var unacknowledgedSegments: UInt8 = 0
    /// When an acknowledgement must go out by itself.
    var acknowledgeBy = Instant.distantFuture
    var challenges = ChallengeBudget()

    // MARK: The request that is being read
    var input = Buffer.none
    /// What is in `input`: the bytes up to `receiveNext`, and pieces beyond gaps.
    var received = Reassembly()
    var scanner = HeadScanner()
    var request: RequestHead?
    /// A copy of the raw head while its body is still coming.
    var head = Buffer.none
    var decoder: ChunkedDecoder?
    /// Decoded chunks.
    var body = Buffer.none
    var bodyCount: UInt32 = 0

    // MARK: The request that is being served
    /// Canonical head and body, kept until the request ends so that it can be sent again; of a streamed one what the server has not
    /// acknowledged.
    var output = Buffer.none
    /// What lies before them in it: the header of the PROXY protocol.
    var outputLead: UInt8 = 0
    /// Where they end in it.
    var outputCount: UInt32 = 0
    var stream = BodyStream()
    /// What its body takes of the memory for bodies.
    var bodyHeld: UInt32 = 0
    var answered = AnsweredRequest(isHead: false, upgraded: false, minorVersion: 1)
    var isIdempotent = false
    /// Whether the client's connection stays open after this request, as far as the client is concerned.
    var keepAlive = false
    var pool: UInt16 = .max
    var queueEntry = RequestQueue.none
    /// It came while the queue was above its threshold: its first request is refused, unless that is over by then.
    var isUnwanted = false
    /// What a hashed balance goes by; 0 = nothing.
    var balanceHash: UInt64 = 0
    /// The back-end connection it has a slot on.
    var back = FrontConnection.noIndex
    var retries: UInt8 = 0
    /// The server it was given to last, and the one that failed it last, as indices of the engine's table.
    var lastServer = UInt16.max
    var failedServer = UInt16.max
    /// Own bytes: answers of ours, held heads and response bytes in our custody, as `sender` counts them; and how much staging memory it
    /// counts for.
    var own = Buffer.none
    var stagedBytes: UInt32 = 0
    /// The most bytes that were on their way to the client lately without a loss, and when; nothing counts before `provenAfter`.
    /// Up to `flightThreshold`, where a loss was, the path may be asked for twice as much (slow start, RFC 5681 3.1).
    var provenFlight = 0
    var flightThreshold = Int.max
    var provenAt = Instant.distantPast
    var provenAfter: SequenceNumber

    // MARK: Deadlines and times
    /// When the phase must have ended.
    var phaseDeadline = Instant.distantFuture
    /// When the client last made progress: acknowledged a full segment, or all there was while its window was open. What it acknowledges in
    /// smaller pieces adds up: a client that takes a byte a second is not one that reads.
    var progress = Instant.distantPast
    /// What it had acknowledged then.
    var progressMark: SequenceNumber
    /// Up to where a body was there when its rate was looked at last.
    var bodyMark = SequenceNumber(0)
    var started = Instant.distantPast
    var headComplete = Instant.distantPast
    var queued = Instant.distantPast
    var slotTaken = Instant.distantPast
    var sent = Instant.distantPast
    var responded = Instant.distantPast
    var connectTime: Interval = .zero
    var bytesFromClient: UInt64 = 0
    var bytesToClient: UInt64 = 0
    var status: UInt16 = 0
    var queuePosition: UInt32 = 0
    /// How long the client may take to close after it has acknowledged our FIN.
    var lingers = Interval.zero
    /// Bytes discarded while closing.
    var discarded: UInt32 = 0

    init(
        generation: UInt32, listener: UInt16, service: UInt16, client: Endpoint, neighbour: HardwareAddress, sender: Sender,
        options: NegotiatedOptions, receiveNext: SequenceNumber, shownEdge: SequenceNumber
    ) {
        self.generation = generation
        self.listener = listener
        self.service = service
        self.client = client
        self.neighbour = neighbour
        self.sender = sender
        self.options = options
        self.receiveNext = receiveNext
        told = receiveNext
        self.shownEdge = shownEdge
        toldEdge = shownEdge
        progressMark = sender.unacknowledged
        provenAfter = sender.unacknowledged
    }

    /// Learns from an acknowledgement how much the path to the client takes.
    /// - Parameters:
    ///   - flight: bytes on their way before it.
    ///   - lost: it shows a gap.
    mutating func noteFlight(_ flight: Int, lost: Bool, moved: Bool, at now: Instant) {
        if lost {
            provenFlight /= 2
            flightThreshold = provenFlight
            provenAfter = sender.highest
        } else if moved, sender.unacknowledged.isAtOrAfter(provenAfter) {
            provenAfter = sender.unacknowledged
            if flight >= provenFlight || now - provenAt > sender.timeout {
                provenFlight = flight
                provenAt = now
            }
        }
    }

    /// What the path may be given at once: twice what it took lately, after a loss no more than that. What is older than a timeout, and
    /// than a second, is not trusted (RFC 5681 4.1).
    func trustedFlight(at now: Instant) -> Int {
        if now - provenAt > max(sender.timeout, .seconds(1)) { return 0 }
        return max(provenFlight, min(2 * provenFlight, flightThreshold))
    }

    /// Whether a response waits for the client: for an acknowledgement, or because its window takes no full segment.
    var isClientsTurn: Bool { sender.unacknowledged.isBefore(sender.highest) || sender.window < Int(sender.segmentSize) }

    /// The client has acknowledged something new.
    mutating func noteProgress(at now: Instant) {
        guard sender.unacknowledged.distance(from: progressMark) >= Int(sender.segmentSize) || !isClientsTurn else { return }
        beginProgress(at: now)
    }

    /// From now on progress is expected.
    mutating func beginProgress(at now: Instant) {
        progress = now
        progressMark = sender.unacknowledged
    }

    /// The earliest of its deadlines.
    var deadline: Instant { min(acknowledgeBy, min(phaseDeadline, sender.deadline)) }
    /// Whether a request has a slot on a back-end connection.
    var hasSlot: Bool { back != Self.noIndex }
    /// The right edge of what is taken.
    var takenEdge: SequenceNumber { SequenceNumber.later(shownEdge, toldEdge) }
    /// The number that the first byte in `input` has.
    var inputStart: SequenceNumber { receiveNext - Int(received.contiguous) }
}
