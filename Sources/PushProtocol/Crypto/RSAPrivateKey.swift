import COpenSSL

/// A private key cannot be made, read or used.
public struct PrivateKeyError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What went wrong, for a person.
    public let description: String
}

/// The private key of an application server: it signs messages; its public half is what applications register.
public final class RSAPrivateKey: Sendable {
    // Set once and only read from then on; libcrypto lets several threads sign with one key.
    nonisolated(unsafe) private let key: OpaquePointer

    /// A fresh key of `bits` bits, 1024...8192.
    public static func generate(bits: Int) throws(PrivateKeyError) -> RSAPrivateKey {
        guard (1024...8192).contains(bits) else {
            throw PrivateKeyError(description: "an RSA key has 1024 to 8192 bits here, not \(bits)")
        }
        guard let key = COpenSSL_RSA_gen(UInt32(bits)) else {
            ERR_clear_error()
            throw PrivateKeyError(description: "libcrypto could not make an RSA key of \(bits) bits")
        }
        return RSAPrivateKey(key: key)
    }

    /// The unencrypted private key in a PEM text (`BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`).
    public init(pem: String) throws(PrivateKeyError) {
        // The BIO reads the bytes where they are: they must stay until it is read.
        let parsed = Array(pem.utf8).withUnsafeBytes { bytes in
            let bio = BIO_new_mem_buf(bytes.baseAddress, Int32(bytes.count))
            defer { BIO_free(bio) }
            // A callback that gives no passphrase, else libcrypto would ask for one on the terminal.
            return PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in -1 }, nil)
        }
        guard let parsed, EVP_PKEY_get_base_id(parsed) == EVP_PKEY_RSA else {
            EVP_PKEY_free(parsed)
            ERR_clear_error()
            throw PrivateKeyError(description: "no unencrypted RSA private key in PEM; make one with: sluice keys new")
        }
        key = parsed
    }

    private init(key: OpaquePointer) {
        self.key = key
    }

    deinit {
        EVP_PKEY_free(key)
    }

    /// The key as PKCS#8 in PEM, unencrypted.
    public var pem: String {
        let bio = BIO_new(BIO_s_mem())
        defer { BIO_free(bio) }
        let written = PEM_write_bio_PrivateKey(bio, key, nil, nil, 0, nil, nil)
        precondition(written == 1, "libcrypto cannot write the key that it holds")
        var bytes: UnsafeMutablePointer<CChar>?
        let count = COpenSSL_BIO_get_mem_data(bio, &bytes)
        return String(decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
    }

    /// The public half as a DER SubjectPublicKeyInfo.
    public var publicDER: [UInt8] {
        var bytes: UnsafeMutablePointer<UInt8>?
        let count = i2d_PUBKEY(key, &bytes)
        precondition(count > 0, "libcrypto cannot write the public half of the key that it holds")
        defer { COpenSSL_free(bytes) }
        return Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
    }

    /// The public half in PEM (`BEGIN PUBLIC KEY`).
    public var publicPEM: String {
        PEM.encode(publicDER, label: "PUBLIC KEY")
    }

    /// The public half as `registerWA` carries it: base64 of the DER SubjectPublicKeyInfo.
    public var pbkbase64: String {
        Base64.encode(publicDER)
    }

    /// The RSASSA-PKCS1-v1_5 signature with SHA-256 of `message` (RFC 8017, section 8.2).
    public func sign(_ message: [UInt8]) -> [UInt8] {
        let context = EVP_MD_CTX_new()
        defer { EVP_MD_CTX_free(context) }
        var length = Int(EVP_PKEY_get_size(key))
        var signature = [UInt8](repeating: 0, count: length)
        let signed =
            EVP_DigestSignInit(context, nil, EVP_sha256(), nil, key) == 1
            && EVP_DigestSign(context, &signature, &length, message, message.count) == 1
        precondition(signed, "libcrypto cannot sign with the key that it holds")
        return Array(signature.prefix(length))
    }
}
