public import NIOHTTP1
public import PushProtocol

/// An application server: signs messages and posts them to a public URL (chapter 3).
public final class PushSender: Sendable {
    private let connection: HTTPClientConnection
    private let url: ServerURL
    private let key: RSAPrivateKey

    private init(connection: HTTPClientConnection, url: ServerURL, key: RSAPrivateKey) {
        self.connection = connection
        self.url = url
        self.key = key
    }

    /// Connects to the host of the public URL; `server` is used in its place when it is given, and the URL's path is kept.
    public static func connect(
        to url: ServerURL, server: ServerURL? = nil, trust: ServerTrust = .system, key: RSAPrivateKey
    ) async throws -> PushSender {
        PushSender(connection: try await HTTPClientConnection.connect(to: server ?? url, trust: trust), url: url, key: key)
    }

    /// The body of a signed notification.
    public static func body(
        message: String, id: JSONValue, key: RSAPrivateKey, ttl: JSONValue? = nil, more: [(String, JSONValue)] = []
    ) -> JSONObject {
        var object = JSONObject([
            ("messageType", "notification"), ("id", id), ("message", .text(message)),
            ("signature", .text(Base64.encode(key.sign(Array(message.utf8))))),
        ])
        object["ttl"] = ttl
        for (name, value) in more { object[name] = value }
        return object
    }

    /// Signs and posts a message.
    public func send(_ message: String, id: JSONValue, ttl: JSONValue? = nil) async throws -> HTTPClientAnswer {
        try await post(JSONValue.object(Self.body(message: message, id: id, key: key, ttl: ttl)).bytes)
    }

    /// Posts any body.
    public func post(_ body: [UInt8], headers: HTTPHeaders = ["Content-Type": "application/json"]) async throws -> HTTPClientAnswer {
        try await connection.request(.POST, path: url.path, headers: headers, body: body)
    }

    /// Closes the connection.
    public func close() async {
        await connection.close()
    }
}
