/// What there is of a back-end connection only while a response is awaited or passes, or a health check's answer. Tunnels have none.
struct BackWork {
    var scanner = HeadScanner(leadingEmptyLines: 0)
    var interims: UInt8 = 0
    /// Bytes of a head that came in several segments.
    var held = Buffer.none
    var heldCount: UInt32 = 0
    var framer = ResponseFramer(.none)
    /// Bytes beyond a gap, while the end of the response is not known.
    var gap = Buffer.none
    var gapBase = SequenceNumber(0)
    var beyondGap = Reassembly()
    /// Segments kept beyond the gap, at most 3, for which the server was sent no duplicate acknowledgement: its bytes before the gap were
    /// still on their way to the client.
    var duplicatesOwed: UInt8 = 0
    /// A copy of the response's end, from `custodyBase` on, as far as it has passed; and how much staging memory it counts for.
    var custody = Buffer.none
    var custodyBase = SequenceNumber(0)
    var inCustody = Reassembly()
    var custodyBytes: UInt32 = 0
    /// There was no staging memory for the copy: this response goes end to end to its end.
    var custodyRefused = false
}

/// Its parts by their names. Of a tunnel, or a connection that is not open, they are as of one that has just begun, and must not be written.
extension BackConnection {
    var scanner: HeadScanner {
        _read { yield work.pointee.scanner }
        nonmutating _modify { yield &work.pointee.scanner }
    }
    var interims: UInt8 {
        _read { yield work.pointee.interims }
        nonmutating _modify { yield &work.pointee.interims }
    }
    var held: Buffer {
        _read { yield work.pointee.held }
        nonmutating _modify { yield &work.pointee.held }
    }
    var heldCount: UInt32 {
        _read { yield work.pointee.heldCount }
        nonmutating _modify { yield &work.pointee.heldCount }
    }
    var framer: ResponseFramer {
        _read { yield work.pointee.framer }
        nonmutating _modify { yield &work.pointee.framer }
    }
    var gap: Buffer {
        _read { yield work.pointee.gap }
        nonmutating _modify { yield &work.pointee.gap }
    }
    var gapBase: SequenceNumber {
        _read { yield work.pointee.gapBase }
        nonmutating _modify { yield &work.pointee.gapBase }
    }
    var beyondGap: Reassembly {
        _read { yield work.pointee.beyondGap }
        nonmutating _modify { yield &work.pointee.beyondGap }
    }
    var duplicatesOwed: UInt8 {
        _read { yield work.pointee.duplicatesOwed }
        nonmutating _modify { yield &work.pointee.duplicatesOwed }
    }
    var custody: Buffer {
        _read { yield work.pointee.custody }
        nonmutating _modify { yield &work.pointee.custody }
    }
    var custodyBase: SequenceNumber {
        _read { yield work.pointee.custodyBase }
        nonmutating _modify { yield &work.pointee.custodyBase }
    }
    var inCustody: Reassembly {
        _read { yield work.pointee.inCustody }
        nonmutating _modify { yield &work.pointee.inCustody }
    }
    var custodyBytes: UInt32 {
        _read { yield work.pointee.custodyBytes }
        nonmutating _modify { yield &work.pointee.custodyBytes }
    }
    var custodyRefused: Bool {
        _read { yield work.pointee.custodyRefused }
        nonmutating _modify { yield &work.pointee.custodyRefused }
    }
}
