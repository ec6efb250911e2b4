/// Cuts a TCP segment that is larger than the wire takes, statelessly: the same packet is always cut at the same places, so a
/// retransmission is cut again the same way (tcp.md, "Options"). PSH and FIN stay on the last piece only.
public struct SegmentSplitter {
    private let packet: UnsafeRawBufferPointer
    private let payload: UnsafeRawBufferPointer
    private let isIPv4: Bool
    private let ipHeader: Int
    private let headers: Int
    private let segmentSize: Int
    /// How many pieces there are.
    public let count: Int

    /// - Parameters:
    ///   - packet: an IPv4 or IPv6 packet with a TCP segment that an `Egress` wrote.
    ///   - payload: its payload, where that lies elsewhere.
    ///   - segmentSize: payload bytes of a piece.
    public init(
        packet: UnsafeRawBufferPointer, payload apart: UnsafeRawBufferPointer = .empty,
        segmentSize: Int
    ) {
        precondition(packet.count >= 40 && segmentSize > 0)
        self.packet = packet
        isIPv4 = packet[0] >> 4 == 4
        ipHeader = isIPv4 ? Int(packet[0] & 15) * 4 : IPHeader.lengthIPv6
        precondition(packet.count >= ipHeader + 20)
        headers = ipHeader + Int(packet[ipHeader + 12] >> 4) * 4
        precondition(headers <= packet.count && headers <= Self.largestHeader)
        self.segmentSize = segmentSize
        payload = apart.isEmpty ? UnsafeRawBufferPointer(rebasing: packet[headers...]) : apart
        count = max(1, (payload.count + segmentSize - 1) / segmentSize)
    }

    /// Bytes that `writeHeader` may need.
    public static let largestHeader = 120

    /// Writes the headers of a piece, its checksums complete.
    /// - Returns: the bytes of the headers, and the part of the payload that follows them on the wire, where it lies.
    public func writeHeader(of index: Int, into header: UnsafeMutableRawPointer) -> (length: Int, payload: UnsafeRawBufferPointer) {
        precondition(index >= 0 && index < count)
        let start = index * segmentSize
        let end = min(start + segmentSize, payload.count)
        let part = UnsafeRawBufferPointer(rebasing: payload[start..<end])
        header.copyMemory(from: packet.baseAddress!, byteCount: headers)
        let pieceLength = headers - ipHeader + end - start
        if isIPv4 {
            header.store(UInt16(ipHeader + pieceLength), at: 2)
            header.store(UInt16(0), at: 10)
            header.store(Checksum.ofHeader(header), at: 10)
        } else {
            header.store(UInt16(pieceLength), at: 4)
        }

        let tcp = header + ipHeader
        let sequence = UInt32(bigEndian: tcp.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        tcp.store(sequence &+ UInt32(start), at: 4)
        if index < count - 1 {
            let flags = TCPFlags(rawValue: tcp.load(fromByteOffset: 13, as: UInt8.self)).subtracting([.psh, .fin])
            tcp.store(flags.rawValue, at: 13)
        }
        tcp.store(UInt16(0), at: 16)
        var sum = Checksum()
        // Both addresses as they lie there, the source before the destination: their sum does not ask where one ends.
        let addresses = isIPv4 ? 12..<20 : 8..<40
        sum.add(UnsafeRawBufferPointer(start: header + addresses.lowerBound, count: addresses.count))
        sum.add(UInt16(6))
        sum.add(UInt32(pieceLength))
        sum.add(UnsafeRawBufferPointer(start: tcp, count: headers - ipHeader))
        sum.add(part)
        tcp.store(sum.field, at: 16)
        return (headers, part)
    }
}
