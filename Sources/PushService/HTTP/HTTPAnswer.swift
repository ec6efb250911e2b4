import NIOCore
import NIOHTTP1
import PushProtocol

/// An answer of one of the worker's routes; the fields for cross-origin use are added to every one.
struct HTTPAnswer: Sendable {
    var status: HTTPResponseStatus
    var fields: [(String, String)] = []
    var contentType = "application/json"
    var body: [UInt8] = []
    /// The connection ends after it.
    var closes = false

    static func text(_ text: String, status: HTTPResponseStatus = .ok, fields: [(String, String)] = []) -> HTTPAnswer {
        HTTPAnswer(status: status, fields: fields, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }

    static func error(_ status: HTTPResponseStatus, _ reason: String, fields: [(String, String)] = []) -> HTTPAnswer {
        HTTPAnswer(status: status, fields: fields, body: ErrorBody.bytes(reason: reason))
    }

    static let notFound = error(.notFound, "Not found")

    /// The answer to OPTIONS on a path with these methods.
    static func options(_ methods: String) -> HTTPAnswer {
        HTTPAnswer(
            status: .noContent,
            fields: [
                ("Allow", methods), ("Access-Control-Allow-Methods", methods), ("Access-Control-Allow-Headers", "Content-Type"),
                ("Access-Control-Max-Age", "86400"),
            ])
    }

    /// The answer to a refused notification.
    init(_ refusal: NotifyRefusal, retryAfter seconds: Int = 1) {
        self = .error(HTTPResponseStatus(statusCode: refusal.status), refusal.reason)
        switch refusal.status {
        case 405: fields.append(("Allow", "POST, OPTIONS"))
        case 429, 503: fields.append(("Retry-After", "\(seconds)"))
        default: break
        }
    }

    private init(
        status: HTTPResponseStatus, fields: [(String, String)] = [], contentType: String = "application/json", body: [UInt8] = []
    ) {
        self.status = status
        self.fields = fields
        self.contentType = contentType
        self.body = body
    }

    /// The answer as it is sent (RFC 9112, section 4) on a connection that is kept or not; without its body to HEAD.
    func bytes(keepsConnection: Bool, withBody: Bool, allocator: ByteBufferAllocator) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: 256 + body.count)
        buffer.writeStatusLine(status)
        for (name, value) in fields { buffer.writeField(name, value) }
        buffer.writeField("Date", HTTPDate.now)
        buffer.writeField("Access-Control-Allow-Origin", "*")
        if status != .noContent {
            buffer.writeField("Content-Type", contentType)
            buffer.writeField("Content-Length", String(body.count))
            buffer.writeField("Cache-Control", "no-store")
        }
        if !keepsConnection { buffer.writeField("Connection", "close") }
        buffer.writeStaticString("\r\n")
        if withBody { buffer.writeBytes(body) }
        return buffer
    }
}

extension ByteBuffer {
    /// Appends the first line of an answer.
    mutating func writeStatusLine(_ status: HTTPResponseStatus) {
        writeString("HTTP/1.1 \(status.code) \(status.reasonPhrase)\r\n")
    }

    /// Appends a field of an answer's head.
    mutating func writeField(_ name: String, _ value: String) {
        writeString(name)
        writeStaticString(": ")
        writeString(value)
        writeStaticString("\r\n")
    }
}
