import Glibc

/// Decodes a chunked request body in place.
///
/// Give it the raw bytes in order, each once. It moves their data to the front of the memory they came in; sizes, extensions and
/// trailer fields are dropped (RFC 9112 7.1.1, 7.1.2: a recipient may). After `.done`, `.bad` and `.tooBig` it reads no more.
public struct ChunkedDecoder: Equatable, Sendable {
    public enum State: Equatable, Sendable {
        /// The body goes on.
        case more
        /// The body ended after the bytes consumed; what follows is the next request.
        case done
        case bad(RequestFault)
        /// The data is longer than the limit. The fault to answer with is `RequestFault.bodyTooLong`.
        case tooBig
    }

    public struct Result: Equatable, Sendable {
        /// Raw bytes that were read: all of them unless the body ended or failed.
        public var consumed: Int
        /// Bytes of data, now at the beginning of the memory.
        public var produced: Int
        public var state: State
    }

    private var syntax = ChunkedSyntax()
    private var room: UInt64
    /// Bytes of data so far.
    public private(set) var decodedLength: UInt64 = 0
    /// What it came to; it stays.
    private var verdict = State.more

    /// - Parameter limit: the longest body, in bytes of data.
    public init(limit: UInt64) { room = limit }

    /// Decodes what is in `region`: raw bytes that were not given before.
    public mutating func decode(_ region: UnsafeMutableRawBufferPointer) -> Result {
        guard verdict == .more else { return Result(consumed: 0, produced: 0, state: verdict) }
        let bytes = UnsafeRawBufferPointer(region)
        var next = 0
        var produced = 0
        while true {
            switch syntax.step(bytes, from: next) {
            case .needsMore:
                return Result(consumed: bytes.count, produced: produced, state: .more)
            case .chunk(let after, let size):
                next = after
                guard size <= room else {
                    verdict = .tooBig
                    return Result(consumed: next, produced: produced, state: verdict)
                }
                room &-= size
            case .data(let from, let to):
                if let base = region.baseAddress, from != produced { memmove(base + produced, base + from, to &- from) }
                produced &+= to &- from
                decodedLength &+= UInt64(to &- from)
                next = to
            case .ended(let after):
                verdict = .done
                return Result(consumed: after, produced: produced, state: verdict)
            case .bad(let after, let fault):
                verdict = .bad(RequestFault(fault))
                return Result(consumed: after, produced: produced, state: verdict)
            }
        }
    }
}
