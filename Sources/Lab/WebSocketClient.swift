public import NIOCore
import NIOPosix
import NIOWebSocket
import PushProtocol

/// What comes through a WebSocket.
public enum WebSocketEvent: Hashable, Sendable {
    case text(String)
    case ping
    case pong
    /// A close frame; the code is nil when it had none.
    case closed(UInt16?)
}

/// A WebSocket client (RFC 6455): texts and close codes; pings are answered by itself.
public final class WebSocketClient: Sendable {
    private let channel: any Channel
    private let events: NIOLoopBound<Mailbox<WebSocketEvent>>
    /// The sub-protocol that the server chose.
    public let subprotocol: String?

    fileprivate init(channel: any Channel, events: NIOLoopBound<Mailbox<WebSocketEvent>>, subprotocol: String?) {
        self.channel = channel
        self.events = events
        self.subprotocol = subprotocol
    }

    /// Connects to path `/` of the host of `url`.
    ///
    /// - Parameter trust: whom a `wss` or `https` URL may lead to.
    public static func connect(
        to url: ServerURL, trust: ServerTrust = .system, subprotocols: [String] = ["push-notification"], answersPings: Bool = true
    ) async throws -> WebSocketClient {
        let tls = try trust.connector(to: url)
        let upgrade: EventLoopFuture<WebSocketClient?>
        let secured: EventLoopFuture<Void>?
        do {
            (upgrade, secured) = try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).connectTimeout(.seconds(10))
                .channelOption(.socketOption(.tcp_nodelay), value: 1)
                .connect(host: url.host, port: url.port) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let secured = try tls?.secure(channel)
                        return (try configure(channel, url: url, subprotocols: subprotocols, answersPings: answersPings), secured)
                    }
                }
        } catch {
            throw LabError("cannot connect to \(url.host) port \(url.port): \(error); check that the server runs there")
        }
        do {
            try await secured?.get()
        } catch {
            throw TLSConnector.failure(error, url: url)
        }
        guard let client = try await upgrade.get() else {
            throw LabError("\(url.authority) refused the WebSocket; check that the URL is that of the front for devices")
        }
        return client
    }

    private static func configure(
        _ channel: any Channel, url: ServerURL, subprotocols: [String], answersPings: Bool
    ) throws -> EventLoopFuture<WebSocketClient?> {
        try WebSocketUpgrade.configure(channel, url: url, subprotocols: subprotocols) { channel, head in
            let mailbox = Mailbox<WebSocketEvent>(eventLoop: channel.eventLoop)
            try channel.pipeline.syncOperations.addHandler(EventHandler(mailbox: mailbox, answersPings: answersPings))
            return WebSocketClient(
                channel: channel, events: NIOLoopBound(mailbox, eventLoop: channel.eventLoop),
                subprotocol: head.headers.first(name: "Sec-WebSocket-Protocol"))
        }
    }

    /// Sends a text frame.
    public func send(_ text: String) {
        send(opcode: 0x1, bytes: Array(text.utf8))
    }

    /// Sends any frame, also wrong ones: what tests need.
    public func send(opcode: UInt8, bytes: [UInt8], isLast: Bool = true, isMasked: Bool = true) {
        guard let opcode = WebSocketOpcode(encodedWebSocketOpcode: opcode) else { preconditionFailure("opcodes have 4 bits") }
        let frame = WebSocketFrame(fin: isLast, opcode: opcode, maskKey: isMasked ? .random() : nil, data: ByteBuffer(bytes: bytes))
        channel.writeAndFlush(frame, promise: nil)
    }

    /// The next event; nil when the connection is gone, or nothing came within `time`.
    public func next(within time: TimeAmount? = .seconds(10)) async throws -> WebSocketEvent? {
        try await channel.eventLoop.flatSubmit { self.events.value.next(within: time) }.get()
    }

    /// Whether the connection is still open.
    public var isOpen: Bool { channel.isActive }

    /// How long ``close()`` waits for the server.
    private static let closingTime = TimeAmount.seconds(2)

    /// Closes with a close frame and waits until the server has answered it: by then it has done what it was asked before.
    public func close() async {
        let frame = WebSocketFrame(fin: true, opcode: .connectionClose, maskKey: .random(), data: ByteBuffer(integer: CloseCode.normal))
        try? await channel.writeAndFlush(frame)
        let late = channel.eventLoop.scheduleTask(in: Self.closingTime) { self.channel.close(promise: nil) }
        try? await channel.closeFuture.get()
        late.cancel()
    }

    /// Closes without one, as a device does that loses its network.
    public func drop() async {
        try? await channel.close()
    }
}

extension WebSocketClient {
    /// The next event, as ``next(within:)``, within seconds.
    public func next(seconds: Int64) async throws -> WebSocketEvent? {
        try await next(within: .seconds(seconds))
    }
}

private final class EventHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private let mailbox: Mailbox<WebSocketEvent>
    private let answersPings: Bool
    private var hasSentClose = false

    init(mailbox: Mailbox<WebSocketEvent>, answersPings: Bool) {
        self.mailbox = mailbox
        self.answersPings = answersPings
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        var payload = frame.unmaskedData
        switch frame.opcode {
        case .text: mailbox.put(.text(String(decoding: payload.readableBytesView, as: UTF8.self)))
        case .connectionClose:
            mailbox.put(.closed(payload.readInteger(as: UInt16.self)))
            if !hasSentClose { answer(.connectionClose, frame.unmaskedData, context) }
            context.close(promise: nil)
        case .ping:
            mailbox.put(.ping)
            if answersPings { answer(.pong, payload, context) }
        case .pong: mailbox.put(.pong)
        default: break
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if unwrapOutboundIn(data).opcode == .connectionClose { hasSentClose = true }
        context.write(data, promise: promise)
    }

    private func answer(_ opcode: WebSocketOpcode, _ payload: ByteBuffer, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: payload)), promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        mailbox.finish()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
