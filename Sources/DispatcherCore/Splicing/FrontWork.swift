/// What there is of a front-end connection only while a request is read or served on it. Idle connections and tunnels, of which there may
/// be a million, have none.
struct FrontWork {
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
    /// Up to where a body was there when its rate was looked at last.
    var bodyMark = SequenceNumber(0)

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
    var retries: UInt8 = 0
    var queueEntry = RequestQueue.none
    /// What a hashed balance goes by; 0 = nothing.
    var balanceHash: UInt64 = 0
    /// The server that failed it last, as an index of the engine's table.
    var failedServer = UInt16.max
    var queuePosition: UInt32 = 0

    // MARK: Times
    var headComplete = Instant.distantPast
    var queued = Instant.distantPast
    var slotTaken = Instant.distantPast
    var sent = Instant.distantPast
    var responded = Instant.distantPast
    var connectTime: Interval = .zero
}

/// Its parts by their names. Of a connection without request they are as of one that has just begun, and must not be written.
extension FrontConnection {
    var input: Buffer {
        _read { yield work.pointee.input }
        nonmutating _modify { yield &work.pointee.input }
    }
    var received: Reassembly {
        _read { yield work.pointee.received }
        nonmutating _modify { yield &work.pointee.received }
    }
    var scanner: HeadScanner {
        _read { yield work.pointee.scanner }
        nonmutating _modify { yield &work.pointee.scanner }
    }
    var request: RequestHead? {
        _read { yield work.pointee.request }
        nonmutating _modify { yield &work.pointee.request }
    }
    var head: Buffer {
        _read { yield work.pointee.head }
        nonmutating _modify { yield &work.pointee.head }
    }
    var decoder: ChunkedDecoder? {
        _read { yield work.pointee.decoder }
        nonmutating _modify { yield &work.pointee.decoder }
    }
    var body: Buffer {
        _read { yield work.pointee.body }
        nonmutating _modify { yield &work.pointee.body }
    }
    var bodyCount: UInt32 {
        _read { yield work.pointee.bodyCount }
        nonmutating _modify { yield &work.pointee.bodyCount }
    }
    var bodyMark: SequenceNumber {
        _read { yield work.pointee.bodyMark }
        nonmutating _modify { yield &work.pointee.bodyMark }
    }
    var output: Buffer {
        _read { yield work.pointee.output }
        nonmutating _modify { yield &work.pointee.output }
    }
    var outputLead: UInt8 {
        _read { yield work.pointee.outputLead }
        nonmutating _modify { yield &work.pointee.outputLead }
    }
    var outputCount: UInt32 {
        _read { yield work.pointee.outputCount }
        nonmutating _modify { yield &work.pointee.outputCount }
    }
    var stream: BodyStream {
        _read { yield work.pointee.stream }
        nonmutating _modify { yield &work.pointee.stream }
    }
    var bodyHeld: UInt32 {
        _read { yield work.pointee.bodyHeld }
        nonmutating _modify { yield &work.pointee.bodyHeld }
    }
    var answered: AnsweredRequest {
        _read { yield work.pointee.answered }
        nonmutating _modify { yield &work.pointee.answered }
    }
    var isIdempotent: Bool {
        _read { yield work.pointee.isIdempotent }
        nonmutating _modify { yield &work.pointee.isIdempotent }
    }
    var retries: UInt8 {
        _read { yield work.pointee.retries }
        nonmutating _modify { yield &work.pointee.retries }
    }
    var queueEntry: UInt32 {
        _read { yield work.pointee.queueEntry }
        nonmutating _modify { yield &work.pointee.queueEntry }
    }
    var balanceHash: UInt64 {
        _read { yield work.pointee.balanceHash }
        nonmutating _modify { yield &work.pointee.balanceHash }
    }
    var failedServer: UInt16 {
        _read { yield work.pointee.failedServer }
        nonmutating _modify { yield &work.pointee.failedServer }
    }
    var queuePosition: UInt32 {
        _read { yield work.pointee.queuePosition }
        nonmutating _modify { yield &work.pointee.queuePosition }
    }
    var headComplete: Instant {
        _read { yield work.pointee.headComplete }
        nonmutating _modify { yield &work.pointee.headComplete }
    }
    var queued: Instant {
        _read { yield work.pointee.queued }
        nonmutating _modify { yield &work.pointee.queued }
    }
    var slotTaken: Instant {
        _read { yield work.pointee.slotTaken }
        nonmutating _modify { yield &work.pointee.slotTaken }
    }
    var sent: Instant {
        _read { yield work.pointee.sent }
        nonmutating _modify { yield &work.pointee.sent }
    }
    var responded: Instant {
        _read { yield work.pointee.responded }
        nonmutating _modify { yield &work.pointee.responded }
    }
    var connectTime: Interval {
        _read { yield work.pointee.connectTime }
        nonmutating _modify { yield &work.pointee.connectTime }
    }
}
