import Testing

@testable import DispatcherCore

@Suite("Wire: ICMPv6 messages")
struct ICMPMessageIPv6Tests {
    private static let ours = Endpoint(address: IPAddress("fd77:1::100")!, port: 80)
    private static let theirs = Endpoint(address: IPAddress("2001:db8::1")!, port: 40_000)

    private static var segment: TestSegment {
        var segment = TestSegment(source: ours, destination: theirs)
        (segment.flags, segment.sequence, segment.payload) = (.ack, 0x0102_0304, [UInt8](repeating: 65, count: 1_440))
        return segment
    }

    private func parse(_ message: [UInt8], from source: IPAddress? = nil) -> Frame {
        Frame.parse(TestICMP.frame(message, from: source, to: Self.ours.address).span.bytes)
    }

    private func kind(_ message: [UInt8], from source: IPAddress? = nil) -> ICMPMessage.Kind? {
        if case .icmp(let message) = parse(message, from: source) { message.kind } else { nil }
    }

    private func error(_ type: UInt8, _ code: UInt8, _ word: UInt32 = 0, quoting quote: [UInt8]) -> ICMPMessage.Kind? {
        kind([type, code, 0, 0] + (0..<4).map { UInt8(word >> UInt32(24 - 8 * $0) & 255) } + quote)
    }

    private func about(_ meaning: ICMPError.Meaning) -> ICMPMessage.Kind {
        .aboutSegment(
            ICMPError(
                meaning: meaning, quotedLength: 1_500, source: Self.ours, destination: Self.theirs, sequence: SequenceNumber(0x0102_0304)))
    }

    @Test("the quote's first eight bytes of TCP are enough; more are not looked at", arguments: [8, 12, 20, 1_192])
    func lengths(bytes: Int) {
        #expect(error(2, 0, 1_400, quoting: TestICMP.quote(Self.segment, bytes: bytes)) == about(.tooBig(mtu: 1_400)))
    }

    @Test("a quote that is cut shorter is refused, wherever it is cut")
    func cut() {
        let quote = TestICMP.quote(Self.segment)
        for count in 0..<quote.count { #expect(error(2, 0, 1_400, quoting: Array(quote[..<count])) == nil, "cut at \(count)") }
    }

    @Test("the meaning of types and codes; the MTU is the whole word, the code of packet too big says nothing")
    func meanings() {
        let quote = TestICMP.quote(Self.segment)
        #expect(error(2, 0, 0, quoting: quote) == about(.tooBig(mtu: 0)))
        #expect(error(2, 7, 1_400, quoting: quote) == about(.tooBig(mtu: 1_400)))
        #expect(error(2, 0, 0xFFFF_FFFF, quoting: quote) == about(.tooBig(mtu: 0xFFFF_FFFF)))
        for code: UInt8 in [1, 4] { #expect(error(1, code, quoting: quote) == about(.refused)) }
        for code: UInt8 in [0, 2, 3, 5, 6, 255] { #expect(error(1, code, quoting: quote) == about(.soft)) }
        for type: UInt8 in [3, 4] { for code: UInt8 in 0...2 { #expect(error(type, code, quoting: quote) == about(.soft)) } }
        for type: UInt8 in [0, 5, 100, 129, 143, 200] { #expect(error(type, 0, quoting: quote) == .other, "type \(type)") }
    }

    @Test("quotes that are no segment of ours: another protocol, an extension header, mapped addresses, another version")
    func notSegments() {
        for number: UInt8 in [17, 58, 0, 44, 43] {
            var quote = TestICMP.quote(Self.segment)
            quote[6] = number
            #expect(error(2, 0, 1_400, quoting: quote) == .other, "next header \(number)")
        }
        for at in [8, 24] {
            var quote = TestICMP.quote(Self.segment)
            quote.replaceSubrange(at..<at + 12, with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF])
            #expect(error(2, 0, 1_400, quoting: quote) == .other)
        }
        for first: UInt8 in [0x45, 0x40, 0x50, 0x70, 0] {
            var quote = TestICMP.quote(Self.segment)
            quote[0] = first
            #expect(error(2, 0, 1_400, quoting: quote) == nil, "first byte \(first)")
        }
    }

    @Test("echo requests; one of a single link is not answered, errors from there are heeded")
    func echo() {
        let request: [UInt8] = [128, 0, 0, 0, 1, 2, 3, 4, 5, 6]
        #expect(kind(request) == .echoRequest(offset: 54, length: 10))
        #expect(kind([128, 1] + request[2...]) == .other && kind(Array(request[..<7])) == nil)
        guard case .bad(.linkLocalSource) = parse(request, from: IPAddress("fe80::1")!) else {
            Issue.record("an echo request of one link")
            return
        }
        let message = [2, 0, 0, 0, 0, 0, 5, 0x78] + TestICMP.quote(Self.segment)
        #expect(kind(message, from: IPAddress("fe80::1")!) == about(.tooBig(mtu: 1_400)))
    }

    @Test("every bit of a message and of its addresses is under the checksum")
    func checksum() {
        let good = TestICMP.frame([128, 0, 0, 0, 1, 2, 3, 4, 5], to: Self.ours.address)
        for at in 22..<good.count {
            for bit in 0..<8 {
                var bytes = good
                bytes[at] ^= 1 << UInt8(bit)
                // A changed type may be one that is not looked at here.
                if at == 54, case .neighbourDiscovery = Frame.parse(bytes.span.bytes) { continue }
                guard case .bad(let reason) = Frame.parse(bytes.span.bytes) else {
                    Issue.record("bit \(bit) of byte \(at)")
                    continue
                }
                #expect(reason == .badICMP || at < 38)
            }
        }
    }

    @Test("M06 random messages with good checksums always give a result")
    func garbage() {
        var random = SimulationRandom(seed: 10)
        let good = [2, 0, 0, 0, 0, 0, 5, 0x78] + TestICMP.quote(Self.segment, bytes: 40)
        for round in 0..<20_000 {
            var bytes = round % 2 == 0 ? random.bytes(4 + random.below(80)) : Array(good.prefix(4 + random.below(good.count - 3)))
            for _ in 0..<random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            if case .aboutSegment(let error) = kind(bytes) { #expect(bytes.count >= 56 && error.quotedLength <= 65_575) }
        }
    }
}
