import Testing

@testable import DispatcherCore

@Suite("Wire: addresses, numbers, time")
struct AddressTests {
    @Test("IPv4 text goes round, and nothing else is taken for it")
    func v4() {
        for text in ["0.0.0.0", "10.77.1.100", "255.255.255.255", "1.2.3.4"] { #expect(IPAddress(text)?.description == text) }
        #expect(IPAddress("10.77.1.100")?.v4 == 0x0A4D_0164)
        for text in [
            "", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.", "1.2.3.4 ", " 1.2.3.4", "1.2.3.-4", "1..2.3", "a.b.c.d",
            "1.2.3.٤",
        ] {
            #expect(IPAddress(text) == nil, "\(text)")
        }
    }

    @Test("IPv6 text goes round in the form of RFC 5952")
    func v6() {
        let pairs = [
            ("::", "::"), ("::1", "::1"), ("fd77:1::11", "fd77:1::11"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1::", "1::"),
            ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
        ]
        for (text, wanted) in pairs { #expect(IPAddress(text)?.description == wanted, "\(text)") }
        for text in [":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "g::", "12345::", "::1%lo", "1:2:3:4:5:6:7:8::"] {
            #expect(IPAddress(text) == nil, "\(text)")
        }
        var random = SimulationRandom(seed: 1)
        for _ in 0..<2_000 {
            var address = IPAddress(high: random.next(), low: random.next())
            if random.chance(0.5) {
                (address.high, address.low) = (address.high & random.next() & random.next(), address.low & random.next() & random.next())
            }
            #expect(IPAddress(address.description) == address, "\(address)")
        }
    }

    @Test("IPv6 text is what the system's library writes")
    func systemText() {
        var random = SimulationRandom(seed: 7)
        for _ in 0..<20_000 {
            var address = IPAddress(high: random.next() | 1 << 60, low: random.next())
            // Groups of zeros, and short ones.
            for group in 0..<8 where random.chance(0.5) {
                let kept = random.chance(0.7) ? UInt64(0) : UInt64(random.below(300))
                let shift = UInt64(48 - 16 * (group % 4))
                if group < 4 {
                    address.high = address.high & ~(0xFFFF << shift) | kept << shift
                } else {
                    address.low = address.low & ~(0xFFFF << shift) | kept << shift
                }
            }
            // The library writes compatible addresses, which nobody has, with dots.
            if address.high == 0 { continue }
            #expect(address.description == address.systemText)
            #expect(IPAddress(address.description) == address)
        }
        #expect(IPAddress(high: .max, low: .max).description.utf8.count == IPAddress.longestText)
    }

    @Test("which addresses are one link's")
    func linkLocal() {
        for text in ["fe80::1", "fe80::", "febf:ffff::1"] { #expect(IPAddress(text)?.isLinkLocal == true, "\(text)") }
        for text in ["fec0::1", "fe7f::1", "fd80::1", "2001:db8::1", "169.254.1.1", "::"] {
            #expect(IPAddress(text)?.isLinkLocal == false, "\(text)")
        }
    }

    @Test("sources that no segment may carry")
    func sources() {
        for text in ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"] {
            #expect(IPAddress(text)?.isUnicastSource == false, "\(text)")
        }
        for text in ["10.0.0.1", "223.255.255.255", "fe80::1", "2001:db8::1"] {
            #expect(IPAddress(text)?.isUnicastSource == true, "\(text)")
        }
    }

    @Test("sequence numbers wrap")
    func sequence() {
        let before = SequenceNumber(0xFFFF_FFF0)
        let after = before + 0x20
        #expect(after.value == 0x10 && after - 0x20 == before)
        #expect(after.isAfter(before) && before.isBefore(after) && !after.isBefore(before))
        #expect(after.distance(from: before) == 0x20 && before.distance(from: after) == -0x20)
        #expect(before.isAtOrBefore(before) && before.isAtOrAfter(before) && !before.isAfter(before))
        #expect(SequenceNumber.later(before, after) == after && SequenceNumber.earlier(before, after) == before)
        var random = SimulationRandom(seed: 2)
        for _ in 0..<10_000 {
            let start = SequenceNumber(UInt32(truncatingIfNeeded: random.next()))
            let step = random.within(-0x7FFF_FFFF...0x7FFF_FFFF)
            #expect((start + step).distance(from: start) == step)
        }
    }

    @Test("instants saturate")
    func instants() {
        #expect(Instant.distantFuture + .seconds(1) == .distantFuture)
        #expect(Instant(nanoseconds: 5) + .milliseconds(1) == Instant(nanoseconds: 1_000_005))
        #expect(Instant(nanoseconds: 10) - Instant(nanoseconds: 4) == Interval(nanoseconds: 6))
    }

    @Test("ARP packets go round; others are not taken for them")
    func arp() throws {
        let packet = ARPPacket(
            operation: .reply, senderHardware: HardwareAddress(bits: 0x02_00_00_00_00_09), senderAddress: IPAddress("10.77.1.100")!,
            targetHardware: HardwareAddress(bits: 0x02_AA_BB_CC_DD_EE), targetAddress: IPAddress("10.77.1.11")!)
        var frame = [UInt8](repeating: 0, count: ARPPacket.frameLength)
        frame.withUnsafeMutableBytes { packet.writeFrame(to: .broadcast, into: $0) }
        #expect(Array(frame[..<14]) == [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9, 8, 6])
        guard case .arp(let read) = Frame.parse(frame.span.bytes) else {
            Issue.record("not read")
            return
        }
        #expect(read == packet)
        for count in 0..<frame.count {
            let cut = Array(frame[..<count])
            if case .arp = Frame.parse(cut.span.bytes) { Issue.record("cut at \(count)") }
        }
        frame[17] = 0x86
        if case .arp = Frame.parse(frame.span.bytes) { Issue.record("protocol") }
    }

    @Test("ICMP: echo requests, errors about segments, bad sums")
    func icmp() {
        func frame(_ message: [UInt8]) -> [UInt8] {
            var packet: [UInt8] = [0x45, 0, 0, UInt8(20 + message.count), 0, 0, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
            TestSegment.store(~TestChecksum.fold(TestChecksum.sum(packet[...])), at: 10, in: &packet)
            var message = message
            TestSegment.store(~TestChecksum.fold(TestChecksum.sum(message[...])), at: 2, in: &message)
            return [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0] + packet + message
        }
        func kind(_ bytes: [UInt8]) -> ICMPMessage.Kind? {
            if case .icmp(let message) = Frame.parse(bytes.span.bytes) { message.kind } else { nil }
        }
        #expect(kind(frame([8, 0, 0, 0, 1, 2, 3, 4, 65])) == .echoRequest(offset: 34, length: 9))
        let quoted: [UInt8] = [0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1, 0, 80, 0x9C, 0x40, 1, 2, 3, 4]
        let about = kind(frame([3, 4, 0, 0, 0, 0, 0x05, 0x78] + quoted))
        let wanted = ICMPError(
            meaning: .tooBig(mtu: 1_400), quotedLength: 40, source: Endpoint(address: IPAddress("10.0.0.2")!, port: 80),
            destination: Endpoint(address: IPAddress("10.0.0.1")!, port: 40_000), sequence: SequenceNumber(0x0102_0304))
        #expect(about == .aboutSegment(wanted))
        #expect(kind(frame([4, 0, 0, 0, 0, 0, 0, 0] + quoted)) == .other)
        #expect(kind(frame([3, 4, 0, 0, 0, 0, 5, 0x78] + quoted.dropLast(1))) == nil)
        var bad = frame([8, 0, 0, 0, 1, 2, 3, 4])
        bad[40] ^= 1
        #expect(kind(bad) == nil)
    }

    @Test("labels of drop reasons are kebab case and differ")
    func labels() {
        #expect(DropReason.badTCPFlags.label == "bad-tcp-flags" && DropReason.truncatedFrame.label == "truncated-frame")
        #expect(DropReason.badIPHeader.label == "bad-ip-header" && DropReason.badICMP.label == "bad-icmp")
        #expect(Set(DropReason.allCases.map(\.label)).count == DropReason.allCases.count)
    }

    @Test("port plan: every slot and layer has its own port, and finds itself again")
    func ports() {
        let plan = PortPlan(first: 10_000, last: 20_300, layers: 5, servers: 256, connections: 8)
        #expect(plan.fits && plan.firstTunnelPort == 20_240 && plan.tunnelPorts == 61)
        var seen: Set<UInt16> = []
        for layer in 0..<5 {
            for server in 0..<256 {
                for connection in 0..<8 {
                    let port = plan.port(layer: layer, server: server, connection: connection)
                    seen.insert(port)
                    let slot = plan.slot(of: port)
                    #expect(slot?.layer == layer && slot?.slot == server * 8 + connection)
                }
            }
        }
        #expect(seen.count == 5 * 256 * 8 && seen.min() == 10_000 && seen.max() == 20_239)
        #expect(plan.slot(of: 20_240) == nil && plan.slot(of: 9_999) == nil)
    }
}
