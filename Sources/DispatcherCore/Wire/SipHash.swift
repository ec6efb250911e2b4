/// SipHash-1-3 and SipHash-2-4 over a few 64-bit words (Aumasson, Bernstein 2012): the keyed hash of everything that a peer chooses.
public struct SipKey: Sendable {
    public var k0: UInt64
    public var k1: UInt64

    public init(_ k0: UInt64, _ k1: UInt64) {
        self.k0 = k0
        self.k1 = k1
    }

    /// For hash tables: 1 round a word, 3 at the end.
    @inline(__always) public func hash13(_ a: UInt64, _ b: UInt64, _ c: UInt64) -> UInt64 {
        var state = SipState(self)
        state.absorb(a, rounds: 1)
        state.absorb(b, rounds: 1)
        state.absorb(c, rounds: 1)
        state.absorb(24 << 56, rounds: 1)
        return state.finish(rounds: 3)
    }

    /// The same over bytes.
    func hash13(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var state = SipState(self)
        var offset = 0
        while offset + 8 <= bytes.count {
            state.absorb(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)), rounds: 1)
            offset += 8
        }
        var last = UInt64(bytes.count) << 56
        for index in offset..<bytes.count { last |= UInt64(bytes[index]) << UInt64(8 * (index - offset)) }
        state.absorb(last, rounds: 1)
        return state.finish(rounds: 3)
    }

    /// For cookies and initial sequence numbers: 2 rounds a word, 4 at the end.
    public func hash24(_ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64, _ e: UInt64, _ f: UInt64) -> UInt64 {
        var state = SipState(self)
        state.absorb(a, rounds: 2)
        state.absorb(b, rounds: 2)
        state.absorb(c, rounds: 2)
        state.absorb(d, rounds: 2)
        state.absorb(e, rounds: 2)
        state.absorb(f, rounds: 2)
        state.absorb(48 << 56, rounds: 2)
        return state.finish(rounds: 4)
    }
}

struct SipState {
    var v0, v1, v2, v3: UInt64

    @inline(__always) init(_ key: SipKey) {
        v0 = key.k0 ^ 0x736f_6d65_7073_6575
        v1 = key.k1 ^ 0x646f_7261_6e64_6f6d
        v2 = key.k0 ^ 0x6c79_6765_6e65_7261
        v3 = key.k1 ^ 0x7465_6462_7974_6573
    }

    @inline(__always) private mutating func round() {
        v0 &+= v1
        v1 = v1 << 13 | v1 >> 51
        v1 ^= v0
        v0 = v0 << 32 | v0 >> 32
        v2 &+= v3
        v3 = v3 << 16 | v3 >> 48
        v3 ^= v2
        v0 &+= v3
        v3 = v3 << 21 | v3 >> 43
        v3 ^= v0
        v2 &+= v1
        v1 = v1 << 17 | v1 >> 47
        v1 ^= v2
        v2 = v2 << 32 | v2 >> 32
    }

    @inline(__always) mutating func absorb(_ word: UInt64, rounds: Int) {
        v3 ^= word
        for _ in 0..<rounds { round() }
        v0 ^= word
    }

    @inline(__always) mutating func finish(rounds: Int) -> UInt64 {
        v2 ^= 0xFF
        for _ in 0..<rounds { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }
}

/// The engine's only source of randomness: SplitMix64 from the one seed that it is given.
public struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
