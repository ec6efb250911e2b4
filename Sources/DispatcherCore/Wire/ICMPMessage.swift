/// An ICMP message as far as the dispatcher understands it (RFC 792; RFC 4443 for IPv6).
public struct ICMPMessage: Sendable {
    public enum Kind: Equatable, Sendable {
        /// An echo request; the whole ICMP message lies at `offset`, `length` bytes.
        case echoRequest(offset: Int, length: Int)
        /// Destination unreachable, packet too big, time exceeded or parameter problem, about a TCP segment.
        case aboutSegment(ICMPError)
        /// Anything else, source quench (RFC 6633) among it: absorbed.
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
        } else if type == 3 || type == 11 || type == 12 {
            let quoted = start + 8
            // The quoted header and its first eight bytes: both ports and the sequence number (RFC 792, RFC 1122 3.2.2).
            guard end - quoted >= 20 else { return .bad(.badICMP) }
            let quotedHeader = Int(bytes.byte(quoted) & 15) * 4
            guard bytes.byte(quoted) >> 4 == 4, quotedHeader >= 20, end - quoted >= quotedHeader + 8 else { return .bad(.badICMP) }
            // A later fragment has no ports; we never send one.
            if bytes.byte(quoted + 9) == 6, bytes.uint16(quoted + 6) & 0x1FFF == 0 {
                let tcp = quoted + quotedHeader
                message.kind = .aboutSegment(
                    ICMPError(
                        meaning: ICMPError.Meaning(type: type, code: bytes.byte(start + 1), nextHopMTU: bytes.uint16(start + 6)),
                        quotedLength: Int(bytes.uint16(quoted + 2)),
                        source: Endpoint(address: IPAddress(v4: bytes.uint32(quoted + 12)), port: bytes.uint16(tcp)),
                        destination: Endpoint(address: IPAddress(v4: bytes.uint32(quoted + 16)), port: bytes.uint16(tcp + 2)),
                        sequence: SequenceNumber(bytes.uint32(tcp + 4))))
            }
        }
        return .icmp(message)
    }
}

/// What an ICMP error says about a TCP segment that we sent, in terms that both IP versions share.
public struct ICMPError: Equatable, Sendable {
    public enum Meaning: Equatable, Sendable {
        /// The next link takes packets of at most `mtu` bytes (RFC 1191 section 4, RFC 8201); 0: an old router that does not tell.
        case tooBig(mtu: Int)
        /// Nobody answers there: protocol or port unreachable, for IPv6 also prohibited: hard errors while a connection is being opened
        /// (RFC 9293 3.9.2.2).
        case refused
        /// May pass (RFC 9293 3.9.2.2).
        case soft

        /// Of an ICMP message for IPv4 (RFC 792).
        init(type: UInt8, code: UInt8, nextHopMTU: UInt16) {
            switch (type, code) {
            case (3, 4): self = .tooBig(mtu: Int(nextHopMTU))
            case (3, 2), (3, 3): self = .refused
            default: self = .soft
            }
        }
    }

    public var meaning: Meaning
    /// Bytes of the quoted IP packet, as its header says.
    public var quotedLength: Int
    /// Of the quoted segment: we are its source.
    public var source: Endpoint
    public var destination: Endpoint
    public var sequence: SequenceNumber
}
