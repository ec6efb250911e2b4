/// What the model needs of an IP packet's header.
struct IPHeader {
    var source: NetworkAddress
    var destination: NetworkAddress
    /// Bytes of the packet, header included.
    var length: Int
    /// Whether it asks for a TCP connection: a SYN without ACK.
    var opens: Bool

    private static let tcp: UInt8 = 6

    /// - Parameters:
    ///   - bytes: from the version on; may be cut.
    ///   - wireLength: bytes from there on, on the wire: the length where the header gives none, as of packets over 64 KiB that the kernel
    ///     has yet to cut.
    /// - Returns: nil when the header is cut, or is none of IPv4 or IPv6.
    init?(_ bytes: ArraySlice<UInt8>, wireLength: Int) {
        let at = bytes.startIndex
        guard let first = bytes.first else { return nil }
        func word(_ offset: Int) -> Int { Int(bytes[at + offset]) << 8 | Int(bytes[at + offset + 1]) }
        let transport: Int
        let next: UInt8
        switch first >> 4 {
        case 4:
            let header = Int(first & 0xF) * 4
            guard header >= 20, bytes.count >= 20 else { return nil }
            (source, destination) = (
                NetworkAddress(bytes: bytes[(at + 12)..<(at + 16)]), NetworkAddress(bytes: bytes[(at + 16)..<(at + 20)])
            )
            length = word(2)
            // Only a first fragment has the transport's header.
            next = word(6) & 0x1FFF == 0 ? bytes[at + 9] : 0
            transport = header
        case 6:
            guard bytes.count >= 40 else { return nil }
            (source, destination) = (
                NetworkAddress(bytes: bytes[(at + 8)..<(at + 24)]), NetworkAddress(bytes: bytes[(at + 24)..<(at + 40)])
            )
            length = word(4) == 0 ? 0 : word(4) + 40
            next = bytes[at + 6]
            transport = 40
        default: return nil
        }
        if length == 0 { length = wireLength }
        let flags = bytes.count > transport + 13 ? bytes[at + transport + 13] : 0
        opens = next == Self.tcp && flags & 0x12 == 0x02
    }
}
