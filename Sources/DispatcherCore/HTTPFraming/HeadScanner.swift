/// What a look at the bytes of a head found.
public enum HeadScan: Equatable, Sendable {
    /// The head goes on beyond what is there.
    case incomplete
    /// The head ends here: its length in bytes, the empty line at its end included.
    case complete(length: Int)
    /// The head does not end within the limit. `HeadScanner.requestFault` and `responseFault` say more.
    case tooLong
    /// No head that begins like this is one. `HeadScanner.requestFault` and `responseFault` say why.
    case malformed
}

/// Finds the end of a head, and nothing more: every line ends with CRLF and there is no control byte but HTAB.
///
/// It is called again as bytes arrive and remembers how far it has looked, so a head that comes byte by byte is still read once.
/// The verdict does not depend on how the bytes were cut.
public struct HeadScanner: Equatable, Sendable {
    /// Bytes that were looked at.
    private var looked: UInt32 = 0
    /// Where the line that is being read began.
    private var lineStart: UInt32 = 0
    private var emptyLines: UInt8 = 0
    private let emptyLinesAllowed: UInt8
    private var startLineSeen = false
    private var fault: SyntaxFault?

    /// For a request: up to `HeadLimits.leadingEmptyLines` empty lines may come first (RFC 9112 2.2); they count as part of the head.
    public init() { self.init(leadingEmptyLines: HeadLimits.leadingEmptyLines) }

    /// For a response use 0.
    public init(leadingEmptyLines: UInt8) { emptyLinesAllowed = leadingEmptyLines }

    /// Looks at the bytes that were not looked at before.
    ///
    /// - Parameters:
    ///   - bytes: everything of this head that is there, from its first byte; more than before, never less.
    ///   - limit: the longest head, in bytes; the same at every call.
    public mutating func scan(_ bytes: UnsafeRawBufferPointer, limit: Int) -> HeadScan {
        if let fault { return fault.isLength ? .tooLong : .malformed }
        let bound = min(limit, Int(UInt32.max))
        let window = UnsafeRawBufferPointer(rebasing: bytes.prefix(max(bound, 0)))
        var index = Int(looked)
        while true {
            index = HTTPBytes.nextControl(window, from: index)
            guard index < window.count else { break }
            let byte = window[index]
            if byte == HTTPBytes.tab {
                index &+= 1
                continue
            }
            guard byte == HTTPBytes.carriageReturn else { return fail(byte == HTTPBytes.lineFeed ? .bareLF : .controlByte) }
            guard index &+ 1 < window.count else { break }  // the CR is looked at again when its LF is there
            guard window[index &+ 1] == HTTPBytes.lineFeed else { return fail(.bareCR) }
            let isEmpty = index == Int(lineStart)
            index &+= 2
            lineStart = UInt32(truncatingIfNeeded: index)
            if !isEmpty {
                startLineSeen = true
            } else if startLineSeen {
                looked = lineStart
                return .complete(length: index)
            } else {
                emptyLines &+= 1
                guard emptyLines <= emptyLinesAllowed else { return fail(.emptyLines) }
            }
        }
        looked = UInt32(truncatingIfNeeded: index)
        guard bytes.count >= bound else { return .incomplete }
        return fail(startLineSeen ? .headTooLong : .startLineTooLong)
    }

    /// Why a request's head was `tooLong` or `malformed`.
    public var requestFault: RequestFault { RequestFault(fault ?? .incomplete) }
    /// Why a response's head was `tooLong` or `malformed`.
    public var responseFault: ResponseFault { ResponseFault(fault ?? .incomplete) }

    private mutating func fail(_ reason: SyntaxFault) -> HeadScan {
        fault = reason
        return reason.isLength ? .tooLong : .malformed
    }
}
