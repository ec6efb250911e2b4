/// Follows the body of a response that is passed on untouched: given its bytes in order, each once, it says where the response ends.
/// The answer does not depend on how the bytes were cut.
public struct ResponseFramer: Equatable, Sendable {
    public enum State: Equatable, Sendable {
        /// The body goes on.
        case more
        /// The response has ended; bytes beyond those that belong to it are nobody's.
        case ended
        /// The body cannot be framed: the client's connection must be reset.
        case bad(ResponseFault)
    }

    public struct Progress: Equatable, Sendable {
        /// How many of the bytes given belong to this response; with a fault, those before the byte at fault.
        public var belongs: Int
        public var state: State
    }

    private enum Mode: UInt8, Sendable { case length, chunked, untilClose, ended, failed }

    private var mode: Mode
    private var fault = ResponseFault.chunkSize
    /// With a known length: bytes to come.
    private var left: UInt64 = 0
    private var chunks = ChunkedSyntax()

    /// - Parameter framing: that of the response's head. A response without a body has ended at once.
    public init(_ framing: ResponseFraming) {
        switch framing {
        case .none, .length(0): mode = .ended
        case .length(let length):
            mode = .length
            left = length
        case .chunked: mode = .chunked
        case .untilClose: mode = .untilClose
        }
    }

    public var hasEnded: Bool { mode == .ended }

    /// Bytes of body still to come; nil when only reading on will tell.
    public var remaining: UInt64? {
        switch mode {
        case .length: return left
        case .ended: return 0
        case .chunked, .untilClose, .failed: return nil
        }
    }

    /// Bytes that certainly belong to this response and that `skip` passes over: all that are left with a known length, else those
    /// left of the chunk that is being read.
    public var certain: UInt64 {
        switch mode {
        case .length: return left
        case .chunked: return chunks.dataLeft
        case .untilClose: return .max
        case .ended, .failed: return 0
        }
    }

    /// Whether the response is whole if the server closes its connection now.
    public var endsByClose: Bool { mode == .untilClose || mode == .ended }

    /// Takes in the next bytes of the body.
    public mutating func advance(_ bytes: UnsafeRawBufferPointer) -> Progress {
        switch mode {
        case .length:
            let taken = min(left, UInt64(bytes.count))
            left &-= taken
            if left == 0 { mode = .ended }
            return Progress(belongs: Int(taken), state: left == 0 ? .ended : .more)
        case .chunked: return advanceChunks(bytes)
        case .untilClose: return Progress(belongs: bytes.count, state: .more)
        case .ended: return Progress(belongs: 0, state: .ended)
        case .failed: return Progress(belongs: 0, state: .bad(fault))
        }
    }

    /// Passes over `count` bytes of body that need not be read; false, and nothing happens, if `count` is more than `certain`.
    public mutating func skip(_ count: UInt64) -> Bool {
        guard count <= certain else { return false }
        switch mode {
        case .length:
            left &-= count
            if left == 0 { mode = .ended }
        case .chunked: return count == 0 || chunks.skip(count)
        case .untilClose, .ended, .failed: break
        }
        return true
    }

    private mutating func advanceChunks(_ bytes: UnsafeRawBufferPointer) -> Progress {
        var next = 0
        while true {
            switch chunks.step(bytes, from: next) {
            case .needsMore: return Progress(belongs: bytes.count, state: .more)
            case .chunk(let after, _): next = after
            case .data(_, let after): next = after
            case .ended(let after):
                mode = .ended
                return Progress(belongs: after, state: .ended)
            case .bad(let after, let reason):
                mode = .failed
                fault = ResponseFault(reason)
                return Progress(belongs: after &- 1, state: .bad(fault))
            }
        }
    }
}
