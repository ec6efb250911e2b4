/// The fields that framing and forwarding depend on.
enum KnownField: UInt8 {
    case other
    case host, contentLength, transferEncoding, connection, expect, upgrade
    case keepAlive, proxyConnection, te, trailer, http2Settings
    case forwardedFor, forwardedProto, forwarded, maxForwards
    /// A name that becomes one of those above when a gateway turns "-" into "_", as CGI does: `Content_Length`.
    /// Nothing is read from it, and it never goes on.
    case twin

    /// Which field `bytes[start..<end]` names; the case of letters does not matter (RFC 9110 5.1).
    @inline(__always)
    static func named(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> KnownField {
        // Most names differ from all of these in length and first letter.
        let count = end &- start
        guard count >= 2, count <= 17 else { return .other }
        switch (count, bytes[start] | 0x20) {
        case (4, 0x68): return match(bytes, start, end, "host", .host)
        case (14, 0x63): return match(bytes, start, end, "content-length", .contentLength)
        case (17, 0x74): return match(bytes, start, end, "transfer-encoding", .transferEncoding)
        case (10, 0x63): return match(bytes, start, end, "connection", .connection)
        case (6, 0x65): return match(bytes, start, end, "expect", .expect)
        case (7, 0x75): return match(bytes, start, end, "upgrade", .upgrade)
        case (10, 0x6b): return match(bytes, start, end, "keep-alive", .keepAlive)
        case (16, 0x70): return match(bytes, start, end, "proxy-connection", .proxyConnection)
        case (2, 0x74): return match(bytes, start, end, "te", .te)
        case (7, 0x74): return match(bytes, start, end, "trailer", .trailer)
        case (14, 0x68): return match(bytes, start, end, "http2-settings", .http2Settings)
        case (15, 0x78): return match(bytes, start, end, "x-forwarded-for", .forwardedFor)
        case (17, 0x78): return match(bytes, start, end, "x-forwarded-proto", .forwardedProto)
        case (9, 0x66): return match(bytes, start, end, "forwarded", .forwarded)
        case (12, 0x6d): return match(bytes, start, end, "max-forwards", .maxForwards)
        default: return .other
        }
    }

    /// Compares with "_" taken for "-", and says `twin` when that made the difference.
    @inline(never)
    private static func match(
        _ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int, _ name: StaticString, _ field: KnownField
    ) -> KnownField {
        let expected = name.utf8Start
        var isTwin = false
        for index in 0..<(end &- start) {
            let byte = bytes[start &+ index]
            if byte == 0x5f, expected[index] == 0x2d {
                isTwin = true
            } else if HTTPBytes.lowercased(byte) != expected[index] {
                return .other
            }
        }
        return isTwin ? .twin : field
    }

    /// Whether a field is for every recipient, so that a `Connection` option that names it does not remove it (RFC 9110 7.6.1
    /// forbids such options; clients use them to strip what a gateway in front has added).
    static func isEndToEnd(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        begins(bytes, start, end, "content-") || begins(bytes, start, end, "x-forwarded-") || begins(bytes, start, end, "sec-")
            || HTTPBytes.equal(bytes, start, end, "host") || HTTPBytes.equal(bytes, start, end, "cookie")
            || HTTPBytes.equal(bytes, start, end, "authorization") || HTTPBytes.equal(bytes, start, end, "cache-control")
            || HTTPBytes.equal(bytes, start, end, "origin") || HTTPBytes.equal(bytes, start, end, "via")
            || HTTPBytes.equal(bytes, start, end, "range") || HTTPBytes.equal(bytes, start, end, "date")
            || HTTPBytes.equal(bytes, start, end, "max-forwards")
    }

    private static func begins(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int, _ prefix: StaticString) -> Bool {
        let count = prefix.utf8CodeUnitCount
        return end &- start >= count && HTTPBytes.equal(bytes, start, start &+ count, prefix)
    }
}
