import Testing

@testable import DispatcherCore

@Suite("Wire: ICMP messages")
struct ICMPMessageTests {
    private static let ours = Endpoint(address: IPAddress("10.0.0.2")!, port: 80)
    private static let theirs = Endpoint(address: IPAddress("10.0.0.1")!, port: 40_000)

    private static var segment: TestSegment {
        var segment = TestSegment(source: ours, destination: theirs)
        (segment.flags, segment.sequence, segment.payload) = (.ack, 0x0102_0304, [UInt8](repeating: 65, count: 1_460))
        return segment
    }

    private func kind(_ message: [UInt8]) -> ICMPMessage.Kind? {
        if case .icmp(let message) = Frame.parse(TestICMP.frame(message, to: Self.ours.address).span.bytes) { message.kind } else { nil }
    }

    private func error(_ type: UInt8, _ code: UInt8, _ word: UInt32 = 0, quoting quote: [UInt8]) -> ICMPMessage.Kind? {
        kind([type, code, 0, 0] + (0..<4).map { UInt8(word >> UInt32(24 - 8 * $0) & 255) } + quote)
    }

    private func about(_ meaning: ICMPError.Meaning, length: Int = 1_500) -> ICMPMessage.Kind {
        .aboutSegment(
            ICMPError(
                meaning: meaning, quotedLength: length, source: Self.ours, destination: Self.theirs, sequence: SequenceNumber(0x0102_0304)))
    }

    @Test("the quote's first eight bytes of TCP are enough; more are not looked at", arguments: [8, 12, 20, 548])
    func lengths(bytes: Int) {
        #expect(error(3, 4, 1_400, quoting: TestICMP.quote(Self.segment, bytes: bytes)) == about(.tooBig(mtu: 1_400)))
    }

    @Test("a quote that is cut shorter is refused, wherever it is cut")
    func cut() {
        let quote = TestICMP.quote(Self.segment)
        for count in 0..<quote.count { #expect(error(3, 4, 1_400, quoting: Array(quote[..<count])) == nil, "cut at \(count)") }
    }

    @Test("IP options in the quote", arguments: [4, 8, 40])
    func options(count: Int) {
        let quote = TestICMP.quote(Self.segment, ipOptions: [UInt8](repeating: 1, count: count))
        #expect(error(3, 4, 1_400, quoting: quote) == about(.tooBig(mtu: 1_400), length: 1_500 + count))
        #expect(error(3, 4, 1_400, quoting: quote.dropLast()) == nil)
    }

    @Test("the meaning of types and codes; the upper half of the MTU's word is unused")
    func meanings() {
        let quote = TestICMP.quote(Self.segment)
        #expect(error(3, 4, 0, quoting: quote) == about(.tooBig(mtu: 0)))
        #expect(error(3, 4, 0xABCD_0578, quoting: quote) == about(.tooBig(mtu: 1_400)))
        for code: UInt8 in [2, 3] { #expect(error(3, code, quoting: quote) == about(.refused)) }
        for code: UInt8 in [0, 1, 5, 6, 13, 255] { #expect(error(3, code, quoting: quote) == about(.soft)) }
        for type: UInt8 in [11, 12] { #expect(error(type, 0, quoting: quote) == about(.soft)) }
        for type: UInt8 in [0, 4, 5, 13] { #expect(error(type, 0, quoting: quote) == .other, "type \(type)") }
    }

    @Test("quotes that are no segment: another protocol, a later fragment, another version, a header length of nonsense")
    func notSegments() {
        var quote = TestICMP.quote(Self.segment)
        quote[9] = 17
        #expect(error(3, 4, 1_400, quoting: quote) == .other)
        quote = TestICMP.quote(Self.segment)
        quote[7] = 1
        #expect(error(3, 4, 1_400, quoting: quote) == .other)
        for first: UInt8 in [0x44, 0x40, 0x55, 0x65, 0x4F, 0] {
            quote = TestICMP.quote(Self.segment)
            quote[0] = first
            #expect(error(3, 4, 1_400, quoting: quote) == nil, "first byte \(first)")
        }
    }

    @Test("M06 random messages with good checksums always give a result")
    func garbage() {
        var random = SimulationRandom(seed: 10)
        let good = [3, 4, 0, 0, 0, 0, 5, 0x78] + TestICMP.quote(Self.segment, bytes: 40)
        for round in 0..<20_000 {
            var bytes = round % 2 == 0 ? random.bytes(4 + random.below(80)) : Array(good.prefix(4 + random.below(good.count - 3)))
            for _ in 0..<random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            if case .aboutSegment(let error) = kind(bytes) { #expect(bytes.count >= 36 && error.quotedLength <= 65_535) }
        }
    }
}
