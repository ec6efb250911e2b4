import Foundation
import PacketIO

@testable import DispatcherCore

/// Frames and packets made by the wire layer itself.
enum TestFrames {
    static let client = Endpoint(address: IPAddress("10.77.1.11")!, port: 40_000)
    static let service = Endpoint(address: IPAddress("10.77.1.100")!, port: 80)
    static let source = Endpoint(address: IPAddress("10.77.2.200")!, port: 10_000)
    static let server = Endpoint(address: IPAddress("10.77.2.11")!, port: 8_080)
    static let clientHardware = HardwareAddress(bits: 0x02_00_0A_4D_01_0B)
    static let ownHardware = HardwareAddress(bits: 0x02_00_0A_4D_01_01)

    /// An egress with one segment for each payload length, in order.
    static func egress(_ segments: [(side: Side, payload: Int)], segmentSize: Int = 1_460) -> Egress {
        var egress = Egress()
        for (index, segment) in segments.enumerated() { append(segment.side, segment.payload, index, segmentSize, &egress) }
        return egress
    }

    static func append(_ side: Side, _ payload: Int, _ index: Int, _ segmentSize: Int, _ egress: inout Egress) {
        let bytes = (0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ index) }
        let outgoing = OutgoingSegment(
            side: side, source: side == .client ? service : source, destination: side == .client ? client : server,
            sequence: SequenceNumber(UInt32(1_000_000 * index)), acknowledgement: SequenceNumber(7), flags: [.ack, .psh], window: 500,
            segmentSize: segmentSize)
        let fits = bytes.withUnsafeBytes { egress.append(outgoing, payload: $0) }
        precondition(fits)
    }

    /// The packet of a segment behind an Ethernet header.
    static func frame(_ side: Side, payload: Int, segmentSize: Int = 65_000) -> [UInt8] {
        let egress = egress([(side, payload)], segmentSize: segmentSize)
        return ethernet(type: 0x0800) + Array(egress.bytes(of: egress[0]))
    }

    /// A segment without payload between any two ends of one family.
    static func tcp(from source: Endpoint, to destination: Endpoint) -> [UInt8] {
        var egress = Egress()
        let outgoing = OutgoingSegment(
            side: .client, source: source, destination: destination, sequence: SequenceNumber(1), acknowledgement: SequenceNumber(7),
            flags: .ack, window: 500, segmentSize: 1_000)
        let fits = egress.append(outgoing, payload: UnsafeRawBufferPointer(start: nil, count: 0))
        precondition(fits)
        return ethernet(type: source.address.isIPv4 ? 0x0800 : 0x86DD) + Array(egress.bytes(of: egress[0]))
    }

    static func ethernet(type: UInt16) -> [UInt8] {
        hardware(ownHardware) + hardware(clientHardware) + [UInt8(type >> 8), UInt8(type & 255)]
    }

    static func hardware(_ address: HardwareAddress) -> [UInt8] {
        (0..<6).map { UInt8(truncatingIfNeeded: address.bits >> UInt64(40 - 8 * $0)) }
    }

    static func arp(_ packet: ARPPacket) -> [UInt8] {
        var frame = [UInt8](repeating: 0, count: ARPPacket.frameLength)
        frame.withUnsafeMutableBytes { packet.writeFrame(to: .broadcast, into: $0) }
        return frame
    }

    static func discovery(_ message: NeighbourMessage) -> [UInt8] {
        var frame = [UInt8](repeating: 0, count: message.frameLength)
        frame.withUnsafeMutableBytes { message.writeFrame(to: ownHardware, into: $0) }
        return frame
    }

    static func request(for address: IPAddress) -> ARPPacket {
        ARPPacket(
            operation: .request, senderHardware: clientHardware, senderAddress: client.address, targetHardware: .none,
            targetAddress: address)
    }

    /// A file of these frames, a millisecond apart; in a directory that is the caller's to remove.
    static func file(_ frames: [[UInt8]], in directory: TemporaryDirectory, _ name: String) throws -> String {
        let path = directory.path + "/" + name
        let writer = try CaptureFileWriter(path: path)
        for (index, frame) in frames.enumerated() {
            frame.withUnsafeBytes { writer.write($0, at: Instant(nanoseconds: Int64(index + 1) * 1_000_000)) }
        }
        try writer.flush()
        return path
    }
}

enum FileSurgery {
    static func replaceByte(at offset: Int, with byte: UInt8, in path: String) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[offset] = byte
        try bytes.write(to: URL(fileURLWithPath: path))
    }
}

/// A directory that goes away with its last reference.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
