import NIOCore
import NIOHTTP1
import NIOWebSocket

/// The opening handshake of a WebSocket client (RFC 6455, section 4.1).
enum WebSocketUpgrade {
    /// Makes `channel` ask for path `/` of the host of `url`; `opened` makes what the WebSocket is used by. nil: the server refused.
    static func configure<Value: Sendable>(
        _ channel: any Channel, url: ServerURL, subprotocols: [String],
        opened: @escaping @Sendable (any Channel, HTTPResponseHead) throws -> Value
    ) throws -> EventLoopFuture<Value?> {
        var headers = HTTPHeaders([("Host", url.authority)])
        if !subprotocols.isEmpty { headers.add(name: "Sec-WebSocket-Protocol", value: subprotocols.joined(separator: ", ")) }
        let upgrader = NIOTypedWebSocketClientUpgrader<Value?>(maxFrameSize: 1 << 26) { channel, head in
            channel.eventLoop.makeCompletedFuture { try opened(channel, head) }
        }
        let request = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/", headers: headers)
        let configuration = NIOTypedHTTPClientUpgradeConfiguration<Value?>(upgradeRequestHead: request, upgraders: [upgrader]) { channel in
            channel.close(promise: nil)
            return channel.eventLoop.makeSucceededFuture(nil)
        }
        return try channel.pipeline.syncOperations.configureUpgradableHTTPClientPipeline(
            configuration: .init(upgradeConfiguration: configuration))
    }
}
