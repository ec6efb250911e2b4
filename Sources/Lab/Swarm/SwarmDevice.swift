import NIOCore
import NIOWebSocket
import PushProtocol

/// One device of a swarm: registers itself and its application, then acknowledges whatever comes. Lives on the swarm's event loop.
final class SwarmDevice: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    private enum Stage {
        /// registerUA is out; then `registeringApplication` or `registered`.
        case registering
        /// registerWA is out; then `registered`.
        case registeringApplication
        /// Notifications come; then `ended`.
        case registered
        case ended
    }

    /// How long registering may take.
    private static let patience = TimeAmount.seconds(60)

    private let swarm: Swarm
    private let token: String
    private let application: ApplicationPair
    private let ready: EventLoopPromise<Void>
    private var stage = Stage.registering
    private var context: ChannelHandlerContext?
    /// A further application is being registered.
    private var sharing: EventLoopPromise<Void>?

    /// - Parameter ready: succeeds when the device and its application are registered; fails when the server refuses.
    init(swarm: Swarm, token: String, application: ApplicationPair, ready: EventLoopPromise<Void>) {
        self.swarm = swarm
        self.token = token
        self.application = application
        self.ready = ready
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    /// Registers; not before the handshake's handlers have left the pipeline.
    func start() -> EventLoopFuture<Void> {
        guard let context else { return ready.futureResult }
        send(["messageType": "registerUA", "data": ["uatoken": .text(token)]], context)
        let bound = NIOLoopBound((device: self, context: context), eventLoop: context.eventLoop)
        let timer = context.eventLoop.scheduleTask(in: Self.patience) {
            bound.value.device.end("the server did not register a device in time", bound.value.context)
        }
        ready.futureResult.whenComplete { _ in timer.cancel() }
        return ready.futureResult
    }

    /// Registers a further application, which other devices have too. Only once at a time.
    func register(_ shared: ApplicationPair, on eventLoop: any EventLoop) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        guard let context, case .registered = stage else {
            promise.fail(LabError("a device's connection broke before it could register a shared application"))
            return promise.futureResult
        }
        sharing = promise
        let data: JSONValue = ["watoken": .text(shared.watoken), "pbkbase64": .text(shared.pbkbase64)]
        send(["messageType": "registerWA", "data": data], context)
        return promise.futureResult
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text:
            let object = frame.data.withUnsafeReadableBytes { (try? JSONValue(parsing: $0))?.object }
            guard let object else { return end("the server sent no JSON object", context) }
            receive(object, context)
        case .ping: write(.pong, frame.data, context)
        case .connectionClose: end("the server closed the connection", context)
        default: break
        }
    }

    private func receive(_ object: JSONObject, _ context: ChannelHandlerContext) {
        if object["messageType"]?.text == "notification" { return acknowledge(object, context) }
        guard object["statusCode"]?.integer == 200 else {
            return end("the server refused to register: \(object["statusCode"]?.integer ?? 0) \(object["reason"]?.text ?? "")", context)
        }
        switch stage {
        case .registering:
            stage = .registeringApplication
            let data: JSONValue = ["watoken": .text(application.watoken), "pbkbase64": .text(application.pbkbase64)]
            send(["messageType": "registerWA", "data": data], context)
        case .registeringApplication:
            stage = .registered
            swarm.registered(self)
            ready.succeed()
        case .registered:
            sharing.take()?.succeed()
        case .ended: break
        }
    }

    private func acknowledge(_ object: JSONObject, _ context: ChannelHandlerContext) {
        guard let messageID = object["messageId"]?.text, let number = object["id"]?.integer else {
            return end("a notification came without messageId or with another id than was sent", context)
        }
        write(.text, ByteBuffer(string: #"{"messageType":"ack","messageId":"\#(messageID)"}"#), context)
        swarm.delivered(Int(number))
    }

    private func send(_ command: JSONValue, _ context: ChannelHandlerContext) {
        write(.text, ByteBuffer(bytes: command.bytes), context)
    }

    private func write(_ opcode: WebSocketOpcode, _ data: ByteBuffer, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: true, opcode: opcode, maskKey: .random(), data: data)), promise: nil)
    }

    private func end(_ reason: String, _ context: ChannelHandlerContext) {
        ended(reason)
        context.close(promise: nil)
    }

    /// Counted once, and only if the swarm did not close the connection itself.
    private func ended(_ reason: String) {
        if case .ended = stage { return }
        if case .registered = stage { swarm.lost(reason) } else { ready.fail(LabError(reason)) }
        sharing.take()?.fail(LabError(reason))
        stage = .ended
    }

    func channelInactive(context: ChannelHandlerContext) {
        ended("a device's connection broke")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end("a device's connection failed: \(error)", context)
    }
}
