/// An ICMP message as far as the dispatcher understands it (RFC 792).
public struct ICMPMessage: Sendable {
    public enum Kind: Equatable, Sendable {
        /// An echo request; the whole ICMP message lies at `offset`, `length` bytes.
        case echoRequest(offset: Int, length: Int)
        /// Destination unreachable, time exceeded or the like about a TCP segment of ours.
        case aboutSegment(ICMPError)
        /// Anything else: absorbed.
        case other
    }

    public var source: IPAddress
    public var destination: IPAddress
    public var kind: Kind

    static func parse(_ bytes: RawSpan, from start: Int, to end: Int, source: IPAddress, destination: IPAddress) -> Frame {
        guard end - start >= 8 else { return .bad(.badICMP) }
        let sum = bytes.extracting(start..<end).withUnsafeBytes { Checksum.partial($0) }
        guard sum == 0xFFFF else { return .bad(.badICMP) }
        var message = ICMPMessage(source: source, destination: destination, kind: .other)
        let type = bytes.byte(start)
        if type == 8, bytes.byte(start + 1) == 0 {
            message.kind = .echoRequest(offset: start, length: end - start)
        } else if type == 3 || type == 11 {
            let quoted = start + 8
            // The quoted header and its first eight bytes: both ports and the sequence number (RFC 792, RFC 1122 3.2.2).
            guard end - quoted >= 20 else { return .bad(.badICMP) }
            let quotedHeader = Int(bytes.byte(quoted) & 15) * 4
            guard bytes.byte(quoted) >> 4 == 4, quotedHeader >= 20, end - quoted >= quotedHeader + 8 else { return .bad(.badICMP) }
            if bytes.byte(quoted + 9) == 6 {
                let tcp = quoted + quotedHeader
                message.kind = .aboutSegment(
                    ICMPError(
                        type: type,
                        code: bytes.byte(start + 1),
                        nextHopMTU: bytes.uint16(start + 6),
                        source: Endpoint(address: IPAddress(v4: bytes.uint32(quoted + 12)), port: bytes.uint16(tcp)),
                        destination: Endpoint(address: IPAddress(v4: bytes.uint32(quoted + 16)), port: bytes.uint16(tcp + 2)),
                        sequence: SequenceNumber(bytes.uint32(tcp + 4))))
            }
        }
        return .icmp(message)
    }
}

/// What an ICMP error says about a TCP segment that we sent.
public struct ICMPError: Equatable, Sendable {
    public var type: UInt8
    public var code: UInt8
    /// For "fragmentation needed" (3, 4): the MTU that the path allows, 0 from old routers (RFC 1191).
    public var nextHopMTU: UInt16
    /// Of the quoted segment: we are its source.
    public var source: Endpoint
    public var destination: Endpoint
    public var sequence: SequenceNumber
}
