import Testing

@testable import DispatcherCore

@Suite("Wire: IPv6 frames")
struct FrameIPv6Tests {
    private func parse(_ bytes: [UInt8]) -> Frame { Frame.parse(bytes.span.bytes) }

    private func segment(_ change: (inout TestSegment) -> Void = { _ in }) -> TestSegment {
        var segment = TestSegment(
            source: Endpoint(address: IPAddress("2001:db8::1")!, port: 1_234),
            destination: Endpoint(address: IPAddress("fd77:1::100")!, port: 80))
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

    @Test("every field of a segment; traffic class, flow label and hop limit are not looked at")
    func fields() throws {
        let bytes = frame { ($0.trafficClassAndFlow, $0.timeToLive) = (0xFFF_FFFF, 1) }
        let segment = try #require(parsed { ($0.trafficClassAndFlow, $0.timeToLive) = (0xFFF_FFFF, 1) })
        #expect(segment.source.description == "[2001:db8::1]:1234" && segment.destination.description == "[fd77:1::100]:80")
        #expect(segment.sender.description == "a1:b2:c3:d4:e5:f6")
        #expect(segment.sequence.value == 0x0102_0304 && segment.acknowledgement.value == 0xF0E0_D0C0 && segment.window == 4_321)
        #expect(segment.flags == [.ack, .psh] && segment.checksumState == .full)
        #expect(Array(bytes[segment.payloadOffset..<segment.payloadOffset + segment.payloadLength]) == Array("payload".utf8))
        #expect(segment.payloadSum == TestChecksum.fold(TestChecksum.sum(Array("payload".utf8)[...])))
    }

    @Test("a frame that is cut anywhere is refused, never read beyond its end")
    func truncated() {
        let whole = frame()
        for count in 0..<whole.count { #expect(reason(Array(whole[..<count])) != nil, "cut at \(count)") }
        for count in 14..<54 { #expect(reason(Array(whole[..<count])) == .truncatedFrame) }
    }

    @Test("A18 padding behind the IP packet is not payload")
    func padding() {
        for extra in 1...6 {
            guard case .segment(let segment) = parse(frame() + [UInt8](repeating: 0xEE, count: extra)) else {
                Issue.record("not a segment")
                return
            }
            #expect(segment.payloadLength == 7)
        }
    }

    @Test("checksums: full, partial and bad ones; every bit under one is checked")
    func checksums() {
        #expect(parsed { $0.checksum = .partial }?.checksumState == .partial)
        #expect(reason(frame { $0.checksum = .bad }) == .badTCPChecksum)
        #expect(parsed { ($0.checksum, $0.payload) = (.partial, []) }?.checksumState == .partial)
        let good = frame()
        // Version, length, next header, both addresses, TCP; not traffic class, flow label (15 to 17, half of 14) and hop limit (21).
        for at in Array(18...20) + Array(22..<good.count) {
            for bit in 0..<8 {
                var bytes = good
                bytes[at] ^= 1 << UInt8(bit)
                #expect(reason(bytes) != nil, "bit \(bit) of byte \(at)")
            }
        }
        for bit in 4..<8 {
            var bytes = good
            bytes[14] ^= 1 << UInt8(bit)
            #expect(reason(bytes) == .badIPHeader)
        }
    }

    @Test("A15 extension headers are dropped, each kind for its own reason; what lies behind them is not read")
    func extensionHeaders() {
        let kinds: [(UInt8, DropReason)] = [
            (0, .hopByHopHeader), (43, .routingHeader), (44, .ipFragment), (60, .destinationOptions), (50, .extensionHeader),
            (51, .extensionHeader), (135, .extensionHeader), (139, .extensionHeader), (140, .extensionHeader), (253, .extensionHeader),
            (254, .extensionHeader),
        ]
        for (number, wanted) in kinds {
            #expect(reason(frame { $0.extensionHeaders = [(number, [UInt8](repeating: 0, count: 8))] }) == wanted, "header \(number)")
            let two = frame { $0.extensionHeaders = [(number, [UInt8](repeating: 0, count: 16)), (60, [UInt8](repeating: 0, count: 8))] }
            #expect(reason(two) == wanted)
        }
        var bytes = frame()
        for (number, wanted) in [(59, .noNextHeader), (4, .unsupportedProtocol), (41, .unsupportedProtocol), (132, .unsupportedProtocol)]
            as [(UInt8, DropReason)]
        {
            bytes[20] = number
            #expect(reason(bytes) == wanted, "next header \(number)")
        }
    }

    @Test("a length of 0: no jumbogram passes, with its option or without")
    func jumbo() {
        var bytes = frame()
        (bytes[18], bytes[19]) = (0, 0)
        #expect(reason(bytes) == .badIPHeader)
        bytes[20] = 0
        #expect(reason(bytes) == .hopByHopHeader)
        bytes[20] = 59
        #expect(reason(bytes) == .noNextHeader)
    }

    @Test("sources: no group, no loopback, none unspecified, none of one link; no mapped address at either end")
    func sources() {
        for text in ["::", "::1", "ff02::1", "ff0e::5"] { #expect(reason(frame { $0.source.address = IPAddress(text)! }) == .badSource) }
        #expect(reason(frame { $0.source.address = IPAddress("fe80::1")! }) == .linkLocalSource)
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 1]
        for (at, wanted) in [(22, .badSource), (38, .notOurAddress)] as [(Int, DropReason)] {
            var bytes = frame()
            bytes.replaceSubrange(at..<at + 16, with: mapped)
            SegmentMerger.repairChecksum(&bytes)
            #expect(reason(bytes) == wanted)
        }
        var group = frame()
        group[0] = 0x33
        #expect(reason(group) == .badSource)
    }

    @Test("flags, header lengths")
    func reasons() {
        #expect(reason(frame { $0.flags = [.syn, .fin] }) == .badTCPFlags)
        for offset in [0, 1, 4, 15] { #expect(reason(frame { $0.dataOffset = offset }) == .badTCPHeader, "offset \(offset)") }
        var short = frame { $0.payload = [] }
        TestSegment.store(19, at: 18, in: &short)
        #expect(reason(short) == .badTCPHeader)
    }

    @Test("neighbour discovery is for others to read, from hosts without an address and to groups too")
    func neighbourDiscovery() {
        let (unspecified, group) = (IPAddress("::")!, IPAddress("ff02::1:ff00:100")!)
        for type: UInt8 in 133...137 {
            var bytes = TestICMP.frame(
                [type] + [UInt8](repeating: 0, count: 23), from: unspecified, to: group,
                receiver: HardwareAddress(bits: 0x33_33_FF_00_01_00))
            guard case .neighbourDiscovery = parse(bytes) else {
                Issue.record("type \(type): \(parse(bytes))")
                continue
            }
            bytes.removeLast(20)
            TestSegment.store(4, at: 18, in: &bytes)
            #expect(reason(bytes) != nil)
        }
        for type: UInt8 in [130, 131, 132, 138, 143] {
            let bytes = TestICMP.frame([type] + [UInt8](repeating: 0, count: 23), from: unspecified, to: group)
            #expect(reason(bytes) == .badSource)
        }
    }

    @Test("UDP is told with what an ICMPv6 answer quotes: at most what fits 1,280 bytes with it")
    func datagram() {
        for (count, quoted) in [(8, 48), (100, 140), (1_192, 1_232), (1_193, 1_232), (9_000, 1_232)] {
            let bytes = TestICMP.packet(
                17, [UInt8](repeating: 1, count: count), from: IPAddress("2001:db8::1")!, to: IPAddress("fd77:1::100")!)
            guard case .datagram(let source, _, 14, quoted) = parse(bytes) else {
                Issue.record("\(count): \(parse(bytes))")
                return
            }
            #expect(source.description == "2001:db8::1")
        }
    }

    @Test("M06 random bytes, whole or grafted onto a good frame, always give a result")
    func totality() {
        var random = SimulationRandom(seed: 6)
        let good = frame { $0.options = [2, 4, 5, 160, 3, 3, 7, 0] }
        for round in 0..<50_000 {
            var bytes = round % 2 == 0 ? random.bytes(random.below(120)) : Array(good.prefix(random.below(good.count + 1)))
            if round % 4 == 0, bytes.count > 14 { (bytes[12], bytes[13], bytes[14]) = (0x86, 0xDD, 0x60) }
            for _ in 0..<random.below(4) where !bytes.isEmpty { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            if round % 8 == 3 { SegmentMerger.repairChecksum(&bytes) }
            if case .segment(let segment) = parse(bytes) {
                #expect(segment.payloadOffset + segment.payloadLength <= bytes.count && segment.payloadOffset >= 54)
            }
        }
    }
}
