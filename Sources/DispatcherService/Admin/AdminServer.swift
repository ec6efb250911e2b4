import DispatcherCore
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import NIOPosix
import PacketIO

/// The admin listener on an event loop of its own. Its connections are few and trusted: it listens on a loopback address by default.
final class AdminServer {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel

    /// - Throws: `ServiceError` when the bound socket cannot be served.
    init(listener: consuming AdminListener, answers: AdminAnswers, mailboxes: Mailboxes, reloader: Reloader) throws(ServiceError) {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 16)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline(withErrorHandling: true)
                    try channel.pipeline.syncOperations.addHandler(AdminHandler(answers: answers, mailboxes: mailboxes, reloader: reloader))
                }
            }
        do {
            channel = try bootstrap.withBoundSocket(listener.take()).wait()
        } catch {
            try? group.syncShutdownGracefully()
            throw ServiceError(.failed, "admin.listen: cannot serve it: \(error)")
        }
    }

    /// Where it listens.
    var port: Int? { channel.localAddress?.port }

    func stop() {
        try? channel.close().wait()
        try? group.syncShutdownGracefully()
    }
}

/// One admin connection: reads a request, asks the packet threads if need be, answers.
private final class AdminHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// More than any request of ours needs, bytes.
    private static let largestBody = 4_096
    /// How long the packet threads may take for a turn.
    private static let patience = TimeAmount.seconds(2)
    /// How long a reload may take.
    private static let reloadPatience = TimeAmount.seconds(8)

    private let answers: AdminAnswers
    private let mailboxes: Mailboxes
    private let reloader: Reloader
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(answers: AdminAnswers, mailboxes: Mailboxes, reloader: Reloader) {
        self.answers = answers
        self.mailboxes = mailboxes
        self.reloader = reloader
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
        case .body(let bytes):
            if body.count <= Self.largestBody { body += bytes.readableBytesView }
        case .end:
            guard let head = head.take() else { return }
            respond(to: head, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func respond(to head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard body.count <= Self.largestBody else {
            return write(.error(413, "the body is longer than \(Self.largestBody) bytes"), to: head, context)
        }
        let request = AdminRequest(method: head.method.rawValue, target: head.uri, body: body, configuration: answers.configuration())
        switch answers.plan(request) {
        case .immediate(let response): write(response, to: head, context)
        case .figures(let commands, let render):
            for command in commands { mailboxes.post(command) }
            let once = answer(head, context, within: Self.patience, render)
            mailboxes.report { once.succeed($0) }
        case .reload(let render):
            let once = answer(head, context, within: Self.reloadPatience, render)
            reloader.ask { once.succeed($0) }
        }
    }

    /// Answers with what another thread says, if it says it in time.
    private func answer<Value: Sendable>(
        _ head: HTTPRequestHead, _ context: ChannelHandlerContext, within time: TimeAmount,
        _ render: @escaping @Sendable (Value) -> AdminResponse
    ) -> Once<Value> {
        let promise = context.eventLoop.makePromise(of: Value.self)
        let once = Once(promise)
        let timeout = context.eventLoop.scheduleTask(in: time) { once.fail() }
        promise.futureResult.assumeIsolated().whenComplete { result in
            timeout.cancel()
            self.write((try? result.get()).map(render) ?? AdminAnswers.unavailable, to: head, context)
        }
        return once
    }

    private func write(_ response: AdminResponse, to request: HTTPRequestHead, _ context: ChannelHandlerContext) {
        var headers = HTTPHeaders()
        headers.add(name: "Content-Type", value: response.contentType)
        headers.add(name: "Content-Length", value: String(response.body.count))
        headers.add(name: "Cache-Control", value: "no-store")
        if let allow = response.allow { headers.add(name: "Allow", value: allow) }
        if !request.isKeepAlive { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(version: request.version, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if request.method != .HEAD {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: response.body)))), promise: nil)
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        if !request.isKeepAlive { written.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) } }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
    }
}

/// A promise that another thread keeps or a timeout breaks, whichever is first.
private struct Once<Value: Sendable>: Sendable {
    private let promise: EventLoopPromise<Value>
    private let isDone = NIOLockedValueBox(false)

    init(_ promise: EventLoopPromise<Value>) { self.promise = promise }

    private func first() -> Bool {
        isDone.withLockedValue { done in
            defer { done = true }
            return !done
        }
    }

    func succeed(_ value: Value) {
        if first() { promise.succeed(value) }
    }

    func fail() {
        if first() { promise.fail(TooLate()) }
    }
}

private struct TooLate: Error {}
