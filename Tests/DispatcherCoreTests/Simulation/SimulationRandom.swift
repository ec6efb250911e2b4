import Glibc

/// The simulator's own generator (xoshiro256**), so that no draw depends on the code under test. Everything random in a run comes from
/// one of these, forked by name from the one seed.
struct SimulationRandom: RandomNumberGenerator {
    private var s0: UInt64
    private var s1: UInt64
    private var s2: UInt64
    private var s3: UInt64
    private let origin: UInt64

    init(seed: UInt64) {
        origin = seed
        var x = seed ^ 0x6A09_E667_F3BC_C909
        func scramble() -> UInt64 {
            x = (x ^ (x >> 31)) &* 0x7FB5_D329_728E_A185 &+ 0x9E37_79B9_7F4A_7C15
            let y = (x ^ (x >> 27)) &* 0x81DA_DEF4_BC2D_D44D
            return y ^ (y >> 33)
        }
        s0 = scramble()
        s1 = scramble()
        s2 = scramble()
        s3 = scramble() | 1
    }

    mutating func next() -> UInt64 {
        let product = s1 &* 5
        let result = (product << 7 | product >> 57) &* 9
        let t = s1 << 17
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= t
        s3 = s3 << 45 | s3 >> 19
        return result
    }

    /// An independent stream that depends on the seed and the name only, not on what was drawn before.
    func fork(_ name: String) -> SimulationRandom {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return SimulationRandom(seed: origin &* 0x2545_F491_4F6C_DD1D ^ hash)
    }

    mutating func chance(_ probability: Double) -> Bool {
        probability > 0 && Double(next() >> 11) * 0x1p-53 < probability
    }

    /// 0..<limit.
    mutating func below(_ limit: Int) -> Int {
        precondition(limit > 0)
        return Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(limit)).high)
    }

    mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next() >> 32) } }
}

/// Seeds from the environment: `SLUICE_SEED` replays one, `SLUICE_SEEDS` says how many a randomised test tries.
enum SimulationSeed {
    static func number(_ name: String) -> UInt64? {
        guard let text = getenv(name).map({ String(cString: $0) }) else { return nil }
        return text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }

    /// The seed of a scenario.
    static var one: UInt64 { number("SLUICE_SEED") ?? 0x51_1CE }

    /// The seeds of a randomised test; `SLUICE_FROM` says where they begin.
    static func many(_ count: Int, from first: UInt64 = 1) -> [UInt64] {
        if let seed = number("SLUICE_SEED") { return [seed] }
        let first = number("SLUICE_FROM") ?? first
        let wanted = number("SLUICE_SEEDS").map(Int.init) ?? count
        return (0..<wanted).map { first &+ UInt64($0) }
    }
}
