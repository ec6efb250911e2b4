/// SplitMix64: the same seed gives the same run.
public struct FuzzRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    /// A stream that depends on the bytes alone, so that an input always means the same.
    public init(for bytes: [UInt8]) {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        state = hash
    }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// 0..<limit.
    public mutating func below(_ limit: Int) -> Int { Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(limit)).high) }

    /// Cuts bytes into pieces: small ones, large ones, or all at once.
    public mutating func pieces(of bytes: [UInt8]) -> [[UInt8]] {
        let longest = [1, 4, 60, 600, 1_460, max(1, bytes.count)][below(6)]
        var pieces: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            // Very many pieces tell nothing that a hundred do not.
            let least = max(1, bytes.count / 100)
            let end = min(bytes.count, start + least + below(longest))
            pieces.append(Array(bytes[start..<end]))
            start = end
        }
        return pieces
    }
}
