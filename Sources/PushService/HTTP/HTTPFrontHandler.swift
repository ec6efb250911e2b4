import NIOCore
import NIOHTTP1

/// The last handler of an HTTP connection: collects requests, asks the routes, writes answers, and turns into a WebSocket.
///
/// A handler before it (`HTTPServerPipelineHandler`) holds back the next request until this one is answered. The upgrade may come with
/// any request of a connection, because the dispatcher keeps its connections and uses them again.
final class HTTPFrontHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        /// Between requests; then `reading`.
        case idle
        /// A request's body comes; then `answering`, `idle` or `ending`.
        case reading(HTTPRequestHead, HTTPRoute, body: ByteBuffer)
        /// The answer is being made elsewhere; then `idle` or `ending`.
        case answering(HTTPRequestHead)
        /// The last answer is written; whatever comes is dropped until the connection closes.
        case ending
    }

    /// How long a connection stays half open after its last answer, so that the answer is not lost to a reset.
    private static let linger = TimeAmount.seconds(1)

    private let context: WorkerContext
    private let routes: any HTTPRoutes
    private let trustedProxies: [IPNetwork]
    private let codec: [any RemovableChannelHandler]
    private var state = State.idle
    private var peer: IPAddress?
    /// A request has come and is not answered.
    private var hasRequest = false
    private var isWriting = false
    /// The parser has failed: nothing more comes.
    private var hasFailed = false
    /// The peer sends nothing more, but reads (in TLS: it has sent close_notify).
    private var peerHasClosed = false

    /// - Parameters:
    ///   - trustedProxies: peers whose X-Forwarded-For is believed.
    ///   - codec: the HTTP handlers before this one, in the order in which they leave when the connection becomes a WebSocket.
    init(context: WorkerContext, routes: any HTTPRoutes, trustedProxies: [IPNetwork], codec: [any RemovableChannelHandler]) {
        self.context = context
        self.routes = routes
        self.trustedProxies = trustedProxies
        self.codec = codec
    }

    func handlerAdded(context: ChannelHandlerContext) {
        peer = IPAddress(context.channel.remoteAddress)
    }

    func channelInactive(context: ChannelHandlerContext) {
        setHasRequest(false)
        context.fireChannelInactive()
    }

    /// A draining worker waits for those that have one.
    private func setHasRequest(_ has: Bool) {
        guard has != hasRequest else { return }
        hasRequest = has
        context.requestsUnderWay.add(has ? 1 : -1)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), state) {
        case (.head(let head), .idle): begin(head, context)
        case (.body(let part), .reading(let head, let route, var body)):
            guard body.readableBytes + part.readableBytes <= self.context.configuration.limits.body else {
                refuseBody(of: head, route, context)
                return
            }
            state = .idle
            body.writeImmutableBuffer(part)
            state = .reading(head, route, body: body)
        case (.end, .reading(let head, let route, let body)): finish(head, route, body, context)
        default: break
        }
    }

    private func begin(_ received: HTTPRequestHead, _ context: ChannelHandlerContext) {
        setHasRequest(true)
        let head = received.withTrimmedValues
        if let fault = RequestFault(head) {
            self.context.counters.add(.httpErrors)
            write(fault.answer, to: head, context)
            return
        }
        let client = peer.map { ClientAddress.of(peer: $0, headers: head.headers, trusted: trustedProxies) }
        let route = routes.route(head, path: HTTPTarget.path(of: head.uri), client: client)
        if let length = head.headers.first(name: "content-length").flatMap(Int.init), length > self.context.configuration.limits.body {
            refuseBody(of: head, route, context)
            return
        }
        // HTTP/1.0 knows no interim answers (RFC 9110, section 10.1.1).
        if case .read = route, head.version.minor >= 1,
            head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" })
        {
            context.writeAndFlush(wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
        }
        state = .reading(head, route, body: ByteBuffer())
    }

    private func refuseBody(of head: HTTPRequestHead, _ route: HTTPRoute, _ context: ChannelHandlerContext) {
        var answer: HTTPAnswer
        if case .answer(let refusal) = route {
            answer = refusal
        } else {
            answer = HTTPAnswer(.bodyTooBig)
            self.context.counters.add(.notifiesRefused)
        }
        answer.closes = true
        write(answer, to: head, context)
    }

    private func finish(_ head: HTTPRequestHead, _ route: HTTPRoute, _ body: ByteBuffer, _ context: ChannelHandlerContext) {
        switch route {
        case .answer(let answer): respond(answer, to: head, context)
        case .webSocket(let handshake): upgrade(handshake, context)
        case .read(let handle):
            state = .answering(head)
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            handle(body) { answer in
                bound.execute { handler, context in
                    guard case .answering = handler.state, context.channel.isActive else { return }
                    handler.respond(answer, to: head, context)
                }
            }
        }
    }

    /// Answers a request that has come whole: at once, or, if it came while the answer before it was written, after that. Otherwise each of
    /// many answers would be written within the one before, and the stack has an end.
    private func respond(_ answer: HTTPAnswer, to request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard isWriting else { return write(answer, to: request, context) }
        state = .answering(request)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.execute {
            let (handler, context) = bound.value
            guard case .answering = handler.state, context.channel.isActive else { return }
            handler.write(answer, to: request, context)
        }
    }

    private func write(_ answer: HTTPAnswer, to request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        // The parser reads nothing after a request for another protocol that was not granted.
        let isStuck = request.headers.contains(name: "upgrade") || request.method == .CONNECT
        let keeps = request.isKeepAlive && !answer.closes && !isStuck && !peerHasClosed && self.context.phase == .running
        state = keeps ? .idle : .ending
        setHasRequest(false)
        // With the end of the answer the next request comes, if it is there.
        isWriting = true
        defer { isWriting = false }
        context.write(wrapOutboundOut(.head(answer.head(keepsConnection: keeps))), promise: nil)
        if !answer.body.isEmpty && request.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: answer.body)))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        if !keeps { lingerAndClose(context) }
    }

    private func lingerAndClose(_ context: ChannelHandlerContext) {
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        context.eventLoop.scheduleTask(in: Self.linger) { channel.close(promise: nil) }
    }

    // MARK: WebSocket

    private func upgrade(_ handshake: WebSocketHandshake, _ context: ChannelHandlerContext) {
        state = .ending
        setHasRequest(false)
        let head = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: handshake.fields)
        context.writeAndFlush(wrapOutboundOut(.head(head)), promise: nil)
        let channel = context.channel
        let pipeline = channel.pipeline.syncOperations
        do {
            try DeviceSocketHandler.add(to: channel, context: self.context)
            pipeline.removeHandler(context: context, promise: nil)
            for handler in codec { pipeline.removeHandler(handler, promise: nil) }
        } catch {
            channel.close(promise: nil)
        }
    }

    // MARK: Ends

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else {
            self.context.counters.add(.httpErrors)
            context.close(promise: nil)
            return
        }
        // The parser tells of a bad version twice.
        guard !hasFailed else { return }
        hasFailed = true
        self.context.counters.add(.httpErrors)
        switch state {
        case .idle: write(RequestFault(error).answer, to: HTTPRequestHead(version: .http1_1, method: .GET, uri: "/"), context)
        case .reading(let head, _, _): write(RequestFault(error).answer, to: head, context)
        // The last answer says that the connection ends. While one is being made, HTTPServerPipelineHandler holds errors back.
        case .ending, .answering: break
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch (event, state) {
        case (is IdleStateHandler.IdleStateEvent, .answering): break
        case (is IdleStateHandler.IdleStateEvent, _): context.close(promise: nil)
        case (ChannelEvent.inputClosed, .idle), (ChannelEvent.inputClosed, .reading): context.close(promise: nil)
        case (ChannelEvent.inputClosed, .answering):
            peerHasClosed = true
            context.fireUserInboundEventTriggered(event)
        default: context.fireUserInboundEventTriggered(event)
        }
    }
}

extension NIOLoopBound {
    /// Runs `body` with the value on its event loop, now or later.
    func execute(_ body: @escaping @Sendable (Value) -> Void) {
        if eventLoop.inEventLoop {
            body(value)
        } else {
            eventLoop.execute { body(self.value) }
        }
    }
}
