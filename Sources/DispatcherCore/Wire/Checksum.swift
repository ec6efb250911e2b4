/// The Internet checksum (RFC 1071): a one's complement sum of 16-bit words.
///
/// Words are added by their big-endian value and folded to 16 bits at the end. A sum of anything but zeros folds to 1...0xFFFF, never to 0, so that an incremental result equals a full one (RFC 1624 section 3).
public struct Checksum: Sendable {
    /// Not yet folded; in big-endian (wire) word order.
    @usableFromInline var sum: UInt64

    @inlinable public init() { sum = 0 }
    /// Starts from a folded partial sum, such as `Segment.payloadSum`.
    @inlinable public init(partial: UInt16) { sum = UInt64(partial) }

    @inlinable public mutating func add(_ word: UInt16) { sum &+= UInt64(word) }
    @inlinable public mutating func add(_ word: UInt32) { sum &+= UInt64(word >> 16) &+ UInt64(word & 0xFFFF) }
    @inlinable public mutating func add(_ word: UInt64) {
        add(UInt32(truncatingIfNeeded: word >> 32))
        add(UInt32(truncatingIfNeeded: word))
    }

    /// The sum of a pseudo-header (RFC 9293 3.1, RFC 8200 8.1).
    /// - Parameter length: bytes of the transport header and its payload.
    @inlinable public mutating func addPseudoHeader(source: IPAddress, destination: IPAddress, protocolNumber: UInt8, length: Int) {
        if source.isIPv4 {
            add(source.v4)
            add(destination.v4)
        } else {
            add(source.high)
            add(source.low)
            add(destination.high)
            add(destination.low)
        }
        add(UInt16(protocolNumber))
        add(UInt32(truncatingIfNeeded: length))
    }

    /// Adds bytes that begin at an even offset of what is summed.
    @inlinable public mutating func add(_ bytes: UnsafeRawBufferPointer) { add(Self.partial(bytes)) }

    /// The folded sum of `bytes`, an odd last byte padded with zero.
    public static func partial(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
        guard var at = bytes.baseAddress else { return 0 }
        var left = bytes.count
        // Native order inside, one swap at the end (RFC 1071 2(B)). Two chains, whose additions need not wait for each other.
        var wide: UInt64 = 0
        var other: UInt64 = 0
        while left >= 32 {
            add(at.loadUnaligned(fromByteOffset: 0, as: UInt64.self), to: &wide)
            add(at.loadUnaligned(fromByteOffset: 8, as: UInt64.self), to: &other)
            add(at.loadUnaligned(fromByteOffset: 16, as: UInt64.self), to: &wide)
            add(at.loadUnaligned(fromByteOffset: 24, as: UInt64.self), to: &other)
            at += 32
            left -= 32
        }
        add(other, to: &wide)
        while left >= 8 {
            add(at.loadUnaligned(as: UInt64.self), to: &wide)
            at += 8
            left -= 8
        }
        if left >= 4 {
            add(UInt64(at.loadUnaligned(as: UInt32.self)), to: &wide)
            at += 4
            left -= 4
        }
        if left >= 2 {
            add(UInt64(at.loadUnaligned(as: UInt16.self)), to: &wide)
            at += 2
            left -= 2
        }
        if left == 1 { add(UInt64(UInt16(at.load(as: UInt8.self)).littleEndian), to: &wide) }
        return UInt16(bigEndian: fold(wide))
    }

    /// Adds with the carry brought round to the other end: a one's complement sum of 64 bits, which folds to one of 16 (RFC 1071 2(A)).
    @inline(__always) private static func add(_ word: UInt64, to sum: inout UInt64) {
        let (result, carry) = sum.addingReportingOverflow(word)
        sum = result &+ (carry ? 1 : 0)
    }

    @inlinable static func fold(_ sum: UInt64) -> UInt16 {
        var sum = (sum >> 32) &+ (sum & 0xFFFF_FFFF)
        sum = (sum >> 16) &+ (sum & 0xFFFF)
        sum = (sum >> 16) &+ (sum & 0xFFFF)
        sum = (sum >> 16) &+ (sum & 0xFFFF)
        return UInt16(truncatingIfNeeded: sum)
    }

    /// The folded sum, not complemented: what a kernel leaves in a segment whose checksum a device would finish.
    @inlinable public var folded: UInt16 { Self.fold(sum) }
    /// The checksum field: the complement of the folded sum.
    @inlinable public var field: UInt16 { ~folded }
}
