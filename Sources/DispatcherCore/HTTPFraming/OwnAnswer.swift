/// The dispatcher's own answers. They carry no `Date`: the core has no clock, and RFC 9110 6.6.1 lets a server without one leave it out.
public struct OwnAnswer {
    /// Room that is enough for any answer, in bytes.
    public static let capacity = 256
    /// The longest body that stands in for the short text, and the longest name of its type; bytes.
    public static let longestPage = 32 << 10
    public static let longestType = 128

    /// Writes a whole answer: status line, fields and a short text.
    ///
    /// - Parameters:
    ///   - status: 100, or a final status. One that has no reason phrase here is written with an empty one.
    ///   - close: whether the connection closes after it.
    ///   - minorVersion: the client's, 0 or 1; a client of HTTP/1.0 is told when the connection stays.
    ///   - isHead: whether it answers HEAD, so that the text is left out.
    ///   - retryAfter: seconds for `Retry-After`.
    ///   - page: what stands in for the short text.
    /// - Returns: the bytes written; 0 if `memory` is too small.
    public static func write(
        status: Int, close: Bool, minorVersion: UInt8 = 1, isHead: Bool = false, retryAfter: UInt32? = nil,
        page: (type: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer)? = nil, into memory: UnsafeMutableRawBufferPointer
    ) -> Int {
        var out = HeadWriter(into: memory)
        let code = UInt64(min(max(status, 100), 999))
        let reason = reason(of: Int(code))
        out.append("HTTP/1.1 ")
        out.append(decimal: code)
        out.append(byte: HTTPBytes.space)
        out.append(reason)
        out.append("\r\n")
        if code >= 200 {
            if code != 204, code != 304 {
                // "503 Service Unavailable\n"
                out.append("Content-Type: ")
                if let page { out.append(page.type) } else { out.append("text/plain") }
                out.append("\r\nContent-Length: ")
                out.append(decimal: UInt64(page?.body.count ?? reason.utf8CodeUnitCount &+ 5))
                out.append("\r\n")
            }
            if let retryAfter {
                out.append("Retry-After: ")
                out.append(decimal: UInt64(retryAfter))
                out.append("\r\n")
            }
            if close {
                out.append("Connection: close\r\n")
            } else if minorVersion == 0 {
                out.append("Connection: keep-alive\r\n")
            }
        }
        out.append("\r\n")
        if code >= 200, code != 204, code != 304, !isHead {
            if let page {
                out.append(page.body)
                return out.overflowed ? 0 : out.count
            }
            out.append(decimal: code)
            out.append(byte: HTTPBytes.space)
            out.append(reason)
            out.append("\n")
        }
        return out.overflowed ? 0 : out.count
    }

    /// The reason phrase of RFC 9110 15, RFC 6585 and RFC 9112.
    private static func reason(of status: Int) -> StaticString {
        switch status {
        case 100: return "Continue"
        case 200: return "OK"
        case 204: return "No Content"
        case 400: return "Bad Request"
        case 403: return "Forbidden"
        case 404: return "Not Found"
        case 408: return "Request Timeout"
        case 413: return "Content Too Large"
        case 414: return "URI Too Long"
        case 417: return "Expectation Failed"
        case 429: return "Too Many Requests"
        case 431: return "Request Header Fields Too Large"
        case 501: return "Not Implemented"
        case 502: return "Bad Gateway"
        case 503: return "Service Unavailable"
        case 504: return "Gateway Timeout"
        case 505: return "HTTP Version Not Supported"
        default: return ""
        }
    }
}
