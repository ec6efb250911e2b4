/// Where TLS is served, and with what.
public struct TLSFiles: Hashable, Sendable {
    /// The port on the configured address; 0: any.
    public var port: Int
    /// The file with the certificate, in PEM, followed by those between it and the root.
    public var certificate: String
    /// The file with its private key, in PEM, without a password.
    public var key: String

    /// TLS on `port`.
    public init(port: Int, certificate: String, key: String) {
        self.port = port
        self.certificate = certificate
        self.key = key
    }
}
