/// What a captured frame holds, after one check of everything that the dispatcher relies on.
public enum Frame: Sendable {
    case segment(Segment)
    case arp(ARPPacket)
    case icmp(ICMPMessage)
    /// A message of neighbour discovery (RFC 4861): whoever answers for our addresses reads it from the frame itself.
    case neighbourDiscovery
    /// A UDP datagram to one of our addresses, as far as an ICMP answer needs it.
    case datagram(source: IPAddress, destination: IPAddress, headerOffset: Int, quotedLength: Int)
    case bad(DropReason)

    /// Bytes of an Ethernet header.
    public static let ethernetHeaderLength = 14

    /// DSCP and ECN of a frame that was parsed: the traffic class.
    static func trafficClass(_ bytes: RawSpan, isIPv4: Bool) -> UInt8 {
        isIPv4 ? bytes.byte(ethernetHeaderLength + 1) : UInt8(truncatingIfNeeded: bytes.uint16(ethernetHeaderLength) >> 4)
    }

    /// Reads an Ethernet frame. Nothing outside `bytes` is read; trailing padding is cut off by the length that IP gives.
    /// - Parameter allowsLoopback: whether it comes from a loopback device, where hosts talk to themselves.
    public static func parse(_ bytes: RawSpan, allowsLoopback: Bool = false) -> Frame {
        guard bytes.byteCount >= ethernetHeaderLength else { return .bad(.truncatedFrame) }
        switch bytes.uint16(12) {
        case 0x0800: return parseIPv4(bytes, allowsLoopback)
        case 0x86DD: return parseIPv6(bytes, allowsLoopback)
        case 0x0806:
            guard let packet = ARPPacket(bytes, at: ethernetHeaderLength) else { return .bad(.truncatedFrame) }
            return .arp(packet)
        case 0x8100, 0x88A8: return .bad(.vlanTag)
        default: return .bad(.unsupportedEtherType)
        }
    }

    private static func parseIPv4(_ bytes: RawSpan, _ allowsLoopback: Bool) -> Frame {
        let ip = ethernetHeaderLength
        guard bytes.byteCount >= ip + 20 else { return .bad(.truncatedFrame) }
        let versionAndLength = bytes.byte(ip)
        let headerLength = Int(versionAndLength & 15) * 4
        let totalLength = Int(bytes.uint16(ip + 2))
        guard versionAndLength >> 4 == 4, headerLength >= 20, totalLength >= headerLength else { return .bad(.badIPHeader) }
        guard bytes.byteCount >= ip + totalLength else { return .bad(.truncatedFrame) }
        guard bytes.partialSum(ip..<ip + headerLength) == 0xFFFF else { return .bad(.badIPHeader) }
        guard bytes.uint16(ip + 6) & 0x3FFF == 0 else { return .bad(.ipFragment) }
        let source = IPAddress(v4: bytes.uint32(ip + 12))
        let destination = IPAddress(v4: bytes.uint32(ip + 16))
        guard source.isUnicastSource || allowsLoopback && source.isLoopback, bytes.byte(0) & 1 == 0 else { return .bad(.badSource) }
        let payload = ip + headerLength
        let end = ip + totalLength
        switch bytes.byte(ip + 9) {
        case 6: return parseTCP(bytes, from: payload, to: end, source: source, destination: destination)
        case 1: return ICMPMessage.parse(bytes, from: payload, to: end, source: source, destination: destination)
        case 17: return .datagram(source: source, destination: destination, headerOffset: ip, quotedLength: min(end - ip, headerLength + 8))
        default: return .bad(.unsupportedProtocol)
        }
    }

    static func parseTCP(_ bytes: RawSpan, from start: Int, to end: Int, source: IPAddress, destination: IPAddress) -> Frame {
        guard end - start >= 20 else { return .bad(.badTCPHeader) }
        let headerLength = Int(bytes.byte(start + 12) >> 4) * 4
        guard headerLength >= 20, start + headerLength <= end else { return .bad(.badTCPHeader) }
        let flags = TCPFlags(rawValue: bytes.byte(start + 13))
        guard flags.areLegal else { return .bad(.badTCPFlags) }

        var pseudo = Checksum()
        pseudo.addPseudoHeader(source: source, destination: destination, protocolNumber: 6, length: end - start)
        let payloadOffset = start + headerLength
        var state = Segment.ChecksumState.partial
        var payloadSum: UInt16 = 0
        if bytes.uint16(start + 16) != pseudo.folded {
            payloadSum = bytes.partialSum(payloadOffset..<end)
            pseudo.add(payloadSum)
            pseudo.add(bytes.partialSum(start..<payloadOffset))
            guard pseudo.folded == 0xFFFF else { return .bad(.badTCPChecksum) }
            state = .full
        }
        return .segment(
            Segment(
                source: Endpoint(address: source, port: bytes.uint16(start)),
                destination: Endpoint(address: destination, port: bytes.uint16(start + 2)),
                sender: bytes.hardwareAddress(6),
                sequence: SequenceNumber(bytes.uint32(start + 4)),
                acknowledgement: SequenceNumber(bytes.uint32(start + 8)),
                flags: flags,
                window: bytes.uint16(start + 14),
                checksumState: state,
                payloadSum: payloadSum,
                options: headerLength == 20 ? TCPOptions() : TCPOptions.parse(bytes, from: start + 20, to: payloadOffset),
                headerLength: headerLength, payloadOffset: payloadOffset,
                payloadLength: end - payloadOffset))
    }
}
