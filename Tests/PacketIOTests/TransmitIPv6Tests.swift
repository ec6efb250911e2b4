import Glibc
import Testing

@testable import DispatcherCore
@testable import PacketIO

/// Both transmitters with packets of IPv6.
struct TransmitIPv6Tests {
    private let server = Endpoint(address: IPAddress("fd77:2::11")!, port: 8_080)
    private let serverHardware = HardwareAddress(bits: 0x02_00_0A_4D_02_0B)
    private let router = IPAddress("fe80::1")!

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 1_000_000_000_000) + .milliseconds(milliseconds) }

    private func egress(
        _ side: Side, _ payloads: [Int], to destination: Endpoint? = nil, leavesChecksums: Bool = true, hardware: HardwareAddress? = nil
    ) -> Egress {
        var egress = Egress(leavesChecksums: leavesChecksums)
        for (index, payload) in payloads.enumerated() {
            let bytes = (0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ index) }
            var segment = OutgoingSegment(
                side: side, source: Endpoint(address: FrameWire.ownOfIPv6, port: 10_000), destination: destination ?? server,
                sequence: SequenceNumber(UInt32(index)), acknowledgement: SequenceNumber(7), flags: [.ack, .psh], window: 500,
                segmentSize: 1_440)
            if let hardware { segment.nextHop = .neighbour(hardware) }
            let fits = bytes.withUnsafeBytes { egress.append(segment, payload: $0) }
            precondition(fits)
        }
        return egress
    }

    private func segment(_ frame: [UInt8]) throws -> Segment {
        let parsed = frame.withUnsafeBytes { Frame.parse($0.bytes) }
        guard case .segment(let segment) = parsed else {
            Issue.record("not a sound segment: \(parsed)")
            throw CancellationError()
        }
        return segment
    }

    private func message(_ frame: [UInt8]) throws -> NeighbourMessage {
        #expect(Array(frame[..<10]) == [UInt8](repeating: 0, count: 10))
        let parsed = Array(frame[10...]).withUnsafeBytes { NeighbourMessage.parse($0.bytes) }
        guard case .message(let message) = parsed else {
            Issue.record("not a message: \(parsed)")
            throw CancellationError()
        }
        return message
    }

    private func answer(for target: IPAddress? = nil) -> NeighbourMessage {
        NeighbourMessage.solicitation(for: target ?? server.address, from: FrameWire.ownOfIPv6, at: FrameWire.ownHardware)
            .answer(at: serverHardware)
    }

    private func word(_ frame: [UInt8], _ offset: Int) -> Int { Int(frame[offset]) | Int(frame[offset + 1]) << 8 }

    // MARK: Frames

    @Test func aSmallSegmentLeavesItsChecksumToTheKernel() throws {
        var wire = FrameWire()
        wire.transmitter.send(egress(.client, [10], hardware: TestFrames.clientHardware), at: at(0))
        let frame = wire.frames(.client)[0]
        // Flags, no segmentation, header length and segment size 0, from 14 + 40, field at 16.
        #expect(Array(frame[..<10]) == [1, 0, 0, 0, 0, 0, 54, 0, 16, 0])
        #expect(Array(frame[22..<24]) == [0x86, 0xDD])
        let segment = try segment(Array(frame[10...]))
        #expect(segment.checksumState == .partial && segment.payloadLength == 10 && segment.destination == server)
    }

    @Test(arguments: [1_441, 40_000, 65_475]) func aLargeSegmentCrossesInOnePiece(_ length: Int) {
        var wire = FrameWire()
        wire.transmitter.send(egress(.client, [length], hardware: TestFrames.clientHardware), at: at(0))
        let frames = wire.frames(.client)
        #expect(frames.count == 1 && frames[0].count == 10 + 14 + 60 + length)
        #expect(frames[0][0] == 1 && frames[0][1] == 4)
        #expect(word(frames[0], 2) == 74 && word(frames[0], 4) == 1_440)
        #expect(word(frames[0], 6) == 54 && word(frames[0], 8) == 16)
    }

    @Test func whatTheDeviceDoesNotSegmentIsCutHere() throws {
        var wire = FrameWire(limit: 20_000)
        let egress = egress(.client, [40_000], hardware: TestFrames.clientHardware)
        let payload = Array(egress.bytes(of: egress[0]))[60...]
        wire.transmitter.send(egress, at: at(0))
        var joined: [UInt8] = []
        for frame in wire.frames(.client) {
            #expect(Array(frame[..<10]) == [UInt8](repeating: 0, count: 10))
            let segment = try segment(Array(frame[10...]))
            #expect(segment.checksumState == .full)
            joined += frame[(10 + segment.payloadOffset)...]
        }
        #expect(joined == Array(payload))
    }

    // MARK: Next hops

    @Test func aServerIsAskedForAndItsPacketsFollowInOrder() throws {
        var wire = FrameWire()
        wire.transmitter.send(egress(.server, [1, 2]), at: at(0))
        let asked = wire.frames(.server)
        #expect(asked.count == 1)
        #expect(
            try message(asked[0]) == .solicitation(for: server.address, from: FrameWire.ownOfIPv6, at: FrameWire.ownHardware))
        #expect(Array(asked[0][10..<16]) == [0x33, 0x33, 0xFF, 0, 0, 0x11])
        #expect(wire.transmitter.statistics(of: .server).nextHops?.waiting == 2)

        wire.transmitter.receive(answer(), asksUs: false, on: .server, at: at(30))
        let frames = wire.frames(.server)
        #expect(frames.map(\.count) == [10 + 14 + 61, 10 + 14 + 62])
        #expect(frames.allSatisfy { Array($0[10..<16]) == TestFrames.hardware(serverHardware) })
        #expect(wire.transmitter.statistics(of: .server).nextHops?.waiting == 0)
    }

    @Test func aLinkLocalGatewayIsAskedForFromAnAddressOfOurs() throws {
        var wire = FrameWire()
        let far = Endpoint(address: IPAddress("fd77:3::11")!, port: 9)
        wire.transmitter.send(egress(.server, [1], to: far), at: at(0))
        let question = try message(wire.frames(.server)[0])
        #expect(question.target == router && question.source == FrameWire.ownOfIPv6)
        wire.transmitter.receive(answer(for: router), asksUs: false, on: .server, at: at(30))
        let frames = wire.frames(.server)
        #expect(try frames.map { try segment(Array($0[10...])).destination } == [far])
    }

    @Test func aSilentServersPacketsAreLostAndCounted() throws {
        var wire = FrameWire()
        wire.transmitter.send(egress(.server, [Int](repeating: 1, count: WaitingFrames.each + 1)), at: at(0))
        while wire.transmitter.nextDeadline <= at(3_000) { wire.transmitter.advance(to: wire.transmitter.nextDeadline) }
        #expect(try wire.frames(.server).map { try message($0).target } == [IPAddress](repeating: server.address, count: 3))
        let figures = wire.transmitter.statistics(of: .server).nextHops
        #expect(figures?.dropped(.waitingFull) == 1 && figures?.dropped(.unresolved) == UInt64(WaitingFrames.each))
        #expect(figures?.failures == 1 && figures?.lastFailure == server.address)
    }

    @Test func aProbeGoesToTheNeighbourItself() throws {
        var wire = FrameWire()
        wire.transmitter.send(egress(.server, [1]), at: at(0))
        wire.transmitter.receive(answer(), asksUs: false, on: .server, at: at(1))
        wire.transmitter.send(egress(.server, [1]), at: at(2))
        _ = wire.frames(.server)
        while wire.transmitter.nextDeadline <= at(55_001) { wire.transmitter.advance(to: wire.transmitter.nextDeadline) }
        let probe = try #require(wire.frames(.server).first)
        #expect(Array(probe[10..<16]) == TestFrames.hardware(serverHardware))
        #expect(try message(probe).destination == server.address)
    }

    @Test func whoAsksUsIsKnown() {
        var wire = FrameWire()
        let question = NeighbourMessage.solicitation(for: FrameWire.ownOfIPv6, from: server.address, at: serverHardware)
        wire.transmitter.receive(question, asksUs: true, on: .server, at: at(0))
        wire.transmitter.send(egress(.server, [1]), at: at(1))
        #expect(wire.frames(.server).map(\.count) == [10 + 14 + 61])
    }

    @Test func whatTellsNothingIsNotLearned() {
        var wire = FrameWire()
        var noOption = NeighbourMessage.solicitation(for: FrameWire.ownOfIPv6, from: server.address, at: serverHardware)
        noOption.hardware = nil
        var group = noOption
        group.hardware = HardwareAddress(bits: 0x3333_0000_0001)
        for message in [
            noOption, group, .duplicateCheck(of: FrameWire.ownOfIPv6, at: serverHardware),
            .solicitation(for: server.address, from: FrameWire.ownOfIPv6, at: serverHardware),
            .announcement(of: server.address, at: serverHardware),
        ] { wire.transmitter.receive(message, asksUs: message.target == FrameWire.ownOfIPv6, on: .server, at: at(0)) }
        #expect(wire.transmitter.statistics(of: .server).nextHops?.neighbours == 0)
    }

    // MARK: Raw

    @Test(arguments: [1_440, 1_441, 40_000]) func rawSegmentsAreCut(_ length: Int) throws {
        var wire = RawWire()
        let egress = egress(.server, [length], leavesChecksums: false)
        let whole = Array(egress.bytes(of: egress[0]))[60...]
        wire.transmitter.send(egress, at: at(0))
        var joined: [UInt8] = []
        let packets = wire.packets(.server)
        #expect(packets.count == (length + 1_439) / 1_440)
        for packet in packets {
            let frame = TestFrames.ethernet(type: 0x86DD) + packet
            let segment = try segment(frame)
            #expect(segment.checksumState == .full && packet.count <= 1_500)
            joined += frame[segment.payloadOffset...]
        }
        #expect(joined == Array(whole))
    }

    @Test func bothFamiliesLeaveAndAreCountedTogether() {
        var wire = RawWire()
        wire.transmitter.send(TestFrames.egress([(.server, 10)]), at: at(0))
        wire.transmitter.send(egress(.server, [20], leavesChecksums: false), at: at(0))
        #expect(wire.packets(.server).map(\.count) == [50, 80])
        #expect(wire.transmitter.statistics(of: .server).packets == 2)
    }
}
