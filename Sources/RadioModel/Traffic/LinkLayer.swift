/// What stands before the IP packet in a captured frame, by libpcap's number of the link type (DLT).
public enum LinkLayer: Sendable {
    /// Ethernet, with or without VLAN tags.
    case ethernet
    /// IP packets without anything before them.
    case raw
    /// Linux "cooked" captures, as of `tcpdump -i any`: version 1 and 2.
    case cooked, cooked2
    /// A loopback interface of BSD or macOS: four bytes with the family.
    case loopback

    /// nil: a link type that is not read.
    public init?(dataLink: Int32) {
        switch dataLink {
        case 1: self = .ethernet
        // Raw IP has three numbers, by system and by file; 228 and 229 are of one IP version each.
        case 12, 14, 101, 228, 229: self = .raw
        case 113: self = .cooked
        case 276: self = .cooked2
        case 0, 108: self = .loopback
        default: return nil
        }
    }

    /// What is read, for error messages.
    public static let known = "Ethernet, raw IP, Linux cooked (1 and 2), BSD loopback"

    private static let ipv4: UInt16 = 0x0800
    private static let ipv6: UInt16 = 0x86DD
    /// 802.1Q, 802.1ad.
    private static let tags: Set<UInt16> = [0x8100, 0x88A8]

    /// Where the IP packet begins; nil when the frame carries something else, or is cut before it.
    func packetOffset(in frame: some RandomAccessCollection<UInt8>) -> Int? {
        let bytes = Array(frame.prefix(64))
        func word(_ at: Int) -> UInt16? { at + 2 <= bytes.count ? UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1]) : nil }
        switch self {
        case .ethernet:
            var at = 12
            while let type = word(at), Self.tags.contains(type) { at += 4 }
            return Self.isIP(word(at)) ? at + 2 : nil
        case .raw: return 0
        case .cooked: return Self.isIP(word(14)) ? 16 : nil
        case .cooked2: return Self.isIP(word(0)) ? 20 : nil
        case .loopback: return 4
        }
    }

    private static func isIP(_ type: UInt16?) -> Bool { type == ipv4 || type == ipv6 }
}
