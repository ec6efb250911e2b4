/// The 128 random bits that name a device; they travel inside its UAToken only.
public struct DeviceID: Hashable, Sendable {
    /// How many bytes an identifier has.
    public static let length = 16

    private let high: UInt64
    private let low: UInt64

    /// A fresh random identifier.
    public init() {
        self = DeviceID(bytes: Randomness.bytes(Self.length)).unsafelyUnwrapped
    }

    /// The identifier with these 16 bytes; nil for another count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.length else { return nil }
        // A generic function of another module asks for each byte through a table, unless they lie in one piece.
        (high, low) =
            bytes.withContiguousStorageIfAvailable { Self.words(UnsafeRawBufferPointer($0)) } ?? Array(bytes).withUnsafeBytes(Self.words)
    }

    private static func words(_ bytes: UnsafeRawBufferPointer) -> (UInt64, UInt64) {
        let (high, low) = bytes.loadUnaligned(as: (UInt64, UInt64).self)
        return (UInt64(bigEndian: high), UInt64(bigEndian: low))
    }

    /// The 16 bytes.
    public var bytes: [UInt8] {
        [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) } }
    }
}

extension DeviceID: CustomStringConvertible {
    /// The first 32 bits in hexadecimal: enough for a log, too little to be the identifier.
    public var description: String {
        Hex.encode(Array(bytes.prefix(4)))
    }
}
