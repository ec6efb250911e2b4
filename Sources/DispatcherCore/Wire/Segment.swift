/// A TCP segment after its one check: every field is what the frame said, and the frame was sound enough to say it.
public struct Segment: Sendable {
    /// What the checksum field held (RFC 9293 3.1): veth and offloading devices leave only the pseudo-header's sum in it.
    public enum ChecksumState: UInt8, Sendable { case full, partial }

    public var source: Endpoint
    public var destination: Endpoint
    /// The Ethernet address that the frame came from.
    public var sender: HardwareAddress
    public var sequence: SequenceNumber
    public var acknowledgement: SequenceNumber
    public var flags: TCPFlags
    /// As on the wire: not scaled.
    public var window: UInt16
    public var checksumState: ChecksumState
    /// The folded sum of the payload when `checksumState` is `.full`.
    public var payloadSum: UInt16
    public var options: TCPOptions
    /// Bytes of the TCP header, its options included; it ends where the payload begins.
    public var headerLength: Int
    /// Where the payload lies in the frame; bytes.
    public var payloadOffset: Int
    public var payloadLength: Int

    /// How much of the sequence space it takes: payload, SYN and FIN (RFC 9293 3.4).
    @inlinable public var length: Int { payloadLength + (flags.contains(.syn) ? 1 : 0) + (flags.contains(.fin) ? 1 : 0) }
    /// The number after its last.
    @inlinable public var end: SequenceNumber { sequence + length }
    /// The number after its last payload byte.
    @inlinable public var payloadEnd: SequenceNumber { sequence + payloadLength }

    /// The same without its bytes. What a RST carries is an explanation at most (RFC 9293 3.5.3), and no RST of ours carries data.
    var withoutPayload: Segment {
        var segment = self
        segment.payloadLength = 0
        segment.payloadSum = 0
        return segment
    }
}

/// The options of a segment that the dispatcher reads (RFC 9293 3.2); all others are passed over.
public struct TCPOptions: Equatable, Sendable {
    /// Maximum segment size; 0 = absent (an option that says 0 counts as absent).
    public var maximumSegmentSize: UInt16 = 0
    /// Window scale (RFC 7323 2.2), above 14 read as 14; 255 = absent.
    public var windowScale: UInt8 = 255
    public var sackPermitted = false
    /// The SACK option (RFC 2018 section 3): how many whole blocks it has, at most four, and where the first lies in the frame.
    public var sackCount: UInt8 = 0
    public var sackOffset: UInt16 = 0

    public init() {}

    /// Reads the options that lie between `start` and `end`. Never fails: what makes no sense ends the list (RFC 9293 MUST-7).
    public static func parse(_ bytes: RawSpan, from start: Int, to end: Int) -> TCPOptions {
        var options = TCPOptions()
        var at = start
        while at < end {
            let kind = bytes.byte(at)
            if kind == 0 { break }
            if kind == 1 {
                at += 1
                continue
            }
            guard at + 1 < end else { break }
            let length = Int(bytes.byte(at + 1))
            guard length >= 2, at + length <= end else { break }
            switch (kind, length) {
            case (2, 4): options.maximumSegmentSize = bytes.uint16(at + 2)
            case (3, 3): options.windowScale = min(bytes.byte(at + 2), 14)
            case (4, 2): options.sackPermitted = true
            case (5, 10...) where (length - 2) % 8 == 0:
                options.sackCount = UInt8(min((length - 2) / 8, SACKBlocks.most))
                options.sackOffset = UInt16(truncatingIfNeeded: at + 2)
            default: break
            }
            at += length
        }
        return options
    }
}
