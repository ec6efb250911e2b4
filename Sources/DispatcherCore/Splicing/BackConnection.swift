/// A back-end connection: the TCP connection between the dispatcher and a server, and the splice that is on it.
///
/// Sequence numbers in the words of [0062]: `sender.next` is A, `receiveNext` is B.
struct BackConnection {
    static let noIndex = UInt32.max

    enum State: UInt8 {
        /// No connection: the port is in the not-in-use queue. Next: opening.
        case closed
        /// Our SYN is on its way. Next: open, closed.
        case opening
        /// Established. Next: closing, closed.
        case open
        /// Our FIN or theirs is on its way. Next: closed.
        case closing
    }

    enum Use: UInt8 {
        /// Nobody's: idle, or being opened in advance.
        case none
        /// A request waits for it to open.
        case bound
        /// The request was sent; the response's head is awaited.
        case awaitingHead
        /// The response's body passes, end to end.
        case body
        /// The response is staged: what comes of it is ours to deliver.
        case staged
        /// After 101.
        case tunnel
        /// A health check.
        case check
    }

    var generation: UInt32 = 0
    var state = State.closed
    var use = Use.none
    /// Index in the engine's table of servers.
    var server: UInt16
    var layer: UInt8 = 0
    /// Whether its port is from the tunnel range: it carries one upgrade and is never pooled.
    var isOwn = false
    var local = Endpoint(address: IPAddress(v4: 0), port: 0)

    // MARK: TCP
    var sender: Sender
    var options = NegotiatedOptions()
    /// B: the next number expected, everything before it is there.
    var receiveNext = SequenceNumber(0)
    /// The end of the highest byte that came.
    var receiveHighest = SequenceNumber(0)
    /// The acknowledgement that the server was told last, and the farthest right edge in this epoch.
    var told = SequenceNumber(0)
    var shownEdge = SequenceNumber(0)
    var finReceived = false
    /// While opening: the SYN was sent again behind a RST that ended the port's earlier life at the server.
    var opensAgain = false
    var acknowledgeBy = Instant.distantFuture
    /// When an acknowledgement leaves at the latest that waits for the end of the turn or a little longer, unless a segment carries it.
    var owesBy = Instant.distantFuture
    var challenges = ChallengeBudget()
    /// When opening, the response, or closing must be over.
    var phaseDeadline = Instant.distantFuture
    var openedAt = Instant.distantPast
    /// While closing: the answer to a health check was read as far as it matters, and its rest is of no use.
    var discards = false

    // MARK: The splice
    /// What there is only while a response is awaited or passes. Of a tunnel, and while not open, it is blank: it may be read, not written.
    var work: UnsafeMutablePointer<BackWork>
    /// The front-end connection, and the generation it must have.
    var front = FrontConnection.noIndex
    var splice = Splice()
    /// When its request was dispatched, and in which era of the server's performance windows.
    var dispatched = Instant.distantPast
    var era: UInt32 = 0
    /// Counts the requests that this place was given: tells whether a call that ended one response began another on it.
    var epoch: UInt32 = 0
    /// Whether the request on it asks for a tunnel, and is counted as one that does.
    var isUpgrade = false
    /// Whether the request on it is streamed, and counted as such.
    var isStreamed = false
    /// The connection closes after this response.
    var closesAfter = false
    /// Bytes came that belong to no response: the connection is reset once this one is delivered.
    var resetsAfter = false
    /// In a tunnel: the number after each side's FIN, once seen.
    var clientFin: SequenceNumber?
    var serverFin: SequenceNumber?

    /// - Parameters:
    ///   - work: a blank one, and the same for `transmission`.
    init(server: UInt16, work: UnsafeMutablePointer<BackWork>, transmission: UnsafeMutablePointer<Transmission>) {
        self.server = server
        self.work = work
        sender = Sender(blank: transmission)
    }

    var deadline: Instant { min(acknowledgeBy, min(phaseDeadline, sender.deadline)) }
    var hasFront: Bool { front != FrontConnection.noIndex }
}
