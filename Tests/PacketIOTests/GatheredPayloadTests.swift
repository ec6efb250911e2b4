import Glibc
import Testing

@testable import DispatcherCore
@testable import PacketIO

/// Payloads that lie outside the egress leave as those do that are copied into it.
struct GatheredPayloadTests {
    /// The same segments in two egresses: one that copied their payloads, one that did not.
    private struct Both: ~Copyable {
        var copied: Egress
        var gathered: Egress
        /// What the second one points into.
        let memory: UnsafeMutableRawBufferPointer

        init(_ side: Side, _ sizes: [Int], leavesChecksums: Bool, segmentSize: Int = 1_460, to hardware: HardwareAddress? = nil) {
            copied = Egress(leavesChecksums: leavesChecksums)
            gathered = Egress(leavesChecksums: leavesChecksums, gathers: true)
            memory = .allocate(byteCount: max(sizes.reduce(0, +), 1), alignment: 8)
            var at = 0
            for (index, size) in sizes.enumerated() {
                for offset in at..<at + size { memory[offset] = UInt8(truncatingIfNeeded: offset &* 7 &+ index) }
                var segment = OutgoingSegment(
                    side: side, source: side == .client ? TestFrames.service : TestFrames.source,
                    destination: side == .client ? TestFrames.client : TestFrames.server,
                    sequence: SequenceNumber(UInt32(1_000_000 * index)), acknowledgement: SequenceNumber(7), flags: [.ack, .psh],
                    window: 500, segmentSize: segmentSize)
                if let hardware { segment.nextHop = .neighbour(hardware) }
                let payload = UnsafeRawBufferPointer(rebasing: memory[at..<at + size])
                let fits = copied.append(segment, payload: payload) && gathered.append(segment, payload: payload, stays: true)
                precondition(fits)
                at += size
            }
        }

        deinit { memory.deallocate() }

        /// As the engine may, once the egress was emptied.
        mutating func reuse() {
            gathered.removeAll()
            memory.initializeMemory(as: UInt8.self, repeating: 0xEE)
        }
    }

    private static let sizes = [0, 1_460, 2_047, 2_048, 2_049, 20_000, 65_495]

    @Test func itLiesOutsideFrom2048BytesOn() {
        let both = Both(.client, Self.sizes, leavesChecksums: true)
        #expect(Self.sizes.indices.map { both.gathered[$0].payload.count } == [0, 0, 0, 2_048, 2_049, 20_000, 65_495])
        for index in Self.sizes.indices { #expect(both.gathered.whole(both.gathered[index]) == both.copied.whole(both.copied[index])) }
    }

    @Test func itStaysInMemoryThatIsSaidToStay() {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 20_000, alignment: 8)
        defer { memory.deallocate() }
        memory.initializeMemory(as: UInt8.self, repeating: 7)
        let segment = OutgoingSegment(
            side: .client, source: TestFrames.service, destination: TestFrames.client, sequence: SequenceNumber(1),
            acknowledgement: SequenceNumber(7), flags: [.ack], window: 500, segmentSize: 1_460)
        func lengthsOutside(gathers: Bool, steady: Range<Int>) -> [Int] {
            var egress = Egress(leavesChecksums: true, gathers: gathers)
            egress.steadyMemory = UnsafeRawBufferPointer(rebasing: memory[steady])
            for part in [0..<2_047, 0..<2_048, 4_000..<12_000, 12_000..<20_000, 3_999..<9_000] {
                let fits = egress.append(segment, payload: UnsafeRawBufferPointer(rebasing: memory[part]))
                #expect(fits)
            }
            return (0..<egress.count).map { egress[$0].payload.count }
        }
        #expect(lengthsOutside(gathers: true, steady: 0..<20_000) == [0, 2_048, 8_000, 8_000, 5_001])
        #expect(lengthsOutside(gathers: true, steady: 4_000..<12_000) == [0, 0, 8_000, 0, 0])
        #expect(lengthsOutside(gathers: true, steady: 0..<0) == [0, 0, 0, 0, 0])
        #expect(lengthsOutside(gathers: false, steady: 0..<20_000) == [0, 0, 0, 0, 0])
    }

