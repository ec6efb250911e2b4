extension ICMPMessage {
    /// Reads a message of ICMPv6 (RFC 4443) that is none of neighbour discovery.
    static func parseIPv6(_ bytes: RawSpan, from start: Int, to end: Int, source: IPAddress, destination: IPAddress) -> Frame {
        guard end - start >= 8 else { return .bad(.badICMP) }
        var sum = Checksum(partial: bytes.extracting(start..<end).withUnsafeBytes { Checksum.partial($0) })
        sum.addPseudoHeader(source: source, destination: destination, protocolNumber: 58, length: end - start)
        guard sum.folded == 0xFFFF else { return .bad(.badICMP) }
        var message = ICMPMessage(source: source, destination: destination, kind: .other)
        let type = bytes.byte(start)
        if type == 128, bytes.byte(start + 1) == 0 {
            guard !source.isLinkLocal else { return .bad(.linkLocalSource) }
            message.kind = .echoRequest(offset: start, length: end - start)
        } else if 1...4 ~= type {
            // The quoted header and the first eight bytes behind it: both ports and the sequence number. Routers quote far more.
            let quoted = start + 8
            let tcp = quoted + IPHeader.lengthIPv6
            guard end >= tcp + 8, bytes.byte(quoted) >> 4 == 6 else { return .bad(.badICMP) }
            let source = IPAddress(high: bytes.uint64(quoted + 8), low: bytes.uint64(quoted + 16))
            let destination = IPAddress(high: bytes.uint64(quoted + 24), low: bytes.uint64(quoted + 32))
            // We send no extension header, and nothing to or from a mapped address.
            if bytes.byte(quoted + 6) == 6, !source.isIPv4, !destination.isIPv4 {
                message.kind = .aboutSegment(
                    ICMPError(
                        meaning: ICMPError.Meaning(typeIPv6: type, code: bytes.byte(start + 1), mtu: bytes.uint32(start + 4)),
                        quotedLength: IPHeader.lengthIPv6 + Int(bytes.uint16(quoted + 4)),
                        source: Endpoint(address: source, port: bytes.uint16(tcp)),
                        destination: Endpoint(address: destination, port: bytes.uint16(tcp + 2)),
                        sequence: SequenceNumber(bytes.uint32(tcp + 4))))
            }
        }
        return .icmp(message)
    }
}

extension ICMPError.Meaning {
    /// Of an ICMP message for IPv6 (RFC 4443; which errors are hard: RFC 9293 3.9.2.2).
    init(typeIPv6 type: UInt8, code: UInt8, mtu: UInt32) {
        switch (type, code) {
        // Its code is ignored (RFC 4443 3.2).
        case (2, _): self = .tooBig(mtu: Int(mtu))
        case (1, 1), (1, 4): self = .refused
        default: self = .soft
        }
    }
}
