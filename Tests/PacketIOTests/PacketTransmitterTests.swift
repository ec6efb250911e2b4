import Glibc
import Testing

@testable import DispatcherCore
@testable import PacketIO

/// A transmitter over socket pairs: the frames that it sends, virtio headers included, can be read back without root.
struct FrameWire: ~Copyable {
    static let own = IPAddress("10.77.2.200")!
    static let ownOfIPv6 = IPAddress("fd77:2::200")!
    static let ownHardware = HardwareAddress(bits: 0x02_00_00_00_00_02)

    var transmitter: PacketTransmitter
    private let receivers: [Int32]

    init(repliesToSender: Bool = true, isShared: Bool = false, limit: Int = .max) {
        var client: [Int32] = [0, 0]
        var server: [Int32] = [0, 0]
        precondition(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &client) == 0)
        precondition(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &server) == 0)
        var clientSide = FrameSide(
            socket: client[0], nextHops: Self.nextHops("10.77.1.0", TestFrames.service.address), repliesToSender: repliesToSender)
        var serverSide = FrameSide(socket: server[0], nextHops: Self.nextHops("10.77.2.0", Self.own), repliesToSender: true)
        clientSide.limit = limit
        serverSide.limit = limit
        transmitter = PacketTransmitter(client: clientSide, server: serverSide, isShared: isShared)
        receivers = [client[1], server[1]]
    }

    deinit { for receiver in receivers { close(receiver) } }

    private static func nextHops(_ subnet: String, _ address: IPAddress) -> NextHops {
        var hops = NextHops(ownAddresses: [address, ownOfIPv6], hardwareAddress: ownHardware, key: SipKey(3, 4))
        hops.routes.replace(with: [
            Route(destination: IPAddress(subnet)!, length: 96 + 24), Route(destination: IPAddress("fd77:2::")!, length: 64),
            Route(destination: IPAddress("fd77:3::")!, length: 64, gateway: IPAddress("fe80::1")!),
        ])
        return hops
    }

    func frames(_ side: Side) -> [[UInt8]] {
        var found: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 70_000)
        while true {
            let count = recv(receivers[Int(side.rawValue)], &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count <= 0 { return found }
            found.append(Array(buffer[..<count]))
        }
    }

    /// The questions among the frames of the server side, and the rest.
    func sorted() -> (questions: [ARPPacket], packets: [[UInt8]]) {
        var questions: [ARPPacket] = []
        var packets: [[UInt8]] = []
        for frame in frames(.server) {
            let parsed = Array(frame[10...]).withUnsafeBytes { Frame.parse($0.bytes) }
            if case .arp(let packet) = parsed { questions.append(packet) } else { packets.append(frame) }
        }
        return (questions, packets)
    }
}

