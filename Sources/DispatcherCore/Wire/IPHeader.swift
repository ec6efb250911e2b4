/// The IP header of what the dispatcher sends.
///
/// IPv4 (RFC 791): no options, DF set, TTL 64; with DF the identification may be any value (RFC 6864 4.1). IPv6 (RFC 8200): no extension
/// header, flow label 0, hop limit 64.
enum IPHeader {
    static let lengthIPv4 = 20
    static let lengthIPv6 = 40
    /// What every link of IPv6 takes (RFC 8200 section 5); bytes.
    static let leastMTUIPv6 = 1_280

    /// Bytes of the header of a packet to or from `address`.
    static func length(for address: IPAddress) -> Int { address.isIPv4 ? lengthIPv4 : lengthIPv6 }

    /// Writes the header of the family of `destination`, which is that of `source` too.
    /// - Parameters:
    ///   - length: bytes of the whole packet, at most 65,535.
    ///   - trafficClass: DSCP and ECN of what is passed on (RFC 2474, RFC 3168); 0 for what is our own.
    static func write(
        at packet: UnsafeMutableRawPointer, source: IPAddress, destination: IPAddress, protocolNumber: UInt8, length: Int,
        trafficClass: UInt8 = 0
    ) {
        if destination.isIPv4 {
            packet.store(UInt32(0x4500_0000) | UInt32(trafficClass) << 16 | UInt32(length), at: 0)
            packet.store(UInt32(0x0000_4000), at: 4)
            packet.store(UInt32(64) << 24 | UInt32(protocolNumber) << 16, at: 8)
            packet.store(source.v4, at: 12)
            packet.store(destination.v4, at: 16)
            packet.store(Checksum.ofHeader(packet), at: 10)
        } else {
            packet.store(UInt32(0x6000_0000) | UInt32(trafficClass) << 20, at: 0)
            packet.store(UInt32(length - lengthIPv6) << 16 | UInt32(protocolNumber) << 8 | 64, at: 4)
            packet.store(source.high, at: 8)
            packet.store(source.low, at: 16)
            packet.store(destination.high, at: 24)
            packet.store(destination.low, at: 32)
        }
    }
}

extension Checksum {
    /// The checksum field of the 20-byte IPv4 header at `header`, whose own field is zero.
    static func ofHeader(_ header: UnsafeMutableRawPointer) -> UInt16 {
        ~Checksum.partial(UnsafeRawBufferPointer(start: header, count: 20))
    }
}
