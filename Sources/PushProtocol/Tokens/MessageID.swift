/// What names a message towards devices (`messageId`): opaque to them, unique over all stores.
///
/// It is the store's random identity (8 hexadecimal digits) followed by the message's sequence number in it (16).
public struct MessageID: Hashable, Sendable {
    /// Which store: chosen at random when it was made, so that a device never mistakes a message of a new store for one of an old one.
    public let store: UInt32
    /// Which message: the order in which the store accepted.
    public let sequence: Int64

    private static let length = 24

    /// The identifier of message `sequence` in `store`.
    public init(store: UInt32, sequence: Int64) {
        self.store = store
        self.sequence = sequence
    }

    /// The identifier in `text`; nil when it cannot be one of ours.
    public init?(_ text: String) {
        guard text.utf8.count == Self.length, let bytes = Hex.decode(text) else { return nil }
        store = bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
        sequence = Int64(bitPattern: bytes.dropFirst(4).reduce(0) { $0 << 8 | UInt64($1) })
    }
}

extension MessageID: CustomStringConvertible {
    public var description: String {
        String(unsafeUninitializedCapacity: Self.length) { text in
            write { text[$0] = $1 }
            return Self.length
        }
    }

    /// Appends the text of the identifier.
    func write(to bytes: inout [UInt8]) {
        write { bytes.append($1) }
    }

    private func write(_ put: (Int, UInt8) -> Void) {
        for place in 0..<8 { put(place, Hex.digit(UInt8(truncatingIfNeeded: store >> UInt32(28 - 4 * place)) & 0xf)) }
        let number = UInt64(bitPattern: sequence)
        for place in 0..<16 { put(8 + place, Hex.digit(UInt8(truncatingIfNeeded: number >> UInt64(60 - 4 * place)) & 0xf)) }
    }
}
