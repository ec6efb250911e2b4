/// What names a message towards devices (`messageId`): opaque to them, unique over all stores.
///
/// It is the store's random identity (8 hexadecimal digits) followed by the message's sequence number in it (16).
public struct MessageID: Hashable, Sendable {
    /// Which store: chosen at random when it was made, so that a device never mistakes a message of a new store for one of an old one.
    public let store: UInt32
    /// Which message: the order in which the store accepted.
    public let sequence: Int64

    /// The identifier of message `sequence` in `store`.
    public init(store: UInt32, sequence: Int64) {
        self.store = store
        self.sequence = sequence
    }

    /// The identifier in `text`; nil when it cannot be one of ours.
    public init?(_ text: String) {
        guard text.utf8.count == 24, let bytes = Hex.decode(text) else { return nil }
        store = bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
        sequence = Int64(bitPattern: bytes.dropFirst(4).reduce(0) { $0 << 8 | UInt64($1) })
    }
}

extension MessageID: CustomStringConvertible {
    public var description: String {
        Hex.encode(withUnsafeBytes(of: store.bigEndian) { Array($0) } + withUnsafeBytes(of: sequence.bigEndian) { Array($0) })
    }
}
