import NIOCore
import NIOHTTP1

/// One connection of a client: asks, waits for the answer, asks again. Lives on the event loop of its `RequestLoad`.
final class RequestConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let load: RequestLoad
    private let head: HTTPRequestHead
    private var context: ChannelHandlerContext?
    /// The request that waits for its answer.
    private var number: Int?
    private var status = 0
    private var keepsConnection = true

    init(load: RequestLoad, url: ServerURL) {
        self.load = load
        head = HTTPRequestHead(version: .http1_1, method: .GET, uri: url.path, headers: HTTPHeaders([("Host", url.authority)]))
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        load.free(self)
    }

    /// Asks. Only while no other request waits for its answer.
    func ask(_ number: Int) {
        precondition(self.number == nil, "a connection carries one request at a time")
        guard let context else { return load.answered(number, status: 0) }
        self.number = number
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            status = Int(head.status.code)
            keepsConnection = head.isKeepAlive
        case .body: break
        case .end:
            if let number = number.take() { load.answered(number, status: status) }
            if keepsConnection { load.free(self) } else { context.close(promise: nil) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        load.ended(self, asServerSaid: !keepsConnection)
        if let number = number.take() { load.answered(number, status: 0) }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
