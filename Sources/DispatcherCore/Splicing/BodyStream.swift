import Glibc

/// A request body that goes to its server while it still comes from the client (docs/tcp.md "Request bodies").
///
/// What the server has not acknowledged lies in the connection's `output`, from `start` to the end that the connection counts; it is
/// appended there and dropped at the front. The first `kept` bytes of the buffer hold the request line for the log, and stay.
struct BodyStream {
    enum State: UInt8 {
        /// The request is whole before it is queued.
        case none
        /// More of the body is to come. Next: complete, givenUp.
        case coming
        /// All of it is in `output`, or was.
        case complete
        /// It will not end well while its response is on its way already: no more of it is read.
        case givenUp
    }

    var state = State.none
    var isChunked = false
    /// Of a body with `Content-Length`: the bytes that are still to come into `output`.
    var left: UInt64 = 0
    /// Where in `output` the first byte is that the server has not acknowledged.
    var start: UInt32 = 0
    /// The first bytes of `output` that stay.
    var kept: UInt32 = 0
    /// How many bytes may wait for the server's acknowledgement.
    var room: UInt32 = 0
    /// What the server had acknowledged when it last made progress: what it takes in smaller pieces than a segment adds up.
    var serverMark = SequenceNumber(0)
    /// Whether the last byte has been sent.
    var sentAll = false

    /// Whether the request is one that is streamed: never repeated.
    var isActive: Bool { state != .none }
    /// Whether the body has not ended.
    var isOpen: Bool { state == .coming || state == .givenUp }

    /// A chunk costs at most so much besides its data, the end of the body included.
    static let chunkCost = 24

    /// The least that is kept for a body, however small `body-buffer` is.
    static let leastRoom = 16 << 10

    /// Bytes that may wait besides the head, for a `body-buffer` of so many bytes.
    static func bodyRoom(_ bodyBuffer: Int) -> Int { max(bodyBuffer, leastRoom) + 2 * chunkCost }

    /// The size of a buffer for so many waiting bytes: with half as many to spare what waits is moved to its front rarely.
    static func capacity(room: Int) -> Int { min(room + room / 2, BufferPool.largestSize) }

    /// Bytes that may be added now.
    func free(end: Int) -> Int { max(0, Int(room) - (end - Int(start))) }

    /// The server has acknowledged the first `count` bytes.
    mutating func drop(_ count: Int) { start += UInt32(count) }

    /// Makes room for `count` bytes behind `end`; what waits may move for it.
    /// - Returns: the new end; nil when the buffer is too small, and nothing has changed.
    mutating func makeRoom(_ count: Int, end: Int, in buffer: Buffer) -> Int? {
        if end + count <= buffer.capacity { return end }
        let waiting = end - Int(start)
        guard start > kept, let base = buffer.base, Int(kept) + waiting + count <= buffer.capacity else { return nil }
        memmove(base + Int(kept), base + Int(start), waiting)
        start = kept
        return Int(kept) + waiting
    }

    /// Writes a chunk of a chunked body at the beginning of `memory`, which has `chunkCost` bytes besides.
    /// - Returns: its length.
    static func writeChunk(_ bytes: UnsafeRawBufferPointer, into memory: UnsafeMutableRawBufferPointer) -> Int {
        precondition(!bytes.isEmpty && memory.count >= bytes.count + 12)
        var digits = 1
        while digits < 8, bytes.count >> (4 * digits) > 0 { digits += 1 }
        for place in 0..<digits {
            let digit = UInt8(truncatingIfNeeded: bytes.count >> (4 * (digits - 1 - place)) & 15)
            memory[place] = digit < 10 ? 48 + digit : 87 + digit
        }
        memory[digits] = 13
        memory[digits + 1] = 10
        memmove(memory.baseAddress! + digits + 2, bytes.baseAddress!, bytes.count)
        memory[digits + 2 + bytes.count] = 13
        memory[digits + 3 + bytes.count] = 10
        return digits + 4 + bytes.count
    }

    /// Writes the end of a chunked body.
    /// - Returns: its length.
    static func writeEnd(into memory: UnsafeMutableRawBufferPointer) -> Int {
        let end: StaticString = "0\r\n\r\n"
        memory.copyMemory(from: UnsafeRawBufferPointer(start: end.utf8Start, count: end.utf8CodeUnitCount))
        return end.utf8CodeUnitCount
    }
}