    @Test func aForwardedSegmentLeavesItsPayloadToo() {
        let frame = TestFrames.frame(.client, payload: 9_000)
        frame.withUnsafeBytes { bytes in
            guard case .segment(let segment) = Frame.parse(bytes.bytes) else {
                Issue.record("no segment")
                return
            }
            let outgoing = ForwardedSegment(
                side: .server, source: TestFrames.source, destination: TestFrames.server, sequence: SequenceNumber(5),
                acknowledgement: SequenceNumber(6), window: 9, segmentSize: 1_460)
            let payload = UnsafeRawBufferPointer(rebasing: bytes[segment.payloadOffset...])
            #expect(payload.count == 9_000)
            func forwarded(_ steady: UnsafeRawBufferPointer) -> (outside: Int, whole: [UInt8]) {
                var egress = Egress(leavesChecksums: true, gathers: true)
                egress.steadyMemory = steady
                let fits = egress.forward(
                    segment, bytes.bytes, payload: payload, flags: [.ack], as: outgoing, payloadSum: nil)
                #expect(fits)
                return (egress[0].payload.count, egress.whole(egress[0]))
            }
            let (left, copied) = (forwarded(bytes), forwarded(.empty))
            #expect(left.outside == 9_000 && copied.outside == 0)
            #expect(left.whole == copied.whole)
        }
    }

    @Test(arguments: [Int.max, 20_000]) func asFrames(limit: Int) {
        let both = Both(.client, Self.sizes, leavesChecksums: true, to: TestFrames.clientHardware)
        var one = FrameWire(limit: limit)
        var other = FrameWire(limit: limit)
        one.transmitter.send(both.copied, at: .distantPast)
        other.transmitter.send(both.gathered, at: .distantPast)
        let frames = other.frames(.client)
        #expect(frames.count == (limit == .max ? 7 : 5 + 14 + 45))
        #expect(frames == one.frames(.client))
    }

    @Test func asRawPackets() {
        let both = Both(.client, Self.sizes, leavesChecksums: false)
        var one = RawWire()
        var other = RawWire()
        one.transmitter.send(both.copied, at: .distantPast)
        other.transmitter.send(both.gathered, at: .distantPast)
        let packets = other.packets(.client)
        #expect(packets.count == 1 + 1 + 2 + 2 + 2 + 14 + 45)
        #expect(packets == one.packets(.client))
    }

    @Test func oneThatFitsTheLinkAsItIs() {
        let both = Both(.client, [5_000], leavesChecksums: false, segmentSize: 8_960)
        var wire = RawWire()
        wire.transmitter.send(both.gathered, at: .distantPast)
        #expect(wire.packets(.client) == [both.copied.whole(both.copied[0])])
    }

    @Test func whatWaitsForANeighbourIsCopied() {
        var both = Both(.server, [100, 9_000], leavesChecksums: true)
        var one = FrameWire()
        var other = FrameWire()
        let answer = ARPPacket(
            operation: .reply, senderHardware: HardwareAddress(bits: 0x02_00_0A_4D_02_0B), senderAddress: TestFrames.server.address,
            targetHardware: FrameWire.ownHardware, targetAddress: FrameWire.own)
        one.transmitter.send(both.copied, at: .distantPast)
        other.transmitter.send(both.gathered, at: .distantPast)
        both.reuse()
        one.transmitter.receive(answer, asksUs: false, on: .server, at: .distantPast)
        other.transmitter.receive(answer, asksUs: false, on: .server, at: .distantPast)
        let packets = other.sorted().packets
        #expect(packets.count == 2)
        #expect(packets == one.sorted().packets)
    }

    @Test func inARecording() throws {
        let both = Both(.client, Self.sizes, leavesChecksums: true)
        let directory = try TemporaryDirectory()
        do {
            let recorder = try CaptureRecorder(directory: directory.path)
            recorder.record(both.gathered, at: Instant(nanoseconds: 1))
        }
        var outgoing = try CaptureFileReader(path: directory.path + "/" + CaptureRecorder.outgoingName(.client))
        let written = try outgoing.readAll().map { Array($0.bytes[14...]) }
        #expect(written == Self.sizes.indices.map { both.copied.whole(both.copied[$0]) })
    }

    @Test func aRecordingSaysOfWhichFamilyAPacketIs() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/packets.pcap"
        let writer = try CaptureFileWriter(path: path)
        for first in [UInt8(0x45), 0x60] {
            [first, 0, 0].withUnsafeBytes { writer.write(packet: $0, .empty, at: Instant(nanoseconds: 1)) }
        }
        try writer.flush()
        var reader = try CaptureFileReader(path: path)
        #expect(try reader.readAll().map { Array($0.bytes[12..<15]) } == [[0x08, 0x00, 0x45], [0x86, 0xDD, 0x60]])
    }
}
