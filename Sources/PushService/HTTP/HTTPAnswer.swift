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

    /// The head of the answer on a connection that is kept or not.
    func head(keepsConnection: Bool) -> HTTPResponseHead {
        var headers = HTTPHeaders(fields)
        headers.add(name: "Date", value: HTTPDate.now)
        headers.add(name: "Access-Control-Allow-Origin", value: "*")
        if status != .noContent {
            headers.add(name: "Content-Type", value: contentType)
            headers.add(name: "Content-Length", value: "\(body.count)")
            headers.add(name: "Cache-Control", value: "no-store")
        }
        if !keepsConnection { headers.add(name: "Connection", value: "close") }
        return HTTPResponseHead(version: .http1_1, status: status, headers: headers)
    }
}
