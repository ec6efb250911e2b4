import Testing

@testable import DispatcherCore

struct NeighbourMessageTests {
    private static let asker = HardwareAddress(bits: 0x02_00_0A_4D_01_0B)
    private static let owner = HardwareAddress(bits: 0x02_00_0A_4D_01_FE)

    /// Two frames of Linux: who has fd77:1::254, and the answer.
    private static let linuxSolicitation = bytes(
        """
        3333ff000254 02000a4d010b 86dd 60000000 0020 3a ff fd770001000000000000000000000011 ff0200000000000000000001ff000254
        8700 6c9c 00000000 fd770001000000000000000000000254 0101 02000a4d010b
        """)
    private static let linuxAdvertisement = bytes(
        """
        02000a4d010b 02000a4d01fe 86dd 60000000 0020 3a ff fd770001000000000000000000000254 fd770001000000000000000000000011
        8800 8a34 e0000000 fd770001000000000000000000000254 0201 02000a4d01fe
        """)

    private static func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    private func parse(_ frame: [UInt8]) -> NeighbourMessage.Parsed { frame.withUnsafeBytes { NeighbourMessage.parse($0.bytes) } }

    private func frame(_ message: NeighbourMessage, to hardware: HardwareAddress = .none) -> [UInt8] {
        var frame = [UInt8](repeating: 0xEE, count: message.frameLength)
        frame.withUnsafeMutableBytes { message.writeFrame(to: hardware, into: $0) }
        return frame
    }

    /// The frame with other bytes and a checksum that is right for them.
    private func changed(_ frame: [UInt8], _ change: (inout [UInt8]) -> Void) -> [UInt8] {
        var frame = frame
        change(&frame)
        frame[56] = 0
        frame[57] = 0
        var sum = Checksum()
        func address(_ at: Int) -> IPAddress {
            frame.withUnsafeBytes { IPAddress(high: $0.bytes.uint64(at), low: $0.bytes.uint64(at + 8)) }
        }
        let length = Int(frame[18]) << 8 | Int(frame[19])
        sum.addPseudoHeader(source: address(22), destination: address(38), protocolNumber: 58, length: length)
        frame.withUnsafeBytes { sum.add(UnsafeRawBufferPointer(rebasing: $0[54..<min(54 + length, $0.count)])) }
        frame[56] = UInt8(sum.field >> 8)
        frame[57] = UInt8(sum.field & 255)
        return frame
    }

    @Test func readsWhatLinuxAsks() {
        let expected = NeighbourMessage.solicitation(for: IPAddress("fd77:1::254")!, from: IPAddress("fd77:1::11")!, at: Self.asker)
        #expect(parse(Self.linuxSolicitation) == .message(expected))
        #expect(expected.destination.description == "ff02::1:ff00:254")
        #expect(Self.linuxSolicitation.withUnsafeBytes { NeighbourMessage.isNeighbourDiscovery($0.bytes) })
    }

    @Test func readsWhatLinuxAnswers() {
        guard case .message(let message) = parse(Self.linuxAdvertisement) else {
            Issue.record("not read")
            return
        }
        #expect(message.kind == .advertisement && message.target.description == "fd77:1::254")
        #expect(message.isRouter && message.isSolicited && message.overrides)
        #expect(message.hardware == Self.owner && message.sender == Self.owner)
    }

    @Test func writesAsLinuxDoes() {
        let solicitation = NeighbourMessage.solicitation(for: IPAddress("fd77:1::254")!, from: IPAddress("fd77:1::11")!, at: Self.asker)
        #expect(frame(solicitation) == Self.linuxSolicitation)
        var answer = solicitation.answer(at: Self.owner)
        answer.isRouter = true
        #expect(frame(answer, to: Self.asker) == Self.linuxAdvertisement)
    }

    @Test func aProbeGoesToTheNeighbourItself() {
        let probe = NeighbourMessage.solicitation(
            for: IPAddress("fd77:1::254")!, from: IPAddress("fd77:1::11")!, at: Self.asker, isProbe: true)
        #expect(probe.destination == probe.target)
        #expect(frame(probe, to: Self.owner).prefix(6) == [2, 0, 0x0A, 0x4D, 1, 0xFE])
    }

    @Test func aHostWithoutAnAddressAsksAndEverybodyIsAnswered() {
        let check = NeighbourMessage.duplicateCheck(of: IPAddress("fd77:1::100")!, at: Self.asker)
        #expect(check.frameLength == 78 && parse(frame(check)) == .message(check))
        let answer = check.answer(at: Self.owner)
        #expect(answer.destination == .allNodes && answer.overrides && !answer.isSolicited)
        #expect(frame(answer, to: Self.asker).prefix(6) == [0x33, 0x33, 0, 0, 0, 1])
        #expect(parse(frame(answer)) == .message(answer))
    }

