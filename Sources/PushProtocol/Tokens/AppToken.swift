/// What names an application and user towards application servers (chapter 3, "AppToken"): the last part of a public URL.
public struct AppToken: Hashable, Sendable {
    /// How many bytes it has.
    public static let length = 32

    /// The 32 bytes.
    public let bytes: [UInt8]

    /// SHA-256 of the WAToken's UTF-8 bytes followed by the key's text as it was sent.
    public init(watoken: String, pbkbase64: String) {
        bytes = Digest.sha256(Array(watoken.utf8) + Array(pbkbase64.utf8))
    }

    /// The token with these 32 bytes; nil for another count.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.length else { return nil }
        self.bytes = bytes
    }

    /// The token in `text`: 64 lower-case hexadecimal digits; nil for anything else.
    public init?(_ text: String) { self.init(Substring(text)) }

    /// The token in `text`: 64 lower-case hexadecimal digits; nil for anything else.
    public init?(_ text: Substring) {
        guard text.utf8.count == Self.length * 2, !text.utf8.contains(where: { (UInt8(ascii: "A")...UInt8(ascii: "F")).contains($0) }),
            let bytes = Hex.decode(text)
        else { return nil }
        self.bytes = bytes
    }

    /// Of a digest the first bytes tell as much as all.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
    }
}

extension AppToken: CustomStringConvertible {
    /// 64 lower-case hexadecimal digits.
    public var description: String {
        Hex.encode(bytes)
    }
}
