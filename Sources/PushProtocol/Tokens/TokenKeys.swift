/// One AES-256 key for UATokens.
public struct TokenKey: Hashable, Sendable {
    /// What tokens name the key by: the first 32 bits of its SHA-256.
    public let id: UInt32
    let secret: [UInt8]

    /// A fresh random key.
    public init() {
        self = TokenKey(secret: Randomness.bytes(AESGCM.keyLength)).unsafelyUnwrapped
    }

    /// The key with these 32 bytes; nil for another count.
    public init?(secret: [UInt8]) {
        guard secret.count == AESGCM.keyLength else { return nil }
        self.secret = secret
        id = Digest.sha256(secret).prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }
}

/// The text of a key file is bad.
public struct TokenKeyFileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong and what to do, for a person.
    public let description: String
}

/// The keys that the workers share. The first seals new tokens; all of them verify, so a rotated-out key serves until it is removed.
public struct TokenKeys: Hashable, Sendable {
    /// The keys, the sealing one first; never empty.
    public let keys: [TokenKey]

    /// A set with one fresh key.
    public init() {
        keys = [TokenKey()]
    }

    /// The keys, the sealing one first; nil when there are none.
    public init?(_ keys: [TokenKey]) {
        guard !keys.isEmpty else { return nil }
        self.keys = keys
    }

    /// The keys in the text of a key file: one key a line in 64 hexadecimal digits, the sealing one first; `#` begins a comment.
    public init(fileText: String) throws(TokenKeyFileError) {
        var keys: [TokenKey] = []
        for (index, line) in fileText.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.prefix { $0 != "#" }.filter { !$0.isWhitespace }
            guard !content.isEmpty else { continue }
            guard let secret = Hex.decode(content), let key = TokenKey(secret: secret) else {
                throw TokenKeyFileError(description: "line \(index + 1) is no key: a key is 64 hexadecimal digits")
            }
            keys.append(key)
        }
        guard let parsed = TokenKeys(keys) else {
            throw TokenKeyFileError(
                description: "it has no key: put one in as 64 hexadecimal digits, or remove the file to get a fresh one")
        }
        self = parsed
    }

    /// The text of a key file with these keys.
    public var fileText: String {
        "# Keys of the UATokens, shared by the workers. The first seals; the others still verify. Keep secret.\n"
            + keys.map { Hex.encode($0.secret) + "\n" }.joined()
    }

    /// The key with `id`.
    func key(_ id: UInt32) -> TokenKey? {
        keys.first { $0.id == id }
    }
}
