import NIOHTTP1

/// What is wrong with a request whichever path it is for. The connection ends with the answer.
enum RequestFault: Equatable {
    /// HTTP/1.1 without Host (RFC 9112, section 3.2).
    case noHost
    /// More than one Host, or one that is none.
    case badHost
    /// Nobody can tell where the body ends (RFC 9112, section 6.1 and 6.3).
    case badTransferEncoding
    /// The body is coded in a way that is not understood.
    case unknownTransferEncoding
    /// The request is none: the parser's finding.
    case notHTTP
    /// The head, or one field of it, is too long, or there are too many.
    case headTooBig

    /// What is wrong with a head that has come.
    init?(_ head: HTTPRequestHead) {
        let hosts = head.headers["host"]
        if hosts.count > 1 || !hosts.allSatisfy(Self.isHost) {
            self = .badHost
        } else if hosts.isEmpty && head.version.minor >= 1 {
            self = .noHost
        } else if head.headers.contains(name: "transfer-encoding") {
            let codings = head.headers[canonicalForm: "transfer-encoding"].map { $0.lowercased() }
            if codings == ["chunked"], head.version.minor >= 1 { return nil }
            let isFramed = codings.last == "chunked" && !codings.dropLast().contains("chunked") && head.version.minor >= 1
            self = isFramed ? .unknownTransferEncoding : .badTransferEncoding
        } else {
            return nil
        }
    }

    /// What the parser found.
    init(_ error: HTTPParserError) {
        self = error == .headerOverflow ? .headTooBig : .notHTTP
    }

    /// The refusal.
    var answer: HTTPAnswer {
        var answer =
            switch self {
            case .noHost: HTTPAnswer.error(.badRequest, "Host is missing")
            case .badHost: HTTPAnswer.error(.badRequest, "Host must be one host, with or without a port")
            case .badTransferEncoding: HTTPAnswer.error(.badRequest, "Transfer-Encoding must be chunked, once, in HTTP/1.1")
            case .unknownTransferEncoding: HTTPAnswer.error(.notImplemented, "Only chunked is understood as Transfer-Encoding")
            case .notHTTP: HTTPAnswer.error(.badRequest, "This is no HTTP/1.1 request")
            case .headTooBig: HTTPAnswer.error(.requestHeaderFieldsTooLarge, "The head of the request is too big")
            }
        answer.closes = true
        return answer
    }

    /// Whether all characters are of those that `uri-host [":" port]` has (RFC 3986, section 3.2). It may be empty.
    private static func isHost(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
            default: "-._~!$&'()*+,;=%:[]".utf8.contains(byte)
            }
        }
    }
}

extension HTTPRequestHead {
    /// The head without the white space that the parser leaves at the ends of values (RFC 9112, section 5.1: it is no part of them).
    var withTrimmedValues: HTTPRequestHead {
        func isSpace(_ byte: UInt8?) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }
        guard headers.contains(where: { isSpace($0.value.utf8.last) || isSpace($0.value.utf8.first) }) else { return self }
        let trimmed = headers.map { name, value in
            let bytes = value.utf8.drop(while: isSpace)
            return (name, String(decoding: bytes.reversed().drop(while: isSpace).reversed(), as: UTF8.self))
        }
        return HTTPRequestHead(version: version, method: method, uri: uri, headers: HTTPHeaders(trimmed))
    }
}
