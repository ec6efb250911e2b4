/// The control bits of a TCP header (RFC 9293 3.1).
public struct TCPFlags: OptionSet, Hashable, Sendable {
    public var rawValue: UInt8

    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let fin = TCPFlags(rawValue: 0x01)
    public static let syn = TCPFlags(rawValue: 0x02)
    public static let rst = TCPFlags(rawValue: 0x04)
    public static let psh = TCPFlags(rawValue: 0x08)
    public static let ack = TCPFlags(rawValue: 0x10)
    public static let urg = TCPFlags(rawValue: 0x20)
    public static let ece = TCPFlags(rawValue: 0x40)
    public static let cwr = TCPFlags(rawValue: 0x80)

    /// Whether a sane sender can have set this combination: SYN, FIN and RST exclude each other, and all but SYN and RST come with ACK.
    @inlinable public var areLegal: Bool {
        let control = intersection([.syn, .fin, .rst])
        guard control.rawValue & (control.rawValue &- 1) == 0 else { return false }
        return contains(.ack) || control == .syn || control == .rst
    }
}
