import NIOCore
import NIOHTTP1
import PushProtocol

/// The opening handshake of a WebSocket (RFC 6455, section 4.2).
struct WebSocketHandshake {
    static let subprotocol = "push-notification"
    private static let identifier = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

    /// The answer with status 101.
    let answer: ByteBuffer

    /// What a GET to the WebSocket's path is: the handshake, or the answer that refuses it.
    enum Outcome {
        case accepted(WebSocketHandshake)
        case refused(HTTPAnswer)
    }

    static func read(_ request: HTTPRequestHead) -> Outcome {
        func tokens(_ name: String) -> [String] { request.headers[canonicalForm: name].map { $0.lowercased() } }
        let upgrade: [(String, String)] = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")]
        guard tokens("upgrade").contains("websocket") else {
            return .refused(.error(.upgradeRequired, "This path speaks WebSocket only", fields: upgrade))
        }
        guard tokens("connection").contains("upgrade"), request.version == .http1_1 else {
            return .refused(.error(.badRequest, "A WebSocket handshake needs HTTP/1.1 and Connection: Upgrade"))
        }
        guard request.headers["sec-websocket-version"] == ["13"] else {
            return .refused(.error(.upgradeRequired, "Only version 13 of WebSocket is spoken here", fields: upgrade))
        }
        let keys = request.headers["sec-websocket-key"]
        guard keys.count == 1, Base64.decode(keys[0])?.count == 16 else {
            return .refused(.error(.badRequest, "Sec-WebSocket-Key must be base64 of 16 bytes"))
        }
        guard request.headers["content-length"].allSatisfy({ $0 == "0" }), !request.headers.contains(name: "transfer-encoding") else {
            return .refused(.error(.badRequest, "A WebSocket handshake has no body"))
        }
        var answer = ByteBuffer()
        answer.writeStatusLine(.switchingProtocols)
        answer.writeField("Upgrade", "websocket")
        answer.writeField("Connection", "Upgrade")
        answer.writeField("Sec-WebSocket-Accept", Base64.encode(Digest.sha1(Array((keys[0] + identifier).utf8))))
        answer.writeField("Access-Control-Allow-Origin", "*")
        if request.headers[canonicalForm: "sec-websocket-protocol"].contains(subprotocol[...]) {
            answer.writeField("Sec-WebSocket-Protocol", subprotocol)
        }
        answer.writeStaticString("\r\n")
        return .accepted(WebSocketHandshake(answer: answer))
    }
}
