import Testing

@testable import DispatcherCore

@Suite("Wire: frames")
struct FrameTests {
    private func parse(_ bytes: [UInt8]) -> Frame { Frame.parse(bytes.span.bytes) }

    private func segment(_ change: (inout TestSegment) -> Void = { _ in }) -> TestSegment {
        var segment = TestSegment(
            source: Endpoint(address: IPAddress("10.0.0.1")!, port: 1_234), destination: Endpoint(address: IPAddress("10.0.0.2")!, port: 80)
        )
        segment.flags = [.ack, .psh]
        (segment.sequence, segment.acknowledgement, segment.window) = (0x0102_0304, 0xF0E0_D0C0, 4_321)
        segment.payload = Array("payload".utf8)
        change(&segment)
        return segment
    }

    private func frame(_ change: (inout TestSegment) -> Void = { _ in }) -> [UInt8] {
        segment(change).frame(from: HardwareAddress(bits: 0xA1_B2_C3_D4_E5_F6), to: HardwareAddress(bits: 0x02_00_00_00_00_01))
    }

    private func parsed(_ change: (inout TestSegment) -> Void = { _ in }) -> Segment? {
        if case .segment(let segment) = parse(frame(change)) { segment } else { nil }
    }

    private func reason(_ bytes: [UInt8]) -> DropReason? { if case .bad(let reason) = parse(bytes) { reason } else { nil } }

    @Test("every field of a segment")
    func fields() throws {
        let bytes = frame()
        let segment = try #require(parsed())
        #expect(segment.source.description == "10.0.0.1:1234" && segment.destination.description == "10.0.0.2:80")
        #expect(segment.sender.description == "a1:b2:c3:d4:e5:f6")
        #expect(segment.sequence.value == 0x0102_0304 && segment.acknowledgement.value == 0xF0E0_D0C0 && segment.window == 4_321)
        #expect(segment.flags == [.ack, .psh] && segment.checksumState == .full)
        #expect(Array(bytes[segment.payloadOffset..<segment.payloadOffset + segment.payloadLength]) == Array("payload".utf8))
        #expect(segment.payloadSum == TestChecksum.fold(TestChecksum.sum(Array("payload".utf8)[...])))
        #expect(segment.end == segment.sequence + 7 && segment.length == 7)
    }

