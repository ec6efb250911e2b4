public import PushProtocol
import Synchronization

/// A device: gets a token, registers itself and applications, receives notifications and acknowledges them (chapter 3).
public final class PushDevice: Sendable {
    /// A notification as it came.
    public struct Notification: Hashable, Sendable {
        /// The whole object.
        public let object: JSONObject
        public let message: String
        public let messageID: String
        public let url: String

        init?(_ object: JSONObject) {
            guard object["messageType"]?.text == "notification", let message = object["message"]?.text,
                let messageID = object["messageId"]?.text, let url = object["url"]?.text
            else { return nil }
            self.object = object
            self.message = message
            self.messageID = messageID
            self.url = url
        }
    }

    /// What a device receives: an answer to a command, a notification, or the end.
    public enum Event: Hashable, Sendable {
        case answer(JSONObject)
        case notification(Notification)
        /// The server closed with this code, or the connection broke (nil).
        case closed(UInt16?)
    }

    /// The WebSocket beneath.
    public let socket: WebSocketClient
    /// Notifications that came while the answer to a command was awaited.
    private let early = Mutex<[Notification]>([])

    private init(socket: WebSocketClient) {
        self.socket = socket
    }

    /// Asks for a UAToken: `GET /token`.
    public static func requestToken(from server: ServerURL, trust: ServerTrust = .system) async throws -> String {
        let connection = try await HTTPClientConnection.connect(to: server, trust: trust)
        let answer = try await connection.request(.GET, path: "/token")
        await connection.close()
        guard answer.status == 200 else {
            let advice = answer.status == 429 ? "; wait a second" : ""
            throw LabError("\(server.authority) gave no token: \(answer.status) \(answer.text)\(advice)")
        }
        return answer.text
    }

    /// Opens a device's WebSocket.
    public static func connect(to server: ServerURL, trust: ServerTrust = .system) async throws -> PushDevice {
        PushDevice(socket: try await WebSocketClient.connect(to: server, trust: trust))
    }

    /// Sends a command.
    public func send(_ command: JSONValue) {
        socket.send(String(decoding: command.bytes, as: UTF8.self))
    }

    /// Registers the device (registerUA); throws when the server refuses.
    public func register(token: String) async throws {
        send(["messageType": "registerUA", "data": ["uatoken": .text(token)]])
        _ = try await goodAnswer(to: "registerUA")
    }

    /// Registers an application (registerWA); returns its public URL.
    public func registerApplication(watoken: String, pbkbase64: String) async throws -> String {
        send(["messageType": "registerWA", "data": ["watoken": .text(watoken), "pbkbase64": .text(pbkbase64)]])
        let answer = try await goodAnswer(to: "registerWA")
        guard let url = answer["url"]?.text else { throw LabError("the server's answer to registerWA has no url") }
        return url
    }

    /// Acknowledges a notification (ack).
    public func acknowledge(_ messageID: String) {
        send(["messageType": "ack", "messageId": .text(messageID)])
    }

    /// The next thing that comes; nil when nothing came within `seconds`.
    public func next(seconds: Int64? = 10) async throws -> Event? {
        let first = early.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        if let first { return .notification(first) }
        return try await read(seconds: seconds)
    }

    private func read(seconds: Int64?) async throws -> Event? {
        while true {
            let event = try await socket.next(within: seconds.map { .seconds($0) })
            switch event {
            case .text(let text)?:
                guard let object = (try? JSONValue(parsing: Array(text.utf8)))?.object else {
                    throw LabError("the server sent no JSON object: \(text)")
                }
                return Notification(object).map { .notification($0) } ?? .answer(object)
            case .closed(let code)?: return .closed(code)
            case .ping?, .pong?: continue
            case nil: return socket.isOpen ? nil : .closed(nil)
            }
        }
    }

    /// Waits for the answer to a command and throws when it is an error. What is pending may come before it.
    private func goodAnswer(to command: String) async throws -> JSONObject {
        while true {
            switch try await read(seconds: 10) {
            case .answer(let object)?:
                guard object["statusCode"]?.integer == 200 else {
                    throw LabError("the server refused \(command): \(object["statusCode"]?.integer ?? 0) \(object["reason"]?.text ?? "")")
                }
                return object
            case .notification(let notification)?: early.withLock { $0.append(notification) }
            case .closed(let code)?:
                throw LabError("the server closed the connection at \(command)\(code.map { " with code \($0)" } ?? "")")
            case nil: throw LabError("the server did not answer \(command) within 10 s")
            }
        }
    }

    /// Closes the WebSocket.
    public func close() async {
        await socket.close()
    }
}
