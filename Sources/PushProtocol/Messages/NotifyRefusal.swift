/// An error answer to an application server (the table of `docs/push-protocol.md`, "HTTP for application servers").
public struct NotifyRefusal: Error, Hashable, Sendable {
    /// The HTTP status code.
    public let status: Int
    /// What is wrong, for a person.
    public let reason: String

    private init(_ status: Int, _ reason: String) {
        self.status = status
        self.reason = reason
    }

    public static let noAppToken = NotifyRefusal(404, "No valid AppToken")
    public static let badMethod = NotifyRefusal(405, "No valid HTTP method")
    public static let bodyTooBig = NotifyRefusal(413, "Body too big")
    public static let notJSON = NotifyRefusal(400, "JSON not valid")
    public static let notNotification = NotifyRefusal(400, "Not messageType=notification")
    public static let notID = NotifyRefusal(400, "Not id")
    public static let notMessage = NotifyRefusal(400, "Not message")
    public static let notTTL = NotifyRefusal(400, "Not valid ttl")
    public static func badMember(_ name: String) -> NotifyRefusal { NotifyRefusal(400, "Not valid \(name)") }
    public static let notSigned = NotifyRefusal(401, "You must sign your message with your Private Key")
    public static let badSignature = NotifyRefusal(403, "Bad signature, dropping notification")
    /// Past the rate limit: to be answered with Retry-After.
    public static let tooMany = NotifyRefusal(429, "Try again later")
    /// Queue full, store unavailable, draining: to be answered with Retry-After.
    public static let unavailable = NotifyRefusal(503, "Try again later")

    /// The body of the answer.
    public var body: [UInt8] { ErrorBody.bytes(reason: reason) }
}

/// The bodies of HTTP answers.
public enum ErrorBody {
    /// `{"status":"ERROR","reason":..}`
    public static func bytes(reason: String) -> [UInt8] {
        JSONValue.object(JSONObject([("status", "ERROR"), ("reason", .text(reason))])).bytes
    }

    /// `{"status":"ACCEPTED","messageId":..}`
    public static func accepted(_ messageID: MessageID) -> [UInt8] {
        JSONValue.object(JSONObject([("status", "ACCEPTED"), ("messageId", .text(messageID.description))])).bytes
    }
}
