public import NIOCore
public import NIOHTTP1
import NIOPosix

/// An HTTP answer.
public struct HTTPClientAnswer: Sendable {
    /// The status code.
    public let status: Int
    public let headers: HTTPHeaders
    public let body: [UInt8]

    /// The body as text.
    public var text: String { String(decoding: body, as: UTF8.self) }
}

/// A connection to an HTTP/1.1 server, used for one request after the other.
public final class HTTPClientConnection: Sendable {
    private let channel: any Channel
    private let answers: NIOLoopBound<Mailbox<HTTPClientAnswer>>
    private let url: ServerURL

    private init(channel: any Channel, answers: NIOLoopBound<Mailbox<HTTPClientAnswer>>, url: ServerURL) {
        self.channel = channel
        self.answers = answers
        self.url = url
    }

    /// Connects to the host of `url`.
    ///
    /// - Parameter trust: whom an `https` URL may lead to.
    public static func connect(to url: ServerURL, trust: ServerTrust = .system) async throws -> HTTPClientConnection {
        let tls = try trust.connector(to: url)
        let connection: HTTPClientConnection
        let secured: EventLoopFuture<Void>?
        do {
            let bootstrap = ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup).connectTimeout(.seconds(10))
            (connection, secured) = try await bootstrap.connect(host: url.host, port: url.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    let secured = try tls?.secure(channel)
                    let mailbox = Mailbox<HTTPClientAnswer>(eventLoop: channel.eventLoop)
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandler(AnswerHandler(mailbox: mailbox))
                    let connection = HTTPClientConnection(
                        channel: channel, answers: NIOLoopBound(mailbox, eventLoop: channel.eventLoop), url: url)
                    return (connection, secured)
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
        return connection
    }

    /// Sends a request and waits for its answer.
    public func request(
        _ method: HTTPMethod, path: String? = nil, headers: HTTPHeaders = [:], body: [UInt8]? = nil, within time: TimeAmount = .seconds(30)
    ) async throws -> HTTPClientAnswer {
        var head = HTTPRequestHead(version: .http1_1, method: method, uri: path ?? url.path, headers: headers)
        head.headers.replaceOrAdd(name: "Host", value: url.authority)
        if let body { head.headers.replaceOrAdd(name: "Content-Length", value: "\(body.count)") }
        let parts = body.map { [HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: $0)))] } ?? []
        for part in [.head(head)] + parts { channel.write(part, promise: nil) }
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
        let answer = try await channel.eventLoop.flatSubmit { self.answers.value.next(within: time) }.get()
        guard let answer else {
            let seconds = time.nanoseconds / 1_000_000_000
            throw LabError("\(url.authority) gave no answer to \(method) \(head.uri): the connection closed, or \(seconds) s passed")
        }
        return answer
    }

    /// Closes the connection.
    public func close() async {
        try? await channel.close()
    }
}

/// Collects answers.
private final class AnswerHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let mailbox: Mailbox<HTTPClientAnswer>
    private var head: HTTPResponseHead?
    private var body: [UInt8] = []

    init(mailbox: Mailbox<HTTPClientAnswer>) {
        self.mailbox = mailbox
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            body = []
        case .body(let part): body.append(contentsOf: part.readableBytesView)
        case .end:
            guard let head else { return }
            mailbox.put(HTTPClientAnswer(status: Int(head.status.code), headers: head.headers, body: body))
            self.head = nil
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        mailbox.finish()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
