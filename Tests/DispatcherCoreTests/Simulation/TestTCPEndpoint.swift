import DispatcherCore

/// How a test endpoint behaves.
struct TestTCPOptions {
    enum Reader {
        /// The application takes every byte at once.
        case immediate
        /// It takes at most `bytes` each `interval`.
        case paced(bytes: Int, interval: Interval)
        /// It takes nothing.
        case stopped
    }

    /// The option MSS that it sends; nil = no option.
    var maximumSegmentSize: Int? = 1_460
    /// The option window scale that it sends; nil = none.
    var windowScale: Int?
    var sackPermitted = false
    var receiveBuffer = 65_535
    var reader = Reader.immediate
    var delayedAcknowledgement = Interval.milliseconds(40)
    /// Data segments that are acknowledged at once when the connection is young.
    var quickAcknowledgements = 8
    var initialTimeout = Interval.seconds(1)
    var minimumTimeout = Interval.milliseconds(200)
    var maximumTimeout = Interval.seconds(60)
    /// Retransmissions of one segment before it gives up.
    var retransmissionLimit = 15
    var timeWait = Interval.seconds(60)
    /// Segments in flight at the start (RFC 6928).
    var initialWindow = 10
    /// The first sequence number; nil = random.
    var initialSequence: UInt32?
    /// Whether the port had a connection to the same peer before, of which the peer may still know.
    var reusesPort = false

    init(windowScale: Int? = nil, sackPermitted: Bool = false, receiveBuffer: Int = 65_535) {
        self.windowScale = windowScale
        self.sackPermitted = sackPermitted
        self.receiveBuffer = receiveBuffer
    }
}

/// A TCP connection by RFC 9293 with Linux's habits, written for tests only: strict about what it receives.
///
/// Positions in both streams are plain integers: 0 is the SYN, n the n-th byte, and the FIN comes after the last byte.
final class TestTCPEndpoint {
    enum State { case closed, synSent, synReceived, established, finWait1, finWait2, closeWait, closing, lastAck, timeWait }
    enum End { case finished, resetByPeer, aborted, refused, timedOut }

    unowned let host: TestHost
    let local: Endpoint
    let remote: Endpoint
    let options: TestTCPOptions
    /// Whether it opened the connection.
    private(set) var isClient = false
    var state = State.closed { didSet { if state == .closed, oldValue != .closed { stopTimers() } } }
    private(set) var end: End?

    // What the application hears.
    var onConnected: () -> Void = {}
    var onData: ([UInt8]) -> Void = { _ in }
    /// The peer's FIN, after all data.
    var onPeerFinished: () -> Void = {}
    var onEnd: (End) -> Void = { _ in }
    /// Everything written was acknowledged.
    var onDrained: () -> Void = {}

    // Sending.
    var initialSend: UInt32
    var sendBuffer: [UInt8] = []
    var unacknowledged = 0
    var sendNext = 0
    var sendHighest = 0
    var finishQueued = false
    var peerWindow = 0
    var largestPeerWindow = 0
    var windowSequence = 0
    var windowAcknowledgement = 0
    var peerSegmentSize = 536
    /// How far the peer's windows and ours are shifted, once both SYNs had the option.
    var peerShift = 0
    var shift = 0
    var usesSACK = false
    var peerOffersScale = false
    /// What the peer has said it has beyond its acknowledgement; sorted, apart from each other.
    var sacked: [Range<Int>] = []
    /// In recovery: holes up to here were sent again.
    var holesSentThrough = 0
    var congestionWindow = 0
    var slowStartThreshold = Int.max
    var duplicateAcknowledgements = 0
    var recoveryPoint: Int?
    var smoothed: Int64?
    var variance: Int64 = 0
    var timeout: Interval
    var retransmissions = 0
    var timed: (position: Int, at: Instant)?
    let retransmissionTimer: SimulationTimer
    let persistTimer: SimulationTimer
    var persistBackoff = 0

    // Receiving.
    var initialReceive: UInt32 = 0
    var receiveNext = 0
    /// When the SYN of the other end came.
    var synTakenAt = Instant.distantPast
    /// Every byte that came in order, kept so that a repetition can be compared.
    var received: [UInt8] = []
    var consumed = 0
    var outOfOrder: [(position: Int, bytes: [UInt8])] = []
    /// The bytes beyond a gap that came last.
    var latestOutOfOrder = 0
    var peerFinish: Int?
    var peerFinishTold = false
    /// The largest right edge that was ever told to the peer.
    var advertisedEdge = 0
    /// The largest acknowledgement that was ever sent.
    var acknowledgedSent = 0
    var acknowledgeNow = false
    var lastInvalidAnswer = Instant.distantPast
    var unacknowledgedBytes = 0
    var quickLeft: Int
    let delayTimer: SimulationTimer
    let readTimer: SimulationTimer
    let lingerTimer: SimulationTimer
    /// Whether the application has let go of it: data that comes now is answered by RST.
    var isOrphan = false

