import Foundation
import NIOCore
import NIOSSL
import Synchronization

/// The certificate and key that a worker shows its clients: read from files, and again when the process is told to.
///
/// TLS 1.2 and 1.3 (RFC 8446); the only protocol above it is HTTP/1.1 (RFC 7301).
final class TLSIdentity: Sendable {
    /// How long the end of a connection waits for the client's close_notify.
    private static let shutdownTime = TimeAmount.seconds(2)

    private struct Loaded: Sendable {
        let context: NIOSSLContext
        /// When the certificate ends, in seconds since 1970 UTC.
        let notAfter: Int
    }

    private let files: TLSFiles
    private let loaded: Mutex<Loaded>

    /// The pair in `files`.
    ///
    /// - Throws: `WorkerError` with the file, what is wrong with it, and what to do.
    init(_ files: TLSFiles) throws {
        self.files = files
        loaded = Mutex(try Self.load(files))
    }

    /// What new connections are made with.
    var context: NIOSSLContext { loaded.withLock { $0.context } }

    /// When the certificate ends, in seconds since 1970 UTC.
    var notAfter: Int { loaded.withLock { $0.notAfter } }

    /// Reads the files again, for new connections; when that fails, what was loaded stays.
    ///
    /// - Throws: as `init`.
    func reload() throws {
        let fresh = try Self.load(files)
        loaded.withLock { $0 = fresh }
    }

    private static func load(_ files: TLSFiles) throws -> Loaded {
        let chain = try certificates(files.certificate)
        let key: NIOSSLPrivateKey
        do {
            key = try NIOSSLPrivateKey(bytes: bytes(files.key, what: "key"), format: .pem)
        } catch is NIOSSLError {
            throw WorkerError("the TLS key file \(files.key) holds no private key in PEM that can be read without a password")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        configuration.shutdownTimeout = shutdownTime
        do {
            return Loaded(context: try NIOSSLContext(configuration: configuration), notAfter: Int(chain[0].notValidAfter))
        } catch {
            throw WorkerError(
                "the TLS key in \(files.key) cannot be used with the first certificate in \(files.certificate): \(error); "
                    + "give the key that the certificate was made for")
        }
    }

    private static func certificates(_ path: String) throws -> [NIOSSLCertificate] {
        let bytes = try bytes(path, what: "certificate")
        let found = (try? NIOSSLCertificate.fromPEMBytes(bytes)) ?? []
        guard !found.isEmpty else {
            throw WorkerError("the TLS certificate file \(path) holds no certificate in PEM (BEGIN CERTIFICATE)")
        }
        return found
    }

    private static func bytes(_ path: String, what: String) throws -> [UInt8] {
        do {
            return Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        } catch {
            throw WorkerError(
                "cannot read the TLS \(what) file \(path): \(error.localizedDescription)",
                isPermission: (error as? CocoaError)?.code == .fileReadNoPermission)
        }
    }
}
