/// What tells a message of an application server that comes again: its `id` and its signature.
///
/// The signature counts as the bytes that it stands for, so that writing it in another form makes no new message. The `id` is not signed.
public struct ReplayKey: Hashable, Sendable {
    /// How many bytes it has.
    public static let length = 16

    /// The first 16 bytes of a SHA-256.
    public let bytes: [UInt8]

    /// The key of a message with this `id`, a text or a number, and these bytes of signature.
    public init(id: JSONValue, signature: [UInt8]) {
        let (kind, text): (UInt8, [UInt8]) =
            switch id {
            case .text(let text): (1, Array(text.utf8))
            case .number(let number): (2, Array(number.lexeme.utf8))
            default: preconditionFailure("an id is a text or a number")
            }
        let length = withUnsafeBytes(of: UInt32(text.count).bigEndian) { Array($0) }
        bytes = Array(Digest.sha256([kind] + length + text + signature).prefix(Self.length))
    }
}
