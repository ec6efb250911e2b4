/// How the body of a response is framed (RFC 9112 6.3).
public enum ResponseFraming: Equatable, Sendable {
    /// There is no body, whatever the fields say: HEAD, 1xx, 204, 304.
    case none
    /// Content-Length, in bytes; may be 0.
    case length(UInt64)
    case chunked
    /// The body ends when the server closes its connection.
    case untilClose
}

/// What must be known of a request to judge its response.
public struct AnsweredRequest: Equatable, Sendable {
    public var isHead: Bool
    /// Whether the request went out with `Upgrade: websocket`.
    public var upgraded: Bool
    /// The version it went out with, 0 or 1.
    public var minorVersion: UInt8

    public init(isHead: Bool, upgraded: Bool, minorVersion: UInt8) {
        self.isHead = isHead
        self.upgraded = upgraded
        self.minorVersion = minorVersion
    }

    public init(_ request: RequestHead) {
        self.init(isHead: request.isHead, upgraded: request.upgradesToWebSocket, minorVersion: request.minorVersion)
    }
}

/// The verdict on a response's head.
public enum ResponseJudgement: Equatable, Sendable {
    case good(ResponseHead)
    case bad(ResponseFault)
}

/// What a response's head says. A response is passed on byte for byte or refused; it is never edited.
public struct ResponseHead: Equatable, Sendable {
    /// Length of the head in bytes, the empty line at its end included.
    public internal(set) var headLength: UInt32 = 0
    /// 100...999. RFC 9110 15: what is above 599 counts as 5xx.
    public internal(set) var status: UInt16 = 0
    /// 0 or 1.
    public internal(set) var minorVersion: UInt8 = 1
    public internal(set) var framing = ResponseFraming.none
    /// `Connection: close`, or connection options that are not well formed.
    public internal(set) var saysClose = false
    /// `Connection: keep-alive`.
    public internal(set) var saysKeepAlive = false
    /// Field lines.
    public internal(set) var fieldCount: UInt16 = 0
    /// Where the first field line begins.
    var fieldsStart: UInt32 = 0

    /// A 1xx that another response follows: every one but 101.
    public var isInterim: Bool { status < 200 && status != 101 }
    /// 101: after this head the connection is a tunnel.
    public var switchesProtocols: Bool { status == 101 }
    /// Whether the server's connection can take another request after this response (RFC 9112 9.3).
    public var keepAlive: Bool {
        if saysClose || framing == .untilClose || switchesProtocols { return false }
        return minorVersion == 1 || saysKeepAlive
    }

    /// The value of the first field line with this name, without the whitespace around it; nil if there is none.
    ///
    /// - Parameters:
    ///   - name: the field's name; the case of letters does not matter.
    ///   - head: the head that this value was parsed from.
    public func value(ofField name: UnsafeRawBufferPointer, of head: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        HeadFields.value(of: name, in: head, from: Int(fieldsStart))
    }
}
