import NIOCore
import NIOHTTP1

/// One connection of an application server: posts a message, waits for the answer, posts the next. Lives on the swarm's event loop.
final class SwarmPoster: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let swarm: Swarm
    private let authority: String
    private var context: ChannelHandlerContext?
    /// The message that waits for its answer.
    private var number: Int?
    private var status = 0
    private var keepsConnection = true
    private var isHangingUp = false

    init(swarm: Swarm, authority: String) {
        self.swarm = swarm
        self.authority = authority
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        swarm.add(self)
        swarm.free(self)
    }

    /// Ends the connection, which is not lost by that.
    func hangUp() {
        isHangingUp = true
        context?.close(promise: nil)
    }

    /// Posts message `number` to `path`. Only while no other waits for its answer.
    func post(_ number: Int, path: String, body: ByteBuffer) {
        precondition(self.number == nil, "a connection carries one message at a time")
        guard let context else { return swarm.answered(number, status: 0) }
        self.number = number
        let headers = HTTPHeaders([
            ("Host", authority), ("Content-Type", "application/json"), ("Content-Length", "\(body.readableBytes)"),
        ])
        context.write(wrapOutboundOut(.head(HTTPRequestHead(version: .http1_1, method: .POST, uri: path, headers: headers))), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            status = Int(head.status.code)
            keepsConnection = head.isKeepAlive
        case .body: break
        case .end:
            if let number = number.take() { swarm.answered(number, status: status) }
            // One that ends is not used again; its end is noticed by and by.
            if keepsConnection { swarm.free(self) }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        swarm.remove(self)
        if !isHangingUp { swarm.lost("an application server's connection broke") }
        if let number = number.take() { swarm.answered(number, status: 0) }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
