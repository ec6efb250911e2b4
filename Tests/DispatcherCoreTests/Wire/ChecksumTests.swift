import Testing

@testable import DispatcherCore

@Suite("Wire: checksums")
struct ChecksumTests {
    /// RFC 1071 word by word.
    private func naive(_ bytes: [UInt8]) -> UInt16 {
        var sum = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += Int(bytes[index]) << 8 | (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
            if sum > 0xFFFF { sum = (sum & 0xFFFF) + 1 }
        }
        return UInt16(sum)
    }

    private func partial(_ bytes: [UInt8], from offset: Int = 0) -> UInt16 {
        bytes.withUnsafeBytes { Checksum.partial(UnsafeRawBufferPointer(rebasing: $0[offset...])) }
    }

    @Test("the example of RFC 1071 section 3")
    func example() {
        #expect(partial([0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7]) == 0xDDF2)
    }

    @Test("M03 any length at any alignment equals the naive sum")
    func law() {
        var random = SimulationRandom(seed: 1)
        let bytes = random.bytes(600)
        for length in 0..<300 {
            for offset in 0..<8 {
                let part = Array(bytes[offset..<offset + length])
                let shifted = [UInt8](repeating: 0xAA, count: offset) + part
                #expect(partial(shifted, from: offset) == naive(part))
            }
        }
    }

    @Test("M03 long buffers of the largest words do not overflow")
    func extremes() {
        for (byte, wanted): (UInt8, UInt16) in [(0xFF, 0xFFFF), (0x00, 0)] {
            #expect(partial([UInt8](repeating: byte, count: 65_536)) == wanted)
        }
        var random = SimulationRandom(seed: 2)
        let large = random.bytes(65_535)
        #expect(partial(large) == naive(large))
    }

    @Test("M03 A05 an incremental sum equals a full one (RFC 1624), all ones and zeros among the results")
    func incremental() {
        var random = SimulationRandom(seed: 3)
        for round in 0..<20_000 {
            let header = random.bytes(20)
            var payload = random.bytes(random.below(40))
            if round % 3 == 0 { payload = [UInt8](repeating: round % 2 == 0 ? 0xFF : 0, count: random.below(40)) }
            var full = Checksum()
            for index in stride(from: 0, to: 20, by: 2) { full.add(UInt16(header[index]) << 8 | UInt16(header[index + 1])) }
            var split = full
            payload.withUnsafeBytes { full.add($0) }
            split.add(partial(payload))
            #expect(full.folded == split.folded && full.folded == naive(header + payload))
            #expect(Checksum(partial: full.folded).folded == full.folded)
        }
    }

    @Test("words of 16, 32 and 64 bits add the same")
    func words() {
        var random = SimulationRandom(seed: 4)
        for _ in 0..<1_000 {
            let word = random.next()
            var (one, two, three) = (Checksum(), Checksum(), Checksum())
            one.add(word)
            two.add(UInt32(truncatingIfNeeded: word >> 32))
            two.add(UInt32(truncatingIfNeeded: word))
            for shift in stride(from: UInt64(48), through: 0, by: -16) { three.add(UInt16(truncatingIfNeeded: word >> shift)) }
            #expect(one.folded == two.folded && two.folded == three.folded)
        }
    }

    @Test("the pseudo-headers of both families")
    func pseudoHeader() {
        let (a, b) = (IPAddress("10.1.2.3")!, IPAddress("192.168.0.255")!)
        var sum = Checksum()
        sum.addPseudoHeader(source: a, destination: b, protocolNumber: 6, length: 1_234)
        #expect(sum.folded == TestChecksum.fold(TestChecksum.pseudoHeader(source: a, destination: b, length: 1_234)))
        let (c, d) = (IPAddress("fd77:1::11")!, IPAddress("fd77:2::ff:ee")!)
        var six = Checksum()
        six.addPseudoHeader(source: c, destination: d, protocolNumber: 6, length: 70_000)
        var bytes: [UInt8] = []
        for word in [c.high, c.low, d.high, d.low] {
            for shift in stride(from: UInt64(56), through: 0, by: -8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        #expect(six.folded == naive(bytes + [0, 1, 0x11, 0x70, 0, 0, 0, 6]))
    }
}
