import Testing

@testable import DispatcherCore

@Suite("Initial sequence numbers toward servers")
struct InitialSequenceTests {
    private let server = Endpoint(address: IPAddress(v4: 0x0A4D_020B), port: 8_080)
    private func source(_ index: Int) -> Endpoint {
        Endpoint(address: IPAddress(v4: 0x0A4D_0200 + UInt32(index >> 16)), port: UInt16(index & 65_535))
    }

    @Test("B13 100,000 flows: all over the number space, hardly two alike, and others with another key")
    func spread() {
        let (one, two) = (InitialSequence(key: SipKey(1, 2)), InitialSequence(key: SipKey(1, 3)))
        let now = Instant(nanoseconds: 5_000_000_000)
        let numbers = (0..<100_000).map { one.make(source: source($0), destination: server, floor: nil, at: now).value }
        let others = (0..<100_000).map { two.make(source: source($0), destination: server, floor: nil, at: now).value }
        // Of 100,000 random numbers of 32 bits about one pair is alike.
        #expect(Set(numbers).count > 99_990)
        #expect(zip(numbers, others).count { $0 == $1 } < 5)
        for bit in 0..<32 { #expect((48_000...52_000).contains(numbers.count { $0 >> UInt32(bit) & 1 == 1 }), "bit \(bit)") }
        var high = [Int](repeating: 0, count: 16)
        for number in numbers { high[Int(number >> 28)] += 1 }
        #expect(high.allSatisfy { (5_900...6_600).contains($0) })
    }

    @Test("for one flow the number grows with the clock, a step in 4 microseconds; and lies beyond the last one used (RFC 6528)")
    func clock() {
        let sequence = InitialSequence(key: SipKey(1, 2))
        let start = Instant(nanoseconds: 5_000_000_000)
        func make(_ after: Interval, floor: SequenceNumber? = nil) -> SequenceNumber {
            sequence.make(source: source(1), destination: server, floor: floor, at: start + after)
        }
        let first = make(.zero)
        for milliseconds in [1, 10, 1_000, 60_000] as [Int64] {
            #expect(make(.milliseconds(milliseconds)).distance(from: first) == Int(milliseconds) * 250)
        }
        #expect(make(.zero, floor: first + 1_000_000).isAfter(first + 1_000_001))
        #expect(make(.zero, floor: first - 1_000_000) == first)
    }
}
