import NIOCore
import NIOHTTP1

/// The last handler of an HTTP connection: collects requests, asks the routes, writes answers, and turns into a WebSocket.
///
/// One request is answered after the other; what comes meanwhile is held back, and while anything is, nothing more is read. The upgrade may
/// come with any request of a connection, because the dispatcher keeps its connections and uses them again.
final class HTTPFrontHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

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

    private enum Event {
        case part(HTTPServerRequestPart)
        case failed(HTTPParserError)
        /// The peer sends nothing more, but reads (in TLS: it has sent close_notify).
        case inputClosed
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
    /// What came behind a request that was not answered then.
    private var held = CircularBuffer<Event>(initialCapacity: 0)
    private var isDelivering = false
    /// The channel wants to read as soon as nothing is held and the peer takes its answers.
    private var wantsRead = false
    /// The parser has failed: nothing more comes.
    private var hasFailed = false
    private var peerHasClosed = false
    /// All that was written is out, and that it was all.
    private var hasClosedOutput = false

    /// - Parameters:
    ///   - trustedProxies: peers whose X-Forwarded-For is believed.
    ///   - codec: the handlers before this one, in the order in which they leave when the connection becomes a WebSocket.
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
        held.removeAll()
        context.fireChannelInactive()
    }

    /// A draining worker waits for those that have one.
    private func setHasRequest(_ has: Bool) {
        guard has != hasRequest else { return }
        hasRequest = has
        context.requestsUnderWay.add(has ? 1 : -1)
    }

    // MARK: What comes

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        take(.part(unwrapInboundIn(data)), context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? HTTPParserError {
            take(.failed(error), context)
        } else {
            self.context.counters.add(.httpErrors)
            context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch (event, state) {
        case (is IdleStateHandler.IdleStateEvent, .answering): break
        case (is IdleStateHandler.IdleStateEvent, _): context.close(promise: nil)
        case (ChannelEvent.inputClosed, _): take(.inputClosed, context)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    /// A peer that sends on while its requests wait, or does not take its answers, is not read from.
    func read(context: ChannelHandlerContext) {
        if held.isEmpty, context.channel.isWritable {
            context.read()
        } else {
            wantsRead = true
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        resumeReading(context)
        context.fireChannelWritabilityChanged()
    }

    private func resumeReading(_ context: ChannelHandlerContext) {
        guard wantsRead, held.isEmpty, context.channel.isWritable else { return }
        wantsRead = false
        context.read()
    }

    private func take(_ event: Event, _ context: ChannelHandlerContext) {
        switch (event, state) {
        case _ where !held.isEmpty: held.append(event)
        // With nothing behind it, the request under way is the last one: its answer says so.
        case (.inputClosed, .answering): peerHasClosed = true
        case (_, .answering): held.append(event)
        default: handle(event, context)
        }
    }

    /// Handles what was held back, up to a request whose answer is made elsewhere.
    private func deliverHeld(_ context: ChannelHandlerContext) {
        guard !isDelivering else { return }
        isDelivering = true
        defer { isDelivering = false }
        while !held.isEmpty {
            if case .answering = state {
                if held.count == 1, case .inputClosed = held[held.startIndex] { peerHasClosed = held.popFirst() != nil }
                return
            }
            handle(held.removeFirst(), context)
        }
        resumeReading(context)
    }

    private func handle(_ event: Event, _ context: ChannelHandlerContext) {
        switch event {
        case .part(let part): handle(part, context)
        case .failed(let error): handle(error, context)
        case .inputClosed:
            peerHasClosed = true
            if case .ending = state {
                if hasClosedOutput { context.close(promise: nil) }
            } else {
                // What is written already still goes out.
                end(context)
            }
        }
    }

    private func handle(_ part: HTTPServerRequestPart, _ context: ChannelHandlerContext) {
        switch (part, state) {
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

    private func handle(_ error: HTTPParserError, _ context: ChannelHandlerContext) {
        // The parser tells of a bad version twice.
        guard !hasFailed else { return }
        hasFailed = true
        self.context.counters.add(.httpErrors)
        switch state {
        case .idle: write(RequestFault(error).answer, to: HTTPRequestHead(version: .http1_1, method: .GET, uri: "/"), context)
        case .reading(let head, _, _): write(RequestFault(error).answer, to: head, context)
        // The last answer says that the connection ends; while one is being made, errors are held back.
        case .ending, .answering: break
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
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
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
        case .answer(let answer): write(answer, to: head, context)
        case .webSocket(let handshake): upgrade(handshake, context)
        case .read(let handle):
            state = .answering(head)
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            handle(body) { answer in
                bound.execute { handler, context in
                    guard case .answering = handler.state, context.channel.isActive else { return }
                    handler.write(answer, to: head, context)
                    handler.deliverHeld(context)
                }
            }
        }
    }

    private func write(_ answer: HTTPAnswer, to request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        // The parser reads nothing after a request for another protocol that was not granted.
        let isStuck = request.headers.contains(name: "upgrade") || request.method == .CONNECT
        let keeps = request.isKeepAlive && !answer.closes && !isStuck && !peerHasClosed && self.context.phase == .running
        state = .idle
        setHasRequest(false)
        let bytes = answer.bytes(keepsConnection: keeps, withBody: request.method != .HEAD, allocator: context.channel.allocator)
        context.writeAndFlush(wrapOutboundOut(bytes), promise: nil)
        if !keeps { end(context) }
    }

    /// Nothing more is answered: the connection ends when all is written and the peer has had its time.
    private func end(_ context: ChannelHandlerContext) {
        state = .ending
        setHasRequest(false)
        let written = context.eventLoop.makePromise(of: Void.self)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        written.futureResult.whenComplete { _ in
            let (handler, context) = bound.value
            handler.hasClosedOutput = true
            let channel = context.channel
            if handler.peerHasClosed {
                channel.close(promise: nil)
            } else {
                context.eventLoop.scheduleTask(in: Self.linger) { channel.close(promise: nil) }
            }
        }
        if peerHasClosed {
            // The output alone cannot be closed then: what waits to be written would be dropped.
            context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
        } else {
            context.close(mode: .output, promise: written)
        }
    }

    // MARK: WebSocket

    private func upgrade(_ handshake: WebSocketHandshake, _ context: ChannelHandlerContext) {
        state = .ending
        setHasRequest(false)
        context.writeAndFlush(wrapOutboundOut(handshake.answer), promise: nil)
        let channel = context.channel
        let pipeline = channel.pipeline.syncOperations
        do {
            let socket = try DeviceSocketHandler.add(to: channel, context: self.context)
            pipeline.removeHandler(context: context, promise: nil)
            for handler in codec { pipeline.removeHandler(handler, promise: nil) }
            handOver(channel, socket)
        } catch {
            channel.close(promise: nil)
        }
    }

    /// What this handler has not done, and the WebSocket must.
    private func handOver(_ channel: any Channel, _ socket: DeviceSocketHandler) {
        let wantsRead = wantsRead
        let isClosed = held.contains { if case .inputClosed = $0 { true } else { false } }
        self.wantsRead = false
        held.removeAll()
        if wantsRead { channel.read() }
        if isClosed { socket.inputClosed() }
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
