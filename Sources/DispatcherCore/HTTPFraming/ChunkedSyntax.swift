/// The grammar of the chunked coding (RFC 9112 7.1), byte by byte except for the data. It knows nothing of what happens to the data.
///
/// Strict: at most 16 hexadecimal digits and nothing that an integer parser would skip; CRLF only; extensions are well formed and
/// bounded; trailer fields have the syntax of fields and are bounded.
struct ChunkedSyntax: Equatable, Sendable {
    /// Bytes of all extensions of a body, in sum.
    static let extensionBytes: UInt32 = 8192
    /// Bytes of all trailer fields.
    static let trailerBytes: UInt32 = 8192

    enum Fault: UInt8, Sendable {
        case size, `extension`, lineEnd, trailer, lineTooLong, trailerTooLong
    }

    enum Step: Equatable {
        /// All bytes were read.
        case needsMore
        /// A chunk of `size` bytes, not 0, begins; nothing of it was read.
        case chunk(next: Int, size: UInt64)
        /// `bytes[from..<next]` is data.
        case data(from: Int, next: Int)
        /// The body, trailers included, ended before `next`.
        case ended(next: Int)
        /// The byte before `next` cannot stand there.
        case bad(next: Int, Fault)
    }

    /// What is expected next. `ended` and `failed` stay.
    private enum State: UInt8 {
        /// The first digit of a size.
        case sizeFirst
        /// A digit, or what may follow one.
        case size
        /// After whitespace behind a size or an extension: ";" only (and "=" after an extension's name).
        case beforeExtension
        /// After ";": whitespace or the name's first byte.
        case nameFirst
        case name
        case afterName
        /// After "=": whitespace or the value's first byte.
        case valueFirst
        case token
        case quoted
        case quotedPair
        case afterQuoted
        /// The LF of a size line.
        case sizeLF
        case data
        case dataCR
        case dataLF
        /// The first byte of a trailer line, or the CR of the empty line.
        case trailerFirst
        case trailerName
        case trailerValue
        case trailerLF
        case endLF
        case ended
        case failed
    }

    /// Bytes of the chunk's data that are to come; while its size is read, the size so far.
    private(set) var remaining: UInt64 = 0
    private var extensions: UInt32 = 0
    private var trailers: UInt32 = 0
    private var digits: UInt8 = 0
    private var state = State.sizeFirst
    private var fault = Fault.size

    init() {}