    @Test("flags by their bits on the wire")
    func flags() {
        let bits: [(TCPFlags, UInt8)] = [(.fin, 1), (.syn, 2), (.rst, 4), (.psh, 8), (.ack, 16), (.urg, 32), (.ece, 64), (.cwr, 128)]
        for (flag, bit) in bits { #expect(flag.rawValue == bit) }
        for raw in UInt8.min...UInt8.max {
            let controls = (raw & 1) + (raw >> 1 & 1) + (raw >> 2 & 1)
            #expect(TCPFlags(rawValue: raw).areLegal == (controls <= 1), "flags \(raw)")
        }
    }

    @Test("a frame that is cut anywhere is refused, never read beyond its end")
    func truncated() {
        let whole = frame()
        for count in 0..<whole.count { #expect(reason(Array(whole[..<count])) != nil, "cut at \(count)") }
        #expect(reason([]) == .truncatedFrame)
    }

    @Test("A18 padding behind the IP packet is not payload")
    func padding() throws {
        for extra in 1...6 {
            guard case .segment(let segment) = parse(frame() + [UInt8](repeating: 0xEE, count: extra)) else {
                Issue.record("not a segment")
                return
            }
            #expect(segment.payloadLength == 7)
        }
    }

    @Test("checksums: full, partial, and bad ones of both headers")
    func checksums() throws {
        #expect(parsed { $0.checksum = .partial }?.checksumState == .partial)
        #expect(reason(frame { $0.checksum = .bad }) == .badTCPChecksum)
        let good = frame()
        for at in 14..<good.count {
            for bit in 0..<8 {
                var bytes = good
                bytes[at] ^= 1 << UInt8(bit)
                #expect(reason(bytes) != nil, "bit \(bit) of byte \(at)")
            }
        }
    }

    @Test("reasons: types, tags, fragments, sources, flags, header lengths")
    func reasons() {
        var vlan = frame()
        vlan.insert(contentsOf: [0x81, 0, 0, 1], at: 12)
        #expect(reason(vlan) == .vlanTag)
        var six = frame()
        (six[12], six[13]) = (0x86, 0xDD)
        #expect(reason(six) == .badIPHeader)
        (six[12], six[13]) = (0x88, 0xCC)
        #expect(reason(six) == .unsupportedEtherType)
        #expect(reason(frame { $0.moreFragments = true }) == .ipFragment)
        #expect(reason(frame { $0.fragmentOffset = 8 }) == .ipFragment)
        for text in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.1.2.3"] {
            #expect(reason(frame { $0.source.address = IPAddress(text)! }) == .badSource, "\(text)")
        }
        #expect(reason(frame { $0.flags = [.syn, .fin] }) == .badTCPFlags)
        #expect(reason(frame { $0.flags = [.syn, .rst] }) == .badTCPFlags)
        #expect(reason(frame { $0.flags = [] }) == nil)
        for offset in [0, 1, 4, 15] { #expect(reason(frame { $0.dataOffset = offset }) == .badTCPHeader, "offset \(offset)") }
    }

    @Test("A09-A12 options: absent, zero, cut, unknown, unaligned, behind EOL")
    func options() throws {
        func read(_ options: [UInt8]) throws -> TCPOptions {
            try #require(parsed { ($0.flags, $0.payload, $0.options) = (.syn, [], options) }).options
        }
        #expect(try read([]) == TCPOptions())
        #expect(try read([2, 4, 5, 180]).maximumSegmentSize == 1_460)
        #expect(try read([1, 2, 4, 5, 180, 1, 1, 0]).maximumSegmentSize == 1_460)
        #expect(try read([253, 6, 1, 2, 3, 4, 2, 4, 5, 180, 1, 1]).maximumSegmentSize == 1_460)
        #expect(try read([0, 2, 4, 5, 180, 0, 0, 0]).maximumSegmentSize == 0)
        #expect(try read([2, 4, 0, 0]).maximumSegmentSize == 0)
        #expect(try read([3, 3, 7, 4, 2, 0, 0, 0]).windowScale == 7)
        #expect(try read([3, 3, 15, 4, 2, 0, 0, 0]).windowScale == 14)
        #expect(try read([1, 3, 3, 7, 1, 1, 4, 2]).sackPermitted)
        for bad: [UInt8] in [[1, 1, 1, 2], [2, 5, 5, 180], [2, 0, 0, 0], [2, 1, 1, 1], [2, 40, 5, 180], [3, 4, 7, 0]] {
            #expect(try read(bad) == TCPOptions(), "\(bad)")
        }
    }

    @Test("A13 reserved bits are not looked at")
    func reserved() { #expect(parsed { $0.reserved = 15 } != nil) }

    @Test("M06 random bytes, whole or grafted onto a good frame, always give a result")
    func totality() {
        var random = SimulationRandom(seed: 6)
        let good = frame { $0.options = [2, 4, 5, 180, 3, 3, 7, 0] }
        for round in 0..<50_000 {
            var bytes = round % 2 == 0 ? random.bytes(random.below(100)) : Array(good.prefix(random.below(good.count + 1)))
            if round % 4 == 0, bytes.count > 13 { (bytes[12], bytes[13]) = (8, round % 8 == 0 ? 0 : 6) }
            for _ in 0..<random.below(4) where !bytes.isEmpty { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            if case .segment(let segment) = parse(bytes) {
                #expect(segment.payloadOffset + segment.payloadLength <= bytes.count && segment.payloadOffset >= 54)
            }
        }
    }

    @Test("UDP is told with what an ICMP answer quotes")
    func datagram() {
        var bytes = frame()
        bytes[23] = 17
        TestSegment.store(0, at: 24, in: &bytes)
        TestSegment.store(~TestChecksum.fold(TestChecksum.sum(bytes[14..<34])), at: 24, in: &bytes)
        guard case .datagram(let source, _, 14, 28) = parse(bytes) else {
            Issue.record("\(parse(bytes))")
            return
        }
        #expect(source.description == "10.0.0.1")
    }
}
