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

    // MARK: The request
    /// What there is only while a request is read or served. Of a connection that is idle or a tunnel it is blank: it may be read, not written.
    var work: UnsafeMutablePointer<FrontWork>
    /// Whether the connection stays open after the request, as far as the client is concerned.
    var keepAlive = false
    var pool: UInt16 = .max
    /// The server it was given to last, as an index of the engine's table.
    var lastServer = UInt16.max
    /// The back-end connection it has a slot on.
    var back = FrontConnection.noIndex
    /// It came while the queue was above its threshold: its first request is refused, unless that is over by then.
    var isUnwanted = false
    /// Own bytes: answers of ours, held heads and response bytes in our custody, as `sender` counts them; and how much staging memory it
    /// counts for.
    var own = Buffer.none
    var stagedBytes: UInt32 = 0

    // MARK: Deadlines and times
    /// When the phase must have ended.
    var phaseDeadline = Instant.distantFuture
    /// When the client last made progress: acknowledged a full segment, or all there was while its window was open. What it acknowledges in
    /// smaller pieces adds up: a client that takes a byte a second is not one that reads.
    var progress = Instant.distantPast
    /// What it had acknowledged then.
    var progressMark: SequenceNumber
    /// Bytes discarded while closing.
    var discarded: UInt32 = 0
    /// When the first byte of the request came.
    var started = Instant.distantPast
    var bytesFromClient: UInt64 = 0
    var bytesToClient: UInt64 = 0
    var status: UInt16 = 0
    /// While closing: a client that does not close is given less time after a refusal.
    var wasRefused = false
    /// Of a tunnel: how it came about.
    var opening = TunnelOpening()

    init(
        generation: UInt32, listener: UInt16, service: UInt16, client: Endpoint, neighbour: HardwareAddress, sender: Sender,
        options: NegotiatedOptions, receiveNext: SequenceNumber, shownEdge: SequenceNumber, work: UnsafeMutablePointer<FrontWork>
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
        self.work = work
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
    /// How long the client may take to close after it has acknowledged our FIN.
    var lingers: Interval { wasRefused ? .seconds(2) : .seconds(10) }
    /// Whether a request has a slot on a back-end connection.
    var hasSlot: Bool { back != Self.noIndex }
    /// The right edge of what is taken.
    var takenEdge: SequenceNumber { SequenceNumber.later(shownEdge, toldEdge) }
    /// The number that the first byte in `input` has.
    var inputStart: SequenceNumber { receiveNext - Int(received.contiguous) }
}