    /// Reads from `start` on until there is something to tell.
    mutating func step(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Step {
        var index = start
        while index < bytes.count {
            if state == .data {
                let there = UInt64(bytes.count &- index)
                let taken = min(there, remaining)
                remaining &-= taken
                if remaining == 0 { state = .dataCR }
                return .data(from: index, next: index &+ Int(taken))
            }
            if state == .ended { return .ended(next: index) }
            if state == .failed { return .bad(next: index, fault) }
            let byte = bytes[index]
            index &+= 1
            if let reason = read(byte) {
                state = .failed
                fault = reason
                return .bad(next: index, reason)
            }
            if state == .data { return .chunk(next: index, size: remaining) }
            if state == .ended { return .ended(next: index) }
        }
        return .needsMore
    }

    /// Passes over `count` bytes of data without reading them; false if the chunk has fewer left or no data is expected.
    mutating func skip(_ count: UInt64) -> Bool {
        guard state == .data, count <= remaining else { return false }
        remaining &-= count
        if remaining == 0 { state = .dataCR }
        return true
    }

    /// Bytes that are certain to be data: those left of the chunk that is being read.
    var dataLeft: UInt64 { state == .data ? remaining : 0 }

    @inline(__always)
    private mutating func read(_ byte: UInt8) -> Fault? {
        switch state {
        case .sizeFirst, .size: return readSize(byte)
        case .sizeLF:
            guard byte == HTTPBytes.lineFeed else { return .lineEnd }
            digits = 0
            state = remaining == 0 ? .trailerFirst : .data
            return nil
        case .dataCR:
            guard byte == HTTPBytes.carriageReturn else { return .lineEnd }
            state = .dataLF
            return nil
        case .dataLF:
            guard byte == HTTPBytes.lineFeed else { return .lineEnd }
            state = .sizeFirst
            return nil
        case .trailerFirst, .trailerName, .trailerValue, .trailerLF: return readTrailer(byte)
        case .endLF:
            guard byte == HTTPBytes.lineFeed else { return .lineEnd }
            state = .ended
            return nil
        case .data, .ended, .failed: return nil
        default:
            extensions &+= 1
            return extensions <= Self.extensionBytes ? readExtension(byte) : .lineTooLong
        }
    }

    @inline(__always)
    private mutating func readSize(_ byte: UInt8) -> Fault? {
        let digit = HTTPBytes.hexValue(byte)
        if digit < 16 {
            guard digits < 16 else { return .lineTooLong }
            digits &+= 1
            remaining = remaining &<< 4 | UInt64(digit)
            state = .size
            return remaining <= UInt64(Int64.max) ? nil : .size
        }
        guard state == .size else { return .size }
        switch byte {
        case HTTPBytes.carriageReturn: state = .sizeLF
        case HTTPBytes.semicolon: state = .nameFirst
        case HTTPBytes.space, HTTPBytes.tab: state = .beforeExtension
        case HTTPBytes.lineFeed: return .lineEnd
        default: return .size
        }
        return nil
    }

    /// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )` of RFC 9112 7.1.1.
    private mutating func readExtension(_ byte: UInt8) -> Fault? {
        let isToken = HTTPBytes.token.contains(byte)
        let isSpace = HTTPBytes.isWhitespace(byte)
        switch state {
        case .beforeExtension:
            if isSpace { return nil }
            guard byte == HTTPBytes.semicolon else { return .extension }
            state = .nameFirst
        case .nameFirst:
            if isSpace { return nil }
            guard isToken else { return .extension }
            state = .name
        case .name, .afterName:
            if isToken, state == .name { return nil }
            if isSpace {
                state = .afterName
            } else if byte == HTTPBytes.equals {
                state = .valueFirst
            } else {
                return endExtension(byte, afterSpace: state == .afterName)
            }
        case .valueFirst:
            if isSpace { return nil }
            guard isToken || byte == HTTPBytes.quote else { return .extension }
            state = isToken ? .token : .quoted
        case .token:
            if isToken { return nil }
            return endExtension(byte, afterSpace: false)
        case .quoted:
            if byte == HTTPBytes.quote {
                state = .afterQuoted
            } else if byte == HTTPBytes.backslash {
                state = .quotedPair
            } else {
                return isText(byte) ? nil : .extension
            }
        case .quotedPair:
            guard isText(byte) else { return .extension }
            state = .quoted
        default:  // afterQuoted
            return endExtension(byte, afterSpace: false)
        }
        return nil
    }

    /// What follows an extension: another, or the end of the line. Whitespace may stand before another only.
    private mutating func endExtension(_ byte: UInt8, afterSpace: Bool) -> Fault? {
        switch byte {
        case HTTPBytes.semicolon: state = .nameFirst
        case HTTPBytes.carriageReturn where !afterSpace: state = .sizeLF
        case HTTPBytes.space, HTTPBytes.tab: state = .beforeExtension
        default: return .extension
        }
        return nil
    }

    private mutating func readTrailer(_ byte: UInt8) -> Fault? {
        trailers &+= 1
        guard trailers <= Self.trailerBytes else { return .trailerTooLong }
        switch state {
        case .trailerFirst:
            if byte == HTTPBytes.carriageReturn {
                state = .endLF
            } else {
                guard HTTPBytes.token.contains(byte) else { return .trailer }
                state = .trailerName
            }
        case .trailerName:
            if byte == HTTPBytes.colon {
                state = .trailerValue
            } else {
                guard HTTPBytes.token.contains(byte) else { return .trailer }
            }
        case .trailerValue:
            if byte == HTTPBytes.carriageReturn {
                state = .trailerLF
            } else {
                guard isText(byte) else { return .trailer }
            }
        default:  // trailerLF
            guard byte == HTTPBytes.lineFeed else { return .trailer }
            state = .trailerFirst
        }
        return nil
    }

    /// HTAB, SP, VCHAR or obs-text.
    @inline(__always)
    private func isText(_ byte: UInt8) -> Bool {
        byte >= HTTPBytes.space && byte != HTTPBytes.delete || byte == HTTPBytes.tab
    }
}

extension RequestFault {
    init(_ fault: ChunkedSyntax.Fault) {
        switch fault {
        case .size: self = .chunkSize
        case .extension: self = .chunkExtension
        case .lineEnd: self = .chunkEnd
        case .trailer: self = .chunkTrailer
        case .lineTooLong: self = .chunkLineTooLong
        case .trailerTooLong: self = .trailerTooLong
        }
    }
}

extension ResponseFault {
    init(_ fault: ChunkedSyntax.Fault) {
        switch fault {
        case .size: self = .chunkSize
        case .extension: self = .chunkExtension
        case .lineEnd: self = .chunkEnd
        case .trailer: self = .chunkTrailer
        case .lineTooLong: self = .chunkLineTooLong
        case .trailerTooLong: self = .trailerTooLong
        }
    }
}