    @Test func whatCameFromAfarOrIsDamagedIsNotHeeded() {
        let solicitation = Self.linuxSolicitation
        let wrong: [(String, [UInt8])] = [
            ("hop limit", changed(solicitation) { $0[21] = 254 }),
            ("code", changed(solicitation) { $0[55] = 1 }),
            ("checksum", solicitation.indices.contains(57) ? solicitation.enumerated().map { $0.offset == 57 ? 0 : $0.element } : []),
            ("a target that is a group", changed(solicitation) { $0[62] = 0xFF }),
            ("an option without length", changed(solicitation) { $0[79] = 0 }),
            ("an option beyond the end", changed(solicitation) { $0[79] = 2 }),
            ("half an option", changed(solicitation) { $0[19] = 28 }),
            ("too short", changed(solicitation) { $0[19] = 23 }),
            ("cut off", Array(solicitation.dropLast())),
            ("a source that is a group", changed(solicitation) { $0[22] = 0xFF }),
            (
                "a mapped target",
                changed(solicitation) { $0.replaceSubrange(62..<78, with: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 77, 1, 100]) }
            ),
            (
                "no source, but its hardware address",
                changed(solicitation) { $0.replaceSubrange(22..<38, with: [UInt8](repeating: 0, count: 16)) }
            ),
            ("solicited, but to all", changed(Self.linuxAdvertisement) { $0[38] = 0xFF }),
        ]
        for (what, frame) in wrong { #expect(parse(frame) == .malformed, "\(what)") }
        let check = frame(.duplicateCheck(of: IPAddress("fd77:1::100")!, at: Self.asker))
        #expect(parse(changed(check) { $0[53] = 0x99 }) != .malformed)
        #expect(parse(changed(check) { $0[49] = 0 }) == .malformed, "without a source, but not to the group")
    }

    @Test func unknownOptionsAreSkipped() {
        var longer = Self.linuxSolicitation
        longer.insert(contentsOf: [14, 1, 1, 2, 3, 4, 5, 6], at: 78)
        longer = changed(longer) { $0[19] = 40 }
        guard case .message(let message) = parse(longer) else {
            Issue.record("not read")
            return
        }
        #expect(message.hardware == Self.asker)
    }

    @Test(arguments: [UInt8(133), 134, 137]) func routersMessagesAreTheKernels(_ type: UInt8) {
        let frame = changed(Self.linuxSolicitation) { $0[54] = type }
        #expect(frame.withUnsafeBytes { NeighbourMessage.isNeighbourDiscovery($0.bytes) })
        #expect(parse(frame) == .other)
    }

    @Test func otherFramesAreForOtherLayers() {
        var echo = Self.linuxSolicitation
        echo[54] = 128
        var extended = Self.linuxSolicitation
        extended[20] = 0
        var v4 = Self.linuxSolicitation
        v4[12] = 8
        v4[13] = 0
        for frame in [echo, extended, v4, Array(Self.linuxSolicitation.prefix(54)), []] {
            #expect(!frame.withUnsafeBytes { NeighbourMessage.isNeighbourDiscovery($0.bytes) })
        }
    }

    @Test func everyCutAndEveryBitIsSurvived() {
        for frame in [Self.linuxSolicitation, Self.linuxAdvertisement] {
            for length in 55..<frame.count { #expect(parse(Array(frame.prefix(length))) == .malformed) }
            for bit in 14 * 8..<frame.count * 8 {
                var damaged = frame
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                // Traffic class and flow label are not covered by any checksum, and do not matter.
                guard !(14 * 8 + 4..<18 * 8).contains(bit / 8 * 8 + 7 - bit % 8) else { continue }
                guard damaged.withUnsafeBytes({ NeighbourMessage.isNeighbourDiscovery($0.bytes) }) else { continue }
                if case .message = parse(damaged) { Issue.record("bit \(bit) of \(frame[54])") }
            }
        }
    }

    @Test func groups() {
        let address = IPAddress("2001:db8::1:2345:6789")!
        #expect(address.solicitedNodeGroup.description == "ff02::1:ff45:6789")
        #expect(address.solicitedNodeGroup.isSolicitedNodeGroup && !IPAddress.allNodes.isSolicitedNodeGroup)
        #expect(address.solicitedNodeGroup.groupHardware.description == "33:33:ff:45:67:89")
        #expect(IPAddress.allNodes.groupHardware.description == "33:33:00:00:00:01")
    }
}
