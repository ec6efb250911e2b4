import NIOCore
import NIOWebSocket
import PushProtocol

/// What a session can do with its socket. Called on the event loop.
protocol DeviceOutput: AnyObject {
    /// Whether the socket takes more without buffering.
    var isWritable: Bool { get }
    /// Sends a text frame.
    func send(_ text: [UInt8])
    /// Begins the closing handshake.
    func close(_ code: UInt16)
    /// Whether idle sockets are pinged.
    func setPinging(_ isOn: Bool)
    /// The session can take commands again.
    func resumeReading()
}

/// The last handler of a WebSocket: checks frames (RFC 6455, section 5), joins fragments, answers control frames, pings, closes.
final class DeviceSocketHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long a close frame waits for its answer, and for what the device asked before it.
    private static let closingTime = TimeAmount.seconds(2)

    private let messageLimit: Int
    private let pingInterval: TimeAmount?
    private let pingGrace: TimeAmount
    private let counters: WorkerCounters
    private let session: DeviceSession
    private var context: ChannelHandlerContext?
    private var fragments: ByteBuffer?
    /// Our close frame is out, or the last thing that goes out.
    private var isClosing = false
    /// The device's close frame is in: nothing more is read, and only what it asked before is answered.
    private var peerHasClosed = false
    private var wantsRead = false
    private var lastRead = NIODeadline.now()
    private var pingTask: Scheduled<Void>?
    /// Nothing has come since the last ping.
    private var isPinged = false

    private init(worker: WorkerContext, session: DeviceSession) {
        messageLimit = worker.configuration.deviceMessageLimit
        pingInterval = worker.configuration.ping
        pingGrace = worker.configuration.pingGrace
        counters = worker.counters
        self.session = session
    }

    /// Makes `channel`, whose handshake is done, a device's WebSocket.
    static func add(to channel: any Channel, context: WorkerContext) throws -> DeviceSocketHandler {
        let session = DeviceSession(context: context, eventLoop: channel.eventLoop)
        let handler = DeviceSocketHandler(worker: context, session: session)
        session.output = handler
        let decoder = ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: context.configuration.deviceMessageLimit))
        try channel.pipeline.syncOperations.addHandlers([decoder, handler])
        context.counters.add(.socketsOpened)
        return handler
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        session.opened()
        setPinging(true)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        setPinging(false)
        session.closed()
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            resumeReading()
            session.deliver()
        }
        context.fireChannelWritabilityChanged()
    }

    /// A device that does not read its answers is not read from either.
    func read(context: ChannelHandlerContext) {
        if session.isCongested || !context.channel.isWritable {
            wantsRead = true
        } else {
            context.read()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case NIOWebSocketError.invalidFrameLength: fail(CloseCode.tooBig)
        case is NIOWebSocketError: fail(CloseCode.protocolError)
        default: context.close(promise: nil)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed = event { inputClosed() }
        context.fireUserInboundEventTriggered(event)
    }

    /// The device sends nothing more. It goes without a close frame; after one, what it asked before is still answered.
    func inputClosed() {
        if !isClosing, !peerHasClosed { context?.close(promise: nil) }
    }

    // MARK: Frames

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        lastRead = .now()
        if isPinged { setPinging(true) }
        guard frame.maskKey != nil, frame.reservedBits.isEmpty else { return fail(CloseCode.protocolError) }
        switch frame.opcode {
        case .connectionClose: receiveClose(frame, context)
        case _ where isClosing || peerHasClosed: break
        case .ping: write(.pong, frame.unmaskedData)
        case .pong: break
        case .binary: fail(CloseCode.unacceptable)
        case .text:
            guard fragments == nil else { return fail(CloseCode.protocolError) }
            receive(frame.unmaskedData, isLast: frame.fin)
        case .continuation:
            guard var message = fragments.take() else { return fail(CloseCode.protocolError) }
            guard message.readableBytes + frame.length <= messageLimit else { return fail(CloseCode.tooBig) }
            message.writeImmutableBuffer(frame.unmaskedData)
            receive(message, isLast: frame.fin)
        default: fail(CloseCode.protocolError)
        }
    }

    private func receive(_ message: ByteBuffer, isLast: Bool) {
        guard isLast else {
            fragments = message
            return
        }
        guard message.isText else { return fail(CloseCode.notConsistent) }
        session.receive(message)
    }

    private func receiveClose(_ frame: WebSocketFrame, _ context: ChannelHandlerContext) {
        guard !isClosing, !peerHasClosed else { return context.close(promise: nil) }
        peerHasClosed = true
        var payload = frame.unmaskedData
        let code = Self.answer(toClose: &payload)
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        closeAfterClosingTime(context.channel)
        session.finish {
            bound.value.isClosing = true
            bound.value.write(.connectionClose, ByteBuffer(integer: code))
            bound.value.context?.close(promise: nil)
        }
        resumeReading()
    }

    private func closeAfterClosingTime(_ channel: any Channel) {
        channel.eventLoop.scheduleTask(in: Self.closingTime) { channel.close(promise: nil) }
    }

    /// The code that answers a close frame: its own when it is well formed, 1000 when it has none.
    private static func answer(toClose payload: inout ByteBuffer) -> UInt16 {
        guard payload.readableBytes > 0 else { return CloseCode.normal }
        guard let code = payload.readInteger(as: UInt16.self) else { return CloseCode.protocolError }
        guard [1000...1003, 1007...1014, 3000...4999].contains(where: { $0.contains(code) }) else { return CloseCode.protocolError }
        return payload.isText ? code : CloseCode.notConsistent
    }

    private func fail(_ code: UInt16) {
        guard !isClosing else { return }
        counters.add(.socketsClosedProtocol)
        fragments = nil
        close(code)
    }

    private func write(_ opcode: WebSocketOpcode, _ payload: ByteBuffer) {
        payload.withUnsafeReadableBytes { write(opcode, $0) }
    }

    private func write(_ opcode: WebSocketOpcode, _ payload: UnsafeRawBufferPointer) {
        guard let context else { return }
        var frame = context.channel.allocator.buffer(capacity: ByteBuffer.longestFrameHead + payload.count)
        frame.writeFrame(opcode, payload)
        context.writeAndFlush(wrapOutboundOut(frame), promise: nil)
    }

    // MARK: Pings

    private func schedulePing(at deadline: NIODeadline) {
        guard let context, let pingInterval else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        pingTask = context.eventLoop.scheduleTask(deadline: deadline) {
            let handler = bound.value
            let due = handler.lastRead + pingInterval
            if due > .now() {
                handler.schedulePing(at: due)
            } else {
                handler.ping()
            }
        }
    }

    private func ping() {
        guard let context else { return }
        write(.ping, ByteBuffer())
        isPinged = true
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        pingTask = context.eventLoop.scheduleTask(in: pingGrace) {
            bound.value.counters.add(.socketsClosedSilent)
            bound.value.context?.close(promise: nil)
        }
    }
}

extension DeviceSocketHandler: DeviceOutput {
    var isWritable: Bool { !isClosing && !peerHasClosed && (context?.channel.isWritable ?? false) }

    func send(_ text: [UInt8]) {
        guard !isClosing else { return }
        text.withUnsafeBytes { write(.text, $0) }
    }

    func close(_ code: UInt16) {
        guard !isClosing, let context else { return }
        isClosing = true
        session.ended()
        write(.connectionClose, ByteBuffer(integer: code))
        resumeReading()
        closeAfterClosingTime(context.channel)
    }

    func setPinging(_ isOn: Bool) {
        pingTask?.cancel()
        pingTask = nil
        isPinged = false
        if isOn, let pingInterval { schedulePing(at: lastRead + pingInterval) }
    }

    func resumeReading() {
        guard wantsRead, let context, isClosing || peerHasClosed || (!session.isCongested && context.channel.isWritable) else { return }
        wantsRead = false
        context.read()
    }
}
