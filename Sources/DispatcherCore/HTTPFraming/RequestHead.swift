/// A method (RFC 9110 9.3, RFC 5789). Methods are told apart by case: `get` is `other`.
public enum RequestMethod: UInt8, Sendable {
    case get, head, post, put, delete, options, trace, patch
    /// Any other token. `RequestHead.methodRange` says which.
    case other
}

/// How the body of a request is framed (RFC 9112 6.3).
public enum RequestFraming: Equatable, Sendable {
    /// Neither Content-Length nor Transfer-Encoding: no body.
    case none
    /// Content-Length, in bytes; may be 0.
    case length(UInt64)
    case chunked
}

/// The verdict on a request's head.
public enum RequestJudgement: Equatable, Sendable {
    case good(RequestHead)
    case bad(RequestFault)
}

/// What a request's head says. All ranges are offsets into that head's bytes; the value itself holds no reference.
public struct RequestHead: Equatable, Sendable {
    /// Length of the head in bytes, empty lines before it and the one at its end included.
    public internal(set) var headLength: UInt32 = 0
    public internal(set) var methodRange = HeadRange()
    /// The target as it goes on: the origin form, without a "/" that `RequestRewriter` puts before an empty path.
    public internal(set) var targetRange = HeadRange()
    /// The path alone, for routing: without query, and of an absolute target without scheme and host. "*" with OPTIONS. May be empty,
    /// which means "/". It is compared as it was sent: escapes are not decoded, "." and ".." not resolved.
    public internal(set) var pathRange = HeadRange()
    /// Host and port that the request is for: those of an absolute target, else of `Host`. Empty for an HTTP/1.0 request without either.
    public internal(set) var hostRange = HeadRange()
    public internal(set) var framing = RequestFraming.none
    public internal(set) var method = RequestMethod.other
    /// 0 or 1: a higher minor version counts as 1 (RFC 9110 2.5).
    public internal(set) var minorVersion: UInt8 = 1
    /// The minor version as received, 0...9, for `Via`.
    public internal(set) var receivedMinorVersion: UInt8 = 1
    /// Field lines.
    public internal(set) var fieldCount: UInt16 = 0
    /// Where the first field line begins.
    var fieldsStart: UInt32 = 0
    var flags = Flags()

    struct Flags: OptionSet, Equatable, Sendable {
        var rawValue: UInt16
        static let keepAlive = Flags(rawValue: 1)
        static let expectsContinue = Flags(rawValue: 2)
        static let upgradesToWebSocket = Flags(rawValue: 4)
        /// The target goes on with a "/" before it: it was absolute and had no path.
        static let addsSlash = Flags(rawValue: 8)
        /// The target goes on as "*": OPTIONS with an absolute target of neither path nor query (RFC 9112 3.2.4).
        static let becomesAsterisk = Flags(rawValue: 16)
        /// There is a host to be written.
        static let hasHost = Flags(rawValue: 32)
        /// Connection options name fields that must go.
        static let nominates = Flags(rawValue: 64)
        static let hasForwardedFor = Flags(rawValue: 128)
        /// OPTIONS or TRACE with `Max-Forwards` (RFC 9110 7.6.2).
        static let countsForwards = Flags(rawValue: 256)
    }

    /// Whether the client's connection may stay open after this request (RFC 9112 9.3).
    public var keepAlive: Bool { flags.contains(.keepAlive) }
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 10.1.1).
    public var expectsContinue: Bool { flags.contains(.expectsContinue) }
    /// Whether the request asks for a WebSocket: GET, HTTP/1.1, no body, `Upgrade: websocket` and `Connection: upgrade`.
    public var upgradesToWebSocket: Bool { flags.contains(.upgradesToWebSocket) }
    public var isHead: Bool { method == .head }
    /// RFC 9110 9.2.2.
    public var isIdempotent: Bool {
        switch method {
        case .get, .head, .put, .delete, .options, .trace: return true
        case .post, .patch, .other: return false
        }
    }
    /// The length of the body if the head tells it: 0 without one, nil when it is chunked.
    public var bodyLength: UInt64? {
        switch framing {
        case .none: return 0
        case .length(let length): return length
        case .chunked: return nil
        }
    }
}