    // Counters that tests look at.
    var segmentsSent = 0
    var retransmitted = 0
    var fastRetransmissions = 0
    var timeouts = 0
    var probesSent = 0
    var challenges = 0
    var duplicateSegments = 0
    var acknowledgementsSent = 0
    var sackBlocksReceived = 0
    /// Hears of each acknowledgement and window of the peer: (position acknowledged, right edge).
    var onAcknowledgement: ((Int, Int) -> Void)?

    init(_ host: TestHost, local: Endpoint, remote: Endpoint, options: TestTCPOptions) {
        self.host = host
        self.local = local
        self.remote = remote
        self.options = options
        initialSend = options.initialSequence ?? UInt32(truncatingIfNeeded: host.random.next())
        timeout = options.initialTimeout
        quickLeft = options.quickAcknowledgements
        let simulation = host.simulation
        retransmissionTimer = SimulationTimer(simulation)
        persistTimer = SimulationTimer(simulation)
        delayTimer = SimulationTimer(simulation)
        readTimer = SimulationTimer(simulation)
        lingerTimer = SimulationTimer(simulation)
        retransmissionTimer.action = { [unowned self] in retransmissionTimeout() }
        persistTimer.action = { [unowned self] in persistTimeout() }
        delayTimer.action = { [unowned self] in sendAcknowledgement() }
        readTimer.action = { [unowned self] in pacedRead() }
        lingerTimer.action = { [unowned self] in lingerOver() }
    }

    var simulation: Simulation { host.simulation }
    var sequenceOfNext: UInt32 { initialSend &+ UInt32(truncatingIfNeeded: sendNext) }
    /// The number after everything that it ever sent.
    var nextSequence: UInt32 { initialSend &+ UInt32(truncatingIfNeeded: sendHighest) }
    var bytesAcknowledged: Int { max(0, min(unacknowledged - 1, sendBuffer.count)) }
    /// Whether all of the peer's stream has come, its FIN included.
    var hasPeerFinished: Bool { peerFinish.map { receiveNext > $0 } ?? false }
    /// Whether it has sent a segment as often as it may, and nobody has acknowledged it.
    var hasGivenUp: Bool { retransmissions > options.retransmissionLimit }
    var isDone: Bool { state == .closed || state == .timeWait }

    func violation(_ text: @autoclosure () -> String) { host.violation("\(local) with \(remote), \(state): \(text())") }

    // MARK: What the application does

    func open() {
        isClient = true
        state = .synSent
        advertisedEdge = min(65_535, options.receiveBuffer) + 1
        transmit(position: 0, length: 0, flags: .syn)
        sendNext = 1
        sendHighest = 1
        timed = (1, simulation.now)
        retransmissionTimer.arm(after: timeout)
    }

    func write(_ bytes: [UInt8]) {
        precondition(!finishQueued)
        sendBuffer += bytes
        output()
    }

    /// FIN after everything written; still reads.
    func finish() {
        guard !finishQueued else { return }
        finishQueued = true
        output()
    }

    /// Lets go of it, as `close` does: unread data becomes a RST.
    func close() {
        if consumed < received.count, state != .closed { return abort() }
        isOrphan = true
        finish()
        if state == .finWait2 { lingerTimer.arm(after: options.timeWait) }
    }

    func abort() {
        guard state != .closed else { return }
        if state != .timeWait, state != .synSent { transmit(position: sendHighest, length: 0, flags: [.rst, .ack]) }
        finish(with: .aborted)
    }

    /// Takes up to `count` bytes that a stopped or paced reader left.
    func read(_ count: Int) {
        let end = min(received.count, consumed + count)
        guard end > consumed else { return tellFinish() }
        let bytes = Array(received[consumed..<end])
        consumed = end
        onData(bytes)
        tellFinish()
        if state != .closed, windowIncrease >= min(2 * receiveSegmentSize, options.receiveBuffer / 2) { sendAcknowledgement() }
    }

    // MARK: Ends

    func finish(with end: End) {
        guard self.end == nil else { return }
        self.end = end
        if state != .timeWait { leave() }
        onEnd(end)
    }

    /// Without a word.
    func leave() {
        state = .closed
        host.remove(self)
    }

    func forget() { leave() }

    func enterTimeWait() {
        state = .timeWait
        retransmissionTimer.cancel()
        persistTimer.cancel()
        lingerTimer.arm(after: options.timeWait)
        finish(with: .finished)
    }

    private func lingerOver() {
        if end == nil { finish(with: .timedOut) }
        leave()
    }

    private func stopTimers() {
        for timer in [retransmissionTimer, persistTimer, delayTimer, readTimer, lingerTimer] { timer.cancel() }
    }

    /// As Linux takes a SYN in TIME_WAIT: when it is newer than everything received.
    func mayBeReopened(by segment: TestSegment) -> Bool {
        state == .timeWait && segment.flags == .syn && Int32(bitPattern: segment.sequence &- (initialReceive &+ UInt32(receiveNext))) > 0
    }
}
