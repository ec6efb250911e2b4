import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// Opens a listening socket whose connections speak HTTP.
enum HTTPFront {
    /// A connection keeps its receive buffer while it is idle, so a device's begins small: a handshake takes most of this, a command less.
    /// It grows with what comes.
    private static let receiveBuffer = AdaptiveRecvByteBufferAllocator(minimum: 64, initial: 512, maximum: 65_536)

    /// Binds to `port` of the configured address; 0: any.
    static func bind(
        port: Int, routes: any HTTPRoutes, context: WorkerContext, eventLoops: MultiThreadedEventLoopGroup
    ) async throws -> any Channel {
        let configuration = context.configuration
        do {
            return try await ServerBootstrap(group: eventLoops)
                .serverChannelOption(.backlog, value: 4096)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                .childChannelOption(.recvAllocator, value: receiveBuffer)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try configure(channel, routes: routes, context: context) }
                }
                .bind(host: configuration.listenAddress, port: port).get()
        } catch let error as IOError {
            throw WorkerError(
                "cannot listen on \(configuration.listenAddress) port \(port): \(error.description); "
                    + "choose a free port, and an address of this machine",
                isPermission: [EACCES, EPERM].contains(error.errnoCode))
        }
    }

    private static func configure(_ channel: any Channel, routes: any HTTPRoutes, context: WorkerContext) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = 8 * 1024
        limits.maxHeaderListSize = 16 * 1024
        limits.maxHeaderFieldCount = 100
        let encoder = HTTPResponseEncoder()
        let decoder = ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: limits))
        let pipelining = HTTPServerPipelineHandler()
        let idle = IdleStateHandler(allTimeout: context.configuration.idleConnection)
        // The decoder leaves last: what it has read past the handshake then goes to the WebSocket.
        let codec: [any RemovableChannelHandler] = [encoder, idle, pipelining, decoder]
        let front = HTTPFrontHandler(context: context, routes: routes, codec: codec)
        try channel.pipeline.syncOperations.addHandlers([encoder, decoder, pipelining, idle, front])
    }
}
