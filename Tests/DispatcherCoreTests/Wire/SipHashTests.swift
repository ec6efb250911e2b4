import Testing

@testable import DispatcherCore

@Suite("Wire: keyed hash")
struct SipHashTests {
    /// Any message by the published algorithm, over the rounds of the code under test.
    private func hash(_ message: [UInt8], _ key: SipKey, c: Int, d: Int) -> UInt64 {
        var state = SipState(key)
        var at = 0
        while message.count - at >= 8 {
            state.absorb((0..<8).reduce(0) { $0 | UInt64(message[at + $1]) << UInt64(8 * $1) }, rounds: c)
            at += 8
        }
        var last = UInt64(message.count & 255) << 56
        for index in at..<message.count { last |= UInt64(message[index]) << UInt64(8 * (index - at)) }
        state.absorb(last, rounds: c)
        return state.finish(rounds: d)
    }

    private let key = SipKey(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908)
    private func word(_ index: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(8 * index + $1) << UInt64(8 * $1) } }

    @Test("the paper's vector: SipHash-2-4 of 0...14")
    func paper() { #expect(hash((0..<15).map { UInt8($0) }, key, c: 2, d: 4) == 0xA129_CA61_49BE_45E5) }

    @Test("vectors of the reference implementation: lengths 0, 1, 8, 63")
    func vectors() {
        for (length, wanted): (Int, UInt64) in [
            (0, 0x726F_DB47_DD0E_0E31), (1, 0x74F8_39C5_93DC_67FD), (8, 0x93F5_F579_9A93_2462), (63, 0x958A_324C_EB06_4572),
        ] {
            #expect(hash((0..<length).map { UInt8($0) }, key, c: 2, d: 4) == wanted, "length \(length)")
        }
    }

    @Test("the word interfaces hash the same bytes")
    func words() {
        let six = key.hash24(word(0), word(1), word(2), word(3), word(4), word(5))
        #expect(six == hash((0..<48).map { UInt8($0) }, key, c: 2, d: 4))
        #expect(key.hash13(word(0), word(1), word(2)) == hash((0..<24).map { UInt8($0) }, key, c: 1, d: 3))
        #expect(key.hash13(1, 2, 3) != SipKey(key.k0, key.k1 ^ 1).hash13(1, 2, 3))
    }

    @Test("SplitMix64: the published sequence of seed 1234567")
    func random() {
        var random = SeededRandom(seed: 1_234_567)
        #expect(
            [random.next(), random.next(), random.next()] == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
            ])
    }
}
