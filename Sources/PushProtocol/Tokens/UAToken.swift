/// Why a text is no UAToken of ours.
public enum TokenRefusal: Error, Hashable, Sendable {
    /// Not the canonical base64url of the right length, or of a version that we do not know.
    case malformed
    /// Sealed with a key that we do not have (any more).
    case unknownKey
    /// The tag does not fit: forged or damaged.
    case forged
    /// Issued longer ago than the lifetime, or in the future.
    case expired
}

/// What a UAToken says (chapter 3, "UAToken"): which device, and when the token was issued.
///
/// On the wire it is base64url of version (1 byte), key id (4), nonce (12), ciphertext of device id and issue time (24), tag (16):
/// 76 characters. AES-256-GCM seals it; version and key id are authenticated with it.
public struct UAToken: Hashable, Sendable {
    /// The device that the token names.
    public let device: DeviceID
    /// When it was issued, in milliseconds since 1970 UTC.
    public let issued: Int64

    /// The clock of the workers of one installation may differ by as much, in milliseconds.
    private static let clockTolerance: Int64 = 300_000
    private static let version: UInt8 = 1
    private static let headLength = 5
    private static let bodyLength = DeviceID.length + 8
    private static let length = headLength + AESGCM.nonceLength + bodyLength + AESGCM.tagLength

    /// A token for `device`, issued at `issued`.
    public init(device: DeviceID, issued: Int64) {
        self.device = device
        self.issued = issued
    }

    /// The token as the device gets it, sealed with the first of `keys`.
    public func sealed(with keys: TokenKeys) -> String {
        let key = keys.keys[0]
        let head = [Self.version] + Self.bigEndian(key.id)
        let nonce = Randomness.bytes(AESGCM.nonceLength)
        let (ciphertext, tag) = AESGCM.seal(device.bytes + Self.bigEndian(issued), key: key.secret, nonce: nonce, additional: head)
        return Base64.encodeURL(head + nonce + ciphertext + tag)
    }

    /// The token in `text`, checked without a look-up in any store.
    ///
    /// - Parameters:
    ///   - now: milliseconds since 1970 UTC.
    ///   - lifetime: milliseconds after which a token is refused; nil: never.
    public init(_ text: String, keys: TokenKeys, now: Int64, lifetime: Int64? = nil) throws(TokenRefusal) {
        guard text.utf8.count == (Self.length * 8 + 5) / 6, let bytes = Base64.decodeURL(text), bytes.count == Self.length,
            bytes[0] == Self.version
        else { throw .malformed }
        let head = Array(bytes.prefix(Self.headLength))
        guard let key = keys.key(head.dropFirst().reduce(0) { $0 << 8 | UInt32($1) }) else { throw .unknownKey }
        let nonce = Array(bytes.dropFirst(Self.headLength).prefix(AESGCM.nonceLength))
        let ciphertext = Array(bytes.dropFirst(Self.headLength + AESGCM.nonceLength).prefix(Self.bodyLength))
        let tag = Array(bytes.suffix(AESGCM.tagLength))
        guard let body = AESGCM.open(ciphertext, tag: tag, key: key.secret, nonce: nonce, additional: head),
            let device = DeviceID(bytes: body.prefix(DeviceID.length))
        else { throw .forged }
        let issued = Int64(bitPattern: body.suffix(8).reduce(0) { $0 << 8 | UInt64($1) })
        if let lifetime {
            let age = now.subtractingReportingOverflow(issued)
            guard !age.overflow, age.partialValue >= -Self.clockTolerance, age.partialValue <= lifetime else { throw .expired }
        }
        self.device = device
        self.issued = issued
    }

    private static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}
