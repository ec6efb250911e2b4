import COpenSSL
import Synchronization

/// Why a text is no public key that we take.
public enum PublicKeyRefusal: Error, Hashable, Sendable {
    /// Not base64 of a PEM text or of a DER SubjectPublicKeyInfo.
    case notAKey
    /// Another algorithm than RSA (RFC 8017), or an exponent that is even, 1, or longer than 64 bits.
    case notRSA
    /// A modulus outside of the permitted sizes.
    case bits(Int)
}

/// An RSA public key that checks the signatures of application servers (chapter 3, "requestURL": `pbk`).
public final class RSAPublicKey: Sendable {
    /// The sizes of modulus that are taken by default, in bits.
    public static let permittedBits = 2048...8192

    // Set once and only read from then on; libcrypto lets several threads verify with one key.
    nonisolated(unsafe) private let key: OpaquePointer
    /// To verify with, set up at the first use; setting it up costs an eighth of what verifying does.
    private let context = Mutex(VerifyingContext())
    /// The size of the modulus in bits.
    public let bits: Int
    /// The size of a signature in bytes.
    public let signatureLength: Int

    /// The key in `pbkbase64`: base64 of a PEM text (`BEGIN PUBLIC KEY`) or of a DER SubjectPublicKeyInfo (RFC 5280, section 4.1).
    /// PKCS#1 keys (`BEGIN RSA PUBLIC KEY`) are refused.
    public convenience init(pbkbase64: String, permittedBits: ClosedRange<Int> = RSAPublicKey.permittedBits) throws(PublicKeyRefusal) {
        guard let decoded = Base64.decode(pbkbase64), !decoded.isEmpty else { throw .notAKey }
        if let text = String(validating: decoded, as: UTF8.self), let der = PEM.decode(text, label: "PUBLIC KEY") {
            try self.init(der: der, permittedBits: permittedBits)
        } else {
            try self.init(der: decoded, permittedBits: permittedBits)
        }
    }

    /// The key in a DER SubjectPublicKeyInfo that fills `der`.
    public init(der: [UInt8], permittedBits: ClosedRange<Int> = RSAPublicKey.permittedBits) throws(PublicKeyRefusal) {
        let parsed = der.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var cursor = buffer.baseAddress
            let key = d2i_PUBKEY(nil, &cursor, buffer.count)
            guard let key, cursor == buffer.baseAddress.map({ $0 + buffer.count }) else {
                EVP_PKEY_free(key)
                return nil
            }
            return key
        }
        guard let parsed else {
            ERR_clear_error()
            throw .notAKey
        }
        let bits = Int(EVP_PKEY_get_bits(parsed))
        var refusal: PublicKeyRefusal?
        if EVP_PKEY_get_base_id(parsed) != EVP_PKEY_RSA || !Self.hasUsableExponent(parsed) {
            refusal = .notRSA
        } else if !permittedBits.contains(bits) {
            refusal = .bits(bits)
        }
        key = parsed
        self.bits = bits
        signatureLength = Int(EVP_PKEY_get_size(parsed))
        if let refusal { throw refusal }
    }

    deinit {
        EVP_PKEY_free(key)
    }

    /// A huge exponent would make each verification slow; 1 and even ones are no RSA.
    private static func hasUsableExponent(_ key: OpaquePointer) -> Bool {
        var exponent: OpaquePointer?
        guard EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1 else { return false }
        defer { BN_free(exponent) }
        return BN_is_odd(exponent) == 1 && BN_is_one(exponent) == 0 && BN_num_bits(exponent) <= 64
    }

    /// Whether `signature` is the RSASSA-PKCS1-v1_5 signature with SHA-256 of `message` (RFC 8017, section 8.2).
    public func verifies(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        guard signature.count == signatureLength else { return false }
        let digest = Digest.sha256(message)
        // Who finds it at work takes one of its own: two threads may verify with one key, but not with one context.
        let verified =
            context.withLockIfAvailable { $0.verifies(signature, digest, key) }
            ?? VerifyingContext.once { $0.verifies(signature, digest, key) }
        if !verified { ERR_clear_error() }
        return verified
    }

    /// The signature that `text` stands for, hexadecimal in either case or base64; nil when it has not the key's size.
    public func signature(in text: String) -> [UInt8]? {
        if text.utf8.count == 2 * signatureLength, let bytes = Hex.decode(text) { return bytes }
        guard let bytes = Base64.decode(text), bytes.count == signatureLength else { return nil }
        return bytes
    }

    /// Whether `text`, hexadecimal in either case or base64, is the signature of `message`'s UTF-8 bytes.
    public func verifies(signatureText text: String, of message: String) -> Bool {
        signature(in: text).map { verifies($0, of: Array(message.utf8)) } ?? false
    }
}

/// What libcrypto verifies signatures of digests with, many times.
private struct VerifyingContext: ~Copyable, @unchecked Sendable {
    private var context: OpaquePointer?

    init() {}

    deinit { EVP_PKEY_CTX_free(context) }

    static func once(_ body: (inout VerifyingContext) -> Bool) -> Bool {
        var context = VerifyingContext()
        return body(&context)
    }

    mutating func verifies(_ signature: [UInt8], _ digest: [UInt8], _ key: OpaquePointer) -> Bool {
        if context == nil { context = Self.made(for: key) }
        return EVP_PKEY_verify(context, signature, signature.count, digest, digest.count) == 1
    }

    private static func made(for key: OpaquePointer) -> OpaquePointer? {
        let made = EVP_PKEY_CTX_new(key, nil)
        if EVP_PKEY_verify_init(made) == 1, EVP_PKEY_CTX_set_rsa_padding(made, RSA_PKCS1_PADDING) == 1,
            EVP_PKEY_CTX_set_signature_md(made, EVP_sha256()) == 1
        {
            return made
        }
        EVP_PKEY_CTX_free(made)
        preconditionFailure("libcrypto does not verify RSA signatures: it is built without them, or its configuration forbids it")
    }
}
