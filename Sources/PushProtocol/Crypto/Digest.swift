import COpenSSL

/// Message digests of libcrypto.
public enum Digest {
    // Fetched once: an algorithm that is only named is looked up with each use (OpenSSL 3, crypto(7), "ALGORITHM FETCHING").
    nonisolated(unsafe) private static let fetchedSHA256 = EVP_MD_fetch(nil, "SHA256", nil)

    /// SHA-256 (FIPS 180-4): 32 bytes.
    public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        digest(bytes, fetchedSHA256, count: 32)
    }

    /// SHA-1: 20 bytes. Only the WebSocket handshake asks for it (RFC 6455, section 4.2.2).
    public static func sha1(_ bytes: [UInt8]) -> [UInt8] {
        digest(bytes, EVP_sha1(), count: 20)
    }

    private static func digest(_ bytes: [UInt8], _ algorithm: OpaquePointer?, count: Int) -> [UInt8] {
        var output = [UInt8](repeating: 0, count: count)
        let outcome = EVP_Digest(bytes, bytes.count, &output, nil, algorithm, nil)
        precondition(outcome == 1, "libcrypto has no such digest: it is built without SHA, or its configuration forbids it")
        return output
    }
}

/// Random bytes of libcrypto's generator.
public enum Randomness {
    /// `count` bytes that nobody can guess.
    public static func bytes(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let outcome = RAND_bytes(&bytes, Int32(count))
        precondition(outcome == 1, "libcrypto's random generator is not seeded: the system has no entropy source")
        return bytes
    }
}
