/// The limits of what an application server may send.
public struct NotifyLimits: Hashable, Sendable {
    /// Of the member `message`, in bytes of UTF-8.
    public var message = 4096
    /// Of the whole body, in bytes.
    public var body = 16 * 1024
    /// Of the member `id`, in bytes.
    public var id = 256
    /// The longest time to live, in seconds: 30 days.
    public var ttl: Int64 = 30 * 86400

    /// The default limits.
    public init() {}
}

/// What an application server posts (chapter 3, "API between the Application Server and the Notification Server").
public struct NotifyRequest: Hashable, Sendable {
    /// The application server's identifier of the message: a text or a number, not empty.
    public let id: JSONValue
    /// What devices will get.
    public let body: NotificationBody
    /// The text that the signature is over.
    public let message: String
    /// The signature as it was sent.
    public let signature: String
    /// Time to live in seconds, 0...`NotifyLimits.ttl`; 0: only to devices that are connected now.
    public let ttl: Int64

    /// The request in the body of a POST; checked in the order of `docs/push-protocol.md`, "HTTP for application servers", up to the
    /// signature's presence.
    ///
    /// - Parameter now: milliseconds since 1970 UTC: the timestamp of a message without one.
    public init(body: UnsafeRawBufferPointer, limits: NotifyLimits, now: Int64) throws(NotifyRefusal) {
        guard body.count <= limits.body else { throw .bodyTooBig }
        guard let object = (try? JSONValue(parsing: body))?.object else { throw .notJSON }
        let id = object.present("id")
        guard (object.present("message")?.text?.utf8.count ?? 0) <= limits.message, Self.size(id) <= limits.id else { throw .bodyTooBig }
        guard object.present("messageType")?.text == "notification" else { throw .notNotification }
        guard let id, Self.size(id) > 0 else { throw .notID }
        guard let message = object.present("message")?.text else { throw .notMessage }
        ttl = try Self.ttl(object.present("ttl"), limit: limits.ttl)
        let timestamp = try Self.passedThrough(object, "timestamp") ?? .number(JSONNumber(now))
        let priority = try Self.passedThrough(object, "priority") ?? "4"
        guard let signature = object.present("signature")?.text, !signature.isEmpty else { throw .notSigned }
        self.id = id
        self.message = message
        self.signature = signature
        self.body = NotificationBody(id: id, message: message, timestamp: timestamp, priority: priority)
    }

    /// The size in bytes of an id that is a text or a number; 0 for anything else.
    private static func size(_ id: JSONValue?) -> Int {
        switch id {
        case .text(let text)?: text.utf8.count
        case .number(let number)?: number.lexeme.utf8.count
        default: 0
        }
    }

    private static func ttl(_ value: JSONValue?, limit: Int64) throws(NotifyRefusal) -> Int64 {
        switch value {
        case nil: return limit
        case .number(let number)?:
            switch number.whole {
            case .exactly(let seconds) where seconds >= 0: return min(seconds, limit)
            case .tooGreat: return limit
            case .exactly, .tooSmall, .fraction: throw .notTTL
            }
        case .text(let text)?:
            guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { throw .notTTL }
            return min(Int64(text) ?? limit, limit)
        default: throw .notTTL
        }
    }

    private static func passedThrough(_ object: JSONObject, _ name: String) throws(NotifyRefusal) -> JSONValue? {
        switch object.present(name) {
        case nil: return nil
        case let value?:
            switch value {
            case .text, .number: return value
            default: throw .badMember(name)
            }
        }
    }
}
