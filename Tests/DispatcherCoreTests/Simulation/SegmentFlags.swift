/// The control bits of a TCP header (RFC 9293 3.1), as the simulated peers read and write them.
struct SegmentFlags: OptionSet, Hashable, Sendable {
    var rawValue: UInt8

    static let fin = SegmentFlags(rawValue: 1 << 0)
    static let syn = SegmentFlags(rawValue: 1 << 1)
    static let rst = SegmentFlags(rawValue: 1 << 2)
    static let psh = SegmentFlags(rawValue: 1 << 3)
    static let ack = SegmentFlags(rawValue: 1 << 4)
    static let urg = SegmentFlags(rawValue: 1 << 5)
    static let ece = SegmentFlags(rawValue: 1 << 6)
    static let cwr = SegmentFlags(rawValue: 1 << 7)
}
