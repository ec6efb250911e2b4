import NIOCore
import NIOSSL
import NIOTLS
import Synchronization

/// Whom a client takes for the server behind an `https` or `wss` URL.
public enum ServerTrust: Hashable, Sendable {
    /// Whoever shows a certificate for the URL's host by an authority that this machine trusts.
    case system
    /// The same by an authority in this file (PEM).
    case authority(String)
    /// Anybody: a test's server, never another.
    case anyone

    private static let contexts = Mutex<[ServerTrust: NIOSSLContext]>([:])

    /// What connections are made with; made once, because the authorities of a machine are many.
    private func context() throws(LabError) -> NIOSSLContext {
        if let made = Self.contexts.withLock({ $0[self] }) { return made }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        configuration.shutdownTimeout = .seconds(1)
        switch self {
        case .system: break
        case .authority(let path):
            let found = (try? NIOSSLCertificate.fromPEMFile(path)) ?? []
            guard !found.isEmpty else {
                throw LabError("cannot read a certificate (PEM) in \(path); give the file of the authority that signed the server's")
            }
            configuration.trustRoots = .certificates(found)
        case .anyone: configuration.certificateVerification = .none
        }
        do {
            let made = try NIOSSLContext(configuration: configuration)
            Self.contexts.withLock { $0[self] = made }
            return made
        } catch {
            throw LabError("cannot set up TLS: \(error)")
        }
    }

    /// What makes the connections to `url`; nil: no TLS. It must be asked for before connecting, because it reads files.
    func connector(to url: ServerURL) throws(LabError) -> TLSConnector? {
        url.isSecure ? TLSConnector(context: try context(), host: url.host) : nil
    }
}

/// Puts TLS below whatever a client's channel speaks.
struct TLSConnector: Sendable {
    fileprivate let context: NIOSSLContext
    fileprivate let host: String

    /// Adds the handlers of TLS, to be the first of the channel; the future succeeds when the handshake is done.
    func secure(_ channel: any Channel) throws -> EventLoopFuture<Void> {
        // A literal address is checked against the certificate, but not sent as a name (RFC 6066, section 3).
        let isAddress = (try? SocketAddress(ipAddress: host, port: 0)) != nil
        let done = channel.eventLoop.makePromise(of: Void.self)
        try channel.pipeline.syncOperations.addHandlers([
            NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : host), HandshakeWatcher(done: done),
        ])
        return done.futureResult
    }

    /// A failed handshake in words for a person.
    static func failure(_ error: any Error, url: ServerURL) -> LabError {
        let text = "\(error)"
        let reasons: [(String, String)] = [
            ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted; give its authority with --ca FILE"),
            ("unableToValidateCertificate", "its certificate is not for \(url.host); use the name that stands in it"),
            ("failedToValidateHostname", "its certificate is not for \(url.host); use the name that stands in it"),
            ("WRONG_VERSION_NUMBER", "what listens there does not speak TLS; use http:// or ws://, or the port with TLS"),
            ("EOF during handshake", "the server closed the connection during the handshake"),
        ]
        let reason = reasons.first { text.contains($0.0) }?.1 ?? text
        return LabError("no TLS with \(url.host) port \(url.port): \(reason)")
    }
}

/// Tells how the handshake ended, and keeps TLS's errors from what is above.
private final class HandshakeWatcher: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let done: EventLoopPromise<Void>

    init(done: EventLoopPromise<Void>) {
        self.done = done
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { done.succeed(()) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        done.fail(error)
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        done.fail(ChannelError.eof)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        done.fail(ChannelError.eof)
    }
}
