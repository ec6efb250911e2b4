extension Frame {
    /// Reads an IPv6 packet (RFC 8200 section 3). Extension headers are not followed: none of what we talk to sends any with TCP, and a chain
    /// of them is the usual way past a filter. A jumbogram has one as well (RFC 2675), so a length of 0 is none of ours either.
    static func parseIPv6(_ bytes: RawSpan, _ allowsLoopback: Bool) -> Frame {
        let ip = ethernetHeaderLength
        let payload = ip + IPHeader.lengthIPv6
        guard bytes.byteCount >= payload else { return .bad(.truncatedFrame) }
        guard bytes.byte(ip) >> 4 == 6 else { return .bad(.badIPHeader) }
        let length = Int(bytes.uint16(ip + 4))
        let end = payload + length
        guard bytes.byteCount >= end else { return .bad(.truncatedFrame) }
        let protocolNumber = bytes.byte(ip + 6)
        if let reason = reasonToDrop(nextHeader: protocolNumber) { return .bad(reason) }
        guard length > 0 else { return .bad(.badIPHeader) }
        let source = IPAddress(high: bytes.uint64(ip + 8), low: bytes.uint64(ip + 16))
        let destination = IPAddress(high: bytes.uint64(ip + 24), low: bytes.uint64(ip + 32))
        // It goes to groups, and comes from hosts that have no address yet.
        if protocolNumber == 58, length >= 8, case 133...137 = bytes.byte(payload) { return .neighbourDiscovery }
        // A mapped address is no IPv6 address on the wire (RFC 4291 2.5.5.2): it would pass for the IPv4 address that it is to us.
        guard source.isUnicastSource || allowsLoopback && source.isLoopback, !source.isIPv4, bytes.byte(0) & 1 == 0 else {
            return .bad(.badSource)
        }
        guard !destination.isIPv4 else { return .bad(.notOurAddress) }
        if protocolNumber == 58 { return ICMPMessage.parseIPv6(bytes, from: payload, to: end, source: source, destination: destination) }
        guard !source.isLinkLocal else { return .bad(.linkLocalSource) }
        if protocolNumber == 6 { return parseTCP(bytes, from: payload, to: end, source: source, destination: destination) }
        // As much of it as fits a packet of the least MTU beside its header and ours (RFC 4443 3.1).
        return .datagram(
            source: source, destination: destination, headerOffset: ip,
            quotedLength: min(end - ip, IPHeader.leastMTUIPv6 - IPHeader.lengthIPv6 - 8))
    }

    /// What is not TCP, ICMPv6 or UDP.
    private static func reasonToDrop(nextHeader: UInt8) -> DropReason? {
        switch nextHeader {
        case 6, 17, 58: nil
        case 0: .hopByHopHeader
        case 43: .routingHeader
        case 44: .ipFragment
        case 59: .noNextHeader
        case 60: .destinationOptions
        // ESP, AH, mobility, HIP, shim6, experiments (the registry "IPv6 Extension Header Types").
        case 50, 51, 135, 139, 140, 253, 254: .extensionHeader
        default: .unsupportedProtocol
        }
    }
}