struct PacketTransmitterTests {
    private let serverHardware = HardwareAddress(bits: 0x02_00_0A_4D_02_0B)

    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 1_000_000_000_000) + .milliseconds(milliseconds) }

    /// Segments to servers (by the routing table) or to clients (to a neighbour that the engine names).
    private func egress(_ side: Side, _ payloads: [Int], segmentSize: Int = 1_460, sum: Bool = false, to hardware: HardwareAddress? = nil)
        -> Egress
    {
        var egress = Egress(leavesChecksums: true)
        for (index, payload) in payloads.enumerated() {
            let bytes = (0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ index) }
            var segment = OutgoingSegment(
                side: side, source: side == .client ? TestFrames.service : TestFrames.source,
                destination: side == .client ? TestFrames.client : TestFrames.server, sequence: SequenceNumber(UInt32(index)),
                acknowledgement: SequenceNumber(7), flags: [.ack, .psh], window: 500, segmentSize: segmentSize)
            if let hardware { segment.nextHop = .neighbour(hardware) }
            if sum { segment.payloadSum = bytes.withUnsafeBytes { Checksum.partial($0) } }
            let fits = bytes.withUnsafeBytes { egress.append(segment, payload: $0) }
            precondition(fits)
        }
        return egress
    }

    private func answer(_ operation: ARPPacket.Operation = .reply) -> ARPPacket {
        ARPPacket(
            operation: operation, senderHardware: serverHardware, senderAddress: TestFrames.server.address,
            targetHardware: operation == .reply ? FrameWire.ownHardware : .none, targetAddress: FrameWire.own)
    }

    private func word(_ frame: [UInt8], _ offset: Int) -> Int { Int(frame[offset]) | Int(frame[offset + 1]) << 8 }

    // MARK: Frames

    @Test func whatAnswersAClientGoesWhereItsFrameCameFrom() {
        var wire = FrameWire()
        wire.transmitter.send(egress(.client, [10], to: TestFrames.clientHardware), at: at(0))
        let frames = wire.frames(.client)
        #expect(frames.count == 1)
        #expect(
            Array(frames[0][10..<24]) == TestFrames.hardware(TestFrames.clientHardware) + TestFrames.hardware(FrameWire.ownHardware) + [
                8, 0,
            ])
        #expect(frames[0].count == 10 + 14 + 40 + 10)
    }

    @Test func aSmallSegmentLeavesItsChecksumToTheKernel() {
        var wire = FrameWire()
        wire.transmitter.send(egress(.client, [10], to: TestFrames.clientHardware), at: at(0))
        let frame = wire.frames(.client)[0]
        // Flags, no segmentation, header length and segment size 0, from 14 + 20, field at 16.
        #expect(Array(frame[..<10]) == [1, 0, 0, 0, 0, 0, 34, 0, 16, 0])
        let parsed = Array(frame[10...]).withUnsafeBytes { Frame.parse($0.bytes) }
        guard case .segment(let segment) = parsed else {
            Issue.record("\(parsed)")
            return
        }
        #expect(segment.checksumState == .partial && segment.payloadLength == 10)
    }

    @Test func aVerifiedChecksumStaysTheSenders() {
        var wire = FrameWire()
        wire.transmitter.send(egress(.client, [10], sum: true, to: TestFrames.clientHardware), at: at(0))
        let frame = wire.frames(.client)[0]
        #expect(Array(frame[..<10]) == [UInt8](repeating: 0, count: 10))
        let parsed = Array(frame[10...]).withUnsafeBytes { Frame.parse($0.bytes) }
        guard case .segment(let segment) = parsed else {
            Issue.record("\(parsed)")
            return
        }
        #expect(segment.checksumState == .full)
    }

    @Test(arguments: [1_461, 40_000, 65_495]) func aLargeSegmentCrossesInOnePiece(_ length: Int) {
        var wire = FrameWire()
        wire.transmitter.send(egress(.client, [length], to: TestFrames.clientHardware), at: at(0))
        let frames = wire.frames(.client)
        #expect(frames.count == 1 && frames[0].count == 10 + 14 + 40 + length)
        #expect(frames[0][0] == 1 && frames[0][1] == 1)
        #expect(word(frames[0], 2) == 54 && word(frames[0], 4) == 1_460)
        #expect(word(frames[0], 6) == 34 && word(frames[0], 8) == 16)
    }

    @Test func oneThatJustFitsIsNotCut() {
        var wire = FrameWire()
        wire.transmitter.send(egress(.client, [1_460], to: TestFrames.clientHardware), at: at(0))
        #expect(wire.frames(.client)[0][1] == 0)
    }

    @Test func whatTheDeviceDoesNotSegmentIsCutHere() throws {
        var wire = FrameWire(limit: 20_000)
        let egress = egress(.client, [19_945, 19_946, 40_000], to: TestFrames.clientHardware)
        let payload = Array(egress.bytes(of: egress[2]))[40...]
        wire.transmitter.send(egress, at: at(0))
        let frames = wire.frames(.client)
        // 14 + 40 + 19,945 is one less than the limit.
        #expect(frames[0].count == 10 + 14 + 40 + 19_945 && frames[0][1] == 1)
        let pieces = frames[1...]
        #expect(pieces.count == 14 + 28)
        #expect(pieces.allSatisfy { Array($0[..<10]) == [UInt8](repeating: 0, count: 10) })
        #expect(pieces.allSatisfy { Array($0[10..<16]) == TestFrames.hardware(TestFrames.clientHardware) })
        var last: [UInt8] = []
        for piece in pieces.suffix(28) {
            let parsed = Array(piece[10...]).withUnsafeBytes { Frame.parse($0.bytes) }
            guard case .segment(let segment) = parsed else {
                Issue.record("\(parsed)")
                return
            }
            #expect(segment.checksumState == .full)
            last += piece[(10 + segment.payloadOffset)...]
        }
        #expect(last == Array(payload))
    }

    @Test func whatWaitedIsCutToo() {
        var wire = FrameWire(limit: 2_000)
        wire.transmitter.send(egress(.server, [4_000]), at: at(0))
        wire.transmitter.receive(answer(), asksUs: false, on: .server, at: at(10))
        #expect(wire.sorted().packets.map(\.count) == [10 + 54 + 1_460, 10 + 54 + 1_460, 10 + 54 + 1_080])
    }

    @Test func whatIsNoTCPLeavesNothingToTheKernel() {
        var wire = FrameWire()
        var egress = Egress(leavesChecksums: true)
        let packet = egress.reserve(
            60, side: .client, nextHop: .neighbour(TestFrames.clientHardware), destination: TestFrames.client.address, segmentSize: 0)
        packet?.initializeMemory(as: UInt8.self, repeating: 0x45, count: 60)
        wire.transmitter.send(egress, at: at(0))
        #expect(Array(wire.frames(.client)[0][..<10]) == [UInt8](repeating: 0, count: 10))
    }

    @Test func aBatchHas256FramesAtMost() {
        var wire = FrameWire()
        var seen = 0
        wire.transmitter.receive(answer(.request), asksUs: true, on: .server, at: at(0))
        wire.transmitter.send(egress(.server, [Int](repeating: 1, count: 300)), at: at(1))
        seen += wire.frames(.server).count
        let statistics = wire.transmitter.statistics(of: .server)
        #expect(seen == Int(statistics.packets) && Int(statistics.packets + statistics.failed) == 300)
        #expect(statistics.calls >= 2)
    }

    // MARK: Next hops

    @Test func aServerIsAskedForAndItsPacketsFollowInOrder() {
        var wire = FrameWire()
        wire.transmitter.send(egress(.server, [1, 2]), at: at(0))
        var sorted = wire.sorted()
        #expect(
            sorted.questions == [
                ARPPacket(
                    operation: .request, senderHardware: FrameWire.ownHardware, senderAddress: FrameWire.own, targetHardware: .none,
                    targetAddress: TestFrames.server.address)
            ])
        #expect(sorted.packets.isEmpty)
        #expect(wire.transmitter.statistics(of: .server).nextHops?.waiting == 2)
        #expect(wire.transmitter.nextDeadline == at(1_000))

        wire.transmitter.receive(answer(), asksUs: false, on: .server, at: at(30))
        sorted = wire.sorted()
        #expect(sorted.packets.map(\.count) == [10 + 14 + 41, 10 + 14 + 42])
        #expect(sorted.packets.allSatisfy { Array($0[10..<16]) == TestFrames.hardware(serverHardware) })
        wire.transmitter.send(egress(.server, [3]), at: at(40))
        sorted = wire.sorted()
        #expect(sorted.questions.isEmpty && sorted.packets.count == 1)
        #expect(wire.transmitter.statistics(of: .server).nextHops?.waiting == 0)
    }

    @Test func aSilentServersPacketsAreLostAndCounted() {
        var wire = FrameWire()
        let count = WaitingFrames.each + 1
        wire.transmitter.send(egress(.server, [Int](repeating: 1, count: count)), at: at(0))
        while wire.transmitter.nextDeadline <= at(3_000) { wire.transmitter.advance(to: wire.transmitter.nextDeadline) }
        wire.transmitter.send(egress(.server, [5]), at: at(3_100))
        let sorted = wire.sorted()
        #expect(sorted.questions.count == 3 && sorted.packets.isEmpty)
        let figures = wire.transmitter.statistics(of: .server).nextHops
        #expect(figures?.dropped(.waitingFull) == 1)
        #expect(figures?.dropped(.unresolved) == UInt64(count))
        #expect(figures?.failures == 1 && figures?.asked == 3 && figures?.waiting == 0)
        #expect(figures?.lastFailure == TestFrames.server.address)
    }

    @Test func whoAsksUsIsKnown() {
        var wire = FrameWire()
        wire.transmitter.receive(answer(.request), asksUs: true, on: .server, at: at(0))
        wire.transmitter.send(egress(.server, [1]), at: at(1))
        let sorted = wire.sorted()
        #expect(sorted.questions.isEmpty && sorted.packets.count == 1)
    }

    @Test func whatNoHostCanHaveIsNotLearned() {
        var wire = FrameWire()
        for change in 0..<4 {
            var packet = answer(.request)
            switch change {
            case 0: packet.senderHardware = .broadcast
            case 1: packet.senderHardware = .none
            case 2: packet.senderAddress = IPAddress(v4: 0)
            default: packet.senderAddress = FrameWire.own
            }
            wire.transmitter.receive(packet, asksUs: true, on: .server, at: at(0))
        }
        #expect(wire.transmitter.statistics(of: .server).nextHops?.neighbours == 0)
    }

    @Test func aProbeGoesToTheNeighbourItself() throws {
        var wire = FrameWire()
        wire.transmitter.receive(answer(.request), asksUs: true, on: .server, at: at(0))
        wire.transmitter.send(egress(.server, [1]), at: at(1))
        _ = wire.frames(.server)
        while wire.transmitter.nextDeadline <= at(55_000) { wire.transmitter.advance(to: wire.transmitter.nextDeadline) }
        let probe = try #require(wire.frames(.server).first)
        #expect(Array(probe[10..<16]) == TestFrames.hardware(serverHardware))
        #expect(Array(probe[..<10]) == [UInt8](repeating: 0, count: 10))
    }

    @Test func withoutRouteAPacketIsCounted() {
        var wire = FrameWire()
        var egress = Egress()
        let packet = egress.reserve(40, side: .server, nextHop: .route, destination: IPAddress("192.0.2.1")!, segmentSize: 0)
        packet?.initializeMemory(as: UInt8.self, repeating: 0x45, count: 40)
        wire.transmitter.send(egress, at: at(0))
        #expect(wire.transmitter.statistics(of: .server).nextHops?.dropped(.noRoute) == 1)
    }

    @Test func answersToClientsMayGoByTheRoutingTable() {
        var wire = FrameWire(repliesToSender: false)
        wire.transmitter.send(egress(.client, [10], to: TestFrames.clientHardware), at: at(0))
        let frames = wire.frames(.client)
        #expect(frames.count == 1 && frames[0].count == 10 + ARPPacket.frameLength)
        #expect(wire.transmitter.statistics(of: .client).nextHops?.waiting == 1)
    }

    @Test(arguments: [HardwareAddress.broadcast, .none, HardwareAddress(bits: 0x01_00_5E_00_00_01)])
    func aSenderThatIsNoStationIsNotAnswered(_ hardware: HardwareAddress) {
        var wire = FrameWire()
        wire.transmitter.send(egress(.client, [10], to: hardware), at: at(0))
        #expect(wire.frames(.client).map(\.count) == [10 + ARPPacket.frameLength])
    }

    @Test func ofASharedInterfaceBothSidesLearn() {
        var wire = FrameWire(isShared: true)
        wire.transmitter.receive(answer(.request), asksUs: true, on: .client, at: at(0))
        for side in Side.allCases { #expect(wire.transmitter.statistics(of: side).nextHops?.neighbours == 1) }
    }

    @Test func refusesInterfacesThatDoNotExist() {
        let link = PacketTransmitter.Link(interface: "sluice-none", addresses: [FrameWire.own])
        let error = #expect(throws: CaptureError.self) {
            _ = try PacketTransmitter(client: link, server: link, key: SipKey(0, 0))
        }
        #expect(error?.kind == .noSuchInterface)
    }
}
