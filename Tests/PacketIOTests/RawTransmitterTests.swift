import Glibc
import Testing

@testable import DispatcherCore
@testable import PacketIO

/// A transmitter over socket pairs: what it sends can be read back, packet by packet, without root.
private struct Wire: ~Copyable {
    var transmitter: RawTransmitter
    private let receivers: [Int32]

    init() {
        var client: [Int32] = [0, 0]
        var server: [Int32] = [0, 0]
        precondition(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &client) == 0)
        precondition(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &server) == 0)
        transmitter = RawTransmitter(clientSocket: client[0], serverSocket: server[0], areAddressed: false)
        receivers = [client[1], server[1]]
    }

    deinit { for receiver in receivers { close(receiver) } }

    func packets(_ side: Side) -> [[UInt8]] {
        var found: [[UInt8]] = []
        var buffer = [UInt8](repeating: 0, count: 70_000)
        while true {
            let count = recv(receivers[Int(side.rawValue)], &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count <= 0 { return found }
            found.append(Array(buffer[..<count]))
        }
    }
}

struct RawTransmitterTests {
    /// The segment that a packet holds; its checksums must be complete.
    private func segment(_ packet: [UInt8]) throws -> (segment: Segment, payload: [UInt8]) {
        let frame = TestFrames.ethernet(type: 0x0800) + packet
        return try frame.withUnsafeBytes { bytes in
            guard case .segment(let segment) = Frame.parse(bytes.bytes) else {
                Issue.record("not a sound segment")
                throw CancellationError()
            }
            #expect(segment.checksumState == .full)
            return (segment, Array(frame[segment.payloadOffset..<segment.payloadOffset + segment.payloadLength]))
        }
    }

    @Test func eachSideLeavesThroughItsOwnSocketInOrder() throws {
        var wire = Wire()
        let egress = TestFrames.egress([(.client, 10), (.server, 20), (.client, 30), (.server, 40)])
        wire.transmitter.send(egress, at: .distantPast)
        #expect(try wire.packets(.client).map { try segment($0).payload.count } == [10, 30])
        #expect(try wire.packets(.server).map { try segment($0).payload.count } == [20, 40])
        #expect(wire.transmitter.statistics(of: .client).packets == 2)
        #expect(wire.transmitter.statistics(of: .client).calls == 1)
    }

    @Test("K04 nothing larger than the link is handed to a raw socket", arguments: [1_459, 1_460, 1_461, 2_920, 2_921, 40_000])
    func largeSegmentsAreCut(_ length: Int) throws {
        var wire = Wire()
        let egress = TestFrames.egress([(.client, length)])
        let whole = Array(egress.bytes(of: egress[0]))[40...]
        wire.transmitter.send(egress, at: .distantPast)
        let pieces = try wire.packets(.client).map(segment)
        #expect(pieces.count == (length + 1_459) / 1_460)
        #expect(pieces.flatMap(\.payload) == Array(whole))
        for (index, piece) in pieces.enumerated() {
            #expect(piece.segment.sequence == SequenceNumber(UInt32(index * 1_460)))
            #expect(piece.segment.flags.contains(.psh) == (index == pieces.count - 1))
        }
    }

    @Test func aBatchHas256PacketsAtMost() {
        var wire = Wire()
        wire.transmitter.send(TestFrames.egress([(.client, 1_460 * 30)]), at: .distantPast)
        #expect(wire.transmitter.statistics(of: .client).calls == 1)
        // More than fits at once: pieces of one segment lie in two batches.
        var sent = 30
        for _ in 0..<3 {
            wire.transmitter.send(TestFrames.egress((0..<9).map { _ in (.client, 100 * 30) }, segmentSize: 100), at: .distantPast)
            sent += 270
            #expect(wire.packets(.client).count <= sent)
        }
        let statistics = wire.transmitter.statistics(of: .client)
        #expect(Int(statistics.packets) + Int(statistics.failed) == sent)
        #expect(statistics.calls >= 7)
    }

    @Test func whatTheKernelDoesNotTakeIsCountedByReason() {
        var sockets: [Int32] = [0, 0]
        precondition(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &sockets) == 0)
        var other: [Int32] = [0, 0]
        precondition(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &other) == 0)
        var transmitter = RawTransmitter(clientSocket: sockets[0], serverSocket: other[0], areAddressed: false)
        defer { [sockets[1], other[1]].forEach { close($0) } }
        // Nobody reads: the buffer fills up.
        for _ in 0..<40 { transmitter.send(TestFrames.egress((0..<50).map { _ in (.client, 1_000) }), at: .distantPast) }
        let statistics = transmitter.statistics(of: .client)
        #expect(statistics.packets + statistics.failed == 2_000)
        #expect(statistics.errors.map(\.code) == [EAGAIN])
        #expect(transmitter.statistics(of: .server) == TransmitStatistics())
    }

    @Test func aPacketTooLongForTheLinkDoesNotHoldUpTheNext() {
        // A datagram socket refuses what is longer than its send buffer.
        var sockets: [Int32] = [0, 0]
        precondition(socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &sockets) == 0)
        var small: Int32 = 4_096
        setsockopt(sockets[0], SOL_SOCKET, SO_SNDBUF, &small, socklen_t(MemoryLayout<Int32>.size))
        var transmitter = RawTransmitter(clientSocket: sockets[0], serverSocket: dup(sockets[0]), areAddressed: false)
        defer { close(sockets[1]) }
        transmitter.send(TestFrames.egress([(.client, 100), (.client, 60_000), (.client, 200)], segmentSize: 65_000), at: .distantPast)
        let statistics = transmitter.statistics(of: .client)
        #expect(statistics.packets == 2)
        #expect(statistics.errors.map(\.code) == [EMSGSIZE])
        #expect(statistics.failed == 1)
    }

    @Test func otherFamiliesAreCounted() {
        var wire = Wire()
        var egress = Egress()
        let packet = egress.reserve(40, side: .server, nextHop: .route, destination: IPAddress("fd77::1")!, segmentSize: 0)
        #expect(packet != nil)
        wire.transmitter.send(egress, at: .distantPast)
        #expect(wire.transmitter.statistics(of: .server).errors.map(\.code) == [EAFNOSUPPORT])
    }

    @Test func refusesInterfacesThatDoNotExist() {
        let error = #expect(throws: CaptureError.self) {
            _ = try RawTransmitter(clientInterface: "sluice-none", serverInterface: "sluice-none")
        }
        // Which comes first depends on who runs the test.
        #expect(error?.kind == .noSuchInterface || error?.kind == .notPermitted)
    }
}
