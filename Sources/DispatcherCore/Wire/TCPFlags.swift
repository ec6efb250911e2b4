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

    /// Whether they do not contradict each other: of SYN, FIN and RST at most one. What lacks ACK is for each state to judge (RFC 9293
    /// 3.10.7).
    @inlinable public var areLegal: Bool {
        let control = intersection([.syn, .fin, .rst])
        return control.rawValue & (control.rawValue &- 1) == 0
    }
}
