import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// A listening socket whose connections speak HTTP, in TLS or not.
struct HTTPFront {
    let front: WorkerFront
    /// A literal address.
    let address: String
    /// 0: any.
    let port: Int
    let routes: any HTTPRoutes
    let context: WorkerContext

    /// A connection keeps its receive buffer while it is idle, so a device's begins small: a handshake takes most of this, a command less.
    /// It grows with what comes.
    private static let receiveBuffer = AdaptiveRecvByteBufferAllocator(minimum: 64, initial: 512, maximum: 65_536)

    /// Opens the socket.
    ///
    /// - Throws: `WorkerError` with the address and what to do.
    func bind(on eventLoops: MultiThreadedEventLoopGroup) async throws -> any Channel {
        do {
            let (front, context) = (front, context)
            return try await ServerBootstrap(group: eventLoops)
                .serverChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(AcceptGate(front: front, context: context))
                    }
                }
                .serverChannelOption(.backlog, value: 4096)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                // A request that is followed by the end of what the peer sends is answered.
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelOption(.recvAllocator, value: Self.receiveBuffer)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture { try configure(channel) }
                }
                .bind(host: address, port: port).get()
        } catch let error as IOError {
            throw WorkerError(
                "cannot listen on \(address) port \(port): \(error.description); choose a free port, and an address of this machine",
                isPermission: [EACCES, EPERM].contains(error.errnoCode))
        }
    }

    private func configure(_ channel: any Channel) throws {
        if let tls = context.tls, front == .tls {
            try channel.pipeline.syncOperations.addHandlers([
                NIOSSLServerHandler(context: tls.context), RecordJoiner(),
                TLSHandshakeHandler(
                    counters: context.counters, logger: context.logger, time: context.configuration.tlsHandshake),
            ])
        }
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = 8 * 1024
        limits.maxHeaderListSize = 16 * 1024
        limits.maxHeaderFieldCount = 100
        let decoder = ByteToMessageHandler(HTTPRequestReader(limits: limits))
        let idle = IdleStateHandler(allTimeout: context.configuration.idleConnection)
        // The decoder leaves last: what it has read past the handshake then goes to the WebSocket.
        let codec: [any RemovableChannelHandler] = [idle, decoder]
        // Nobody writes X-Forwarded-For into what is encrypted from the client to here.
        let trusted = front == .tls ? [] : context.configuration.trustedProxies
        let handler = HTTPFrontHandler(context: context, routes: routes, trustedProxies: trusted, codec: codec)
        try channel.pipeline.syncOperations.addHandlers([decoder, idle, handler])
    }
}
