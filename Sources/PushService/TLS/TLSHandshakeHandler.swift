import Logging
import NIOCore
import NIOSSL
import NIOTLS

/// Stands behind the TLS handler of a connection: gives the handshake a time, counts how it ends, and keeps TLS's own errors from HTTP.
final class TLSHandshakeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private enum State {
        /// The handshake goes on; then `open` or `over`.
        case handshaking
        /// Requests may come; then `over`.
        case open
        /// The connection closes: nothing is counted any more.
        case over
    }

    private let counters: WorkerCounters
    private let logger: Logger
    private let time: TimeAmount
    private var state = State.handshaking
    private var late: Scheduled<Void>?

    /// - Parameter time: how long a handshake may take.
    init(counters: WorkerCounters, logger: Logger, time: TimeAmount) {
        self.counters = counters
        self.logger = logger
        self.time = time
    }

    func handlerAdded(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        late = context.eventLoop.scheduleTask(in: time) {
            let (handler, context) = bound.value
            handler.fail(.tlsFailedTimeout, context)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        late?.cancel()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshaking = state, case .handshakeCompleted? = event as? TLSUserEvent {
            state = .open
            late?.cancel()
            counters.add(.tlsHandshakes)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch state {
        case .handshaking:
            logger.debug("a TLS handshake failed: \(error)", metadata: ["peer": "\(context.remoteAddress.map { "\($0)" } ?? "gone")"])
            fail(Self.reason(error), context)
        case .open:
            state = .over
            // A client that goes without close_notify cuts nothing off: HTTP and WebSocket say themselves where they end.
            if error as? NIOSSLError != .uncleanShutdown && !(error is NIOSSLCloseTimedOutError) { counters.add(.tlsErrors) }
            context.close(promise: nil)
        case .over: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .handshaking = state { fail(.tlsFailedClosed, context) }
        state = .over
        late?.cancel()
        context.fireChannelInactive()
    }

    private func fail(_ count: WorkerCount, _ context: ChannelHandlerContext) {
        guard case .handshaking = state else { return }
        state = .over
        late?.cancel()
        counters.add(count)
        context.close(promise: nil)
    }

    /// Why a handshake failed, by the reasons that BoringSSL gives.
    static func reason(_ error: any Error) -> WorkerCount {
        if error as? NIOSSLError == .handshakeFailed(.sslError([.eofDuringHandshake])) { return .tlsFailedClosed }
        let text = "\(error)"
        let reasons: [(WorkerCount, [String])] = [
            (.tlsFailedNotTLS, ["HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER"]),
            (.tlsFailedVersion, ["UNSUPPORTED_PROTOCOL", "NO_SUPPORTED_VERSIONS_ENABLED"]),
            (.tlsFailedCipher, ["NO_SHARED_CIPHER", "NO_SHARED_GROUP", "WRONG_CURVE", "NO_COMMON_SIGNATURE_ALGORITHMS"]),
            (.tlsFailedAlert, ["_ALERT_"]),
        ]
        return reasons.first { $1.contains { text.contains($0) } }?.0 ?? .tlsFailedOther
    }
}
