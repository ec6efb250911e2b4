/// The fields that framing and forwarding depend on.
enum KnownField: UInt8 {
    case other
    case host, contentLength, transferEncoding, connection, expect, upgrade
    case keepAlive, proxyConnection, te, trailer, http2Settings
    case forwardedFor, forwardedProto, forwarded, maxForwards
    /// A name that becomes one of those above when a server takes "_" or another sign for "-", as CGI does: `Content_Length`,
    /// `Transfer.Encoding`. Nothing is read from it, and it never goes on.
    case twin

    /// Which field `bytes[start..<end]` names; the case of letters does not matter (RFC 9110 5.1).
    @inline(__always)
    static func named(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> KnownField {
        // Most names differ from all of these in length and first letter: 0xLLFF.
        let count = end &- start
        guard count >= 2, count <= 17 else { return .other }
        switch count &<< 8 | Int(bytes[start] | 0x20) {
        case 0x0468: return match(bytes, start, end, "host", .host)
        case 0x0e63: return match(bytes, start, end, "content-length", .contentLength)
        case 0x1174: return match(bytes, start, end, "transfer-encoding", .transferEncoding)
        case 0x0a63: return match(bytes, start, end, "connection", .connection)
        case 0x0665: return match(bytes, start, end, "expect", .expect)
        case 0x0775: return match(bytes, start, end, "upgrade", .upgrade)
        case 0x0a6b: return match(bytes, start, end, "keep-alive", .keepAlive)
        case 0x1070: return match(bytes, start, end, "proxy-connection", .proxyConnection)
        case 0x0274: return match(bytes, start, end, "te", .te)
        case 0x0774: return match(bytes, start, end, "trailer", .trailer)
        case 0x0e68: return match(bytes, start, end, "http2-settings", .http2Settings)
        case 0x0f78: return match(bytes, start, end, "x-forwarded-for", .forwardedFor)
        case 0x1178: return match(bytes, start, end, "x-forwarded-proto", .forwardedProto)
        case 0x0966: return match(bytes, start, end, "forwarded", .forwarded)
        case 0x0c6d: return match(bytes, start, end, "max-forwards", .maxForwards)
        default: return .other
        }
    }

    /// Compares with any sign taken for "-", and says `twin` when that made the difference.
    @inline(never)
    private static func match(
        _ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int, _ name: StaticString, _ field: KnownField
    ) -> KnownField {
        let expected = name.utf8Start
        var isTwin = false
        for index in 0..<(end &- start) {
            let byte = HTTPBytes.lowercased(bytes[start &+ index])
            guard byte != expected[index] else { continue }
            guard expected[index] == 0x2d, !HTTPBytes.isDigit(byte), byte &- 0x61 >= 26 else { return .other }
            isTwin = true
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
