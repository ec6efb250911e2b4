/// A TCP sequence number: 32 bits that wrap (RFC 9293 3.4).
///
/// It is not `Comparable`: an order exists only between numbers less than 2^31 apart, and each comparison says so by its name.
public struct SequenceNumber: Hashable, Sendable {
    public var value: UInt32

    @inlinable public init(_ value: UInt32) { self.value = value }

    @inlinable public static func + (a: SequenceNumber, bytes: Int) -> SequenceNumber {
        SequenceNumber(a.value &+ UInt32(truncatingIfNeeded: bytes))
    }
    @inlinable public static func - (a: SequenceNumber, bytes: Int) -> SequenceNumber {
        SequenceNumber(a.value &- UInt32(truncatingIfNeeded: bytes))
    }
    @inlinable public static func += (a: inout SequenceNumber, bytes: Int) { a = a + bytes }

    /// How many bytes `self` lies after `other`; negative when before it.
    @inlinable public func distance(from other: SequenceNumber) -> Int { Int(Int32(bitPattern: value &- other.value)) }
    @inlinable public func isBefore(_ other: SequenceNumber) -> Bool { distance(from: other) < 0 }
    @inlinable public func isAfter(_ other: SequenceNumber) -> Bool { distance(from: other) > 0 }
    @inlinable public func isAtOrBefore(_ other: SequenceNumber) -> Bool { distance(from: other) <= 0 }
    @inlinable public func isAtOrAfter(_ other: SequenceNumber) -> Bool { distance(from: other) >= 0 }

    /// The later of two.
    @inlinable public static func later(_ a: SequenceNumber, _ b: SequenceNumber) -> SequenceNumber { a.isAfter(b) ? a : b }
    /// The earlier of two.
    @inlinable public static func earlier(_ a: SequenceNumber, _ b: SequenceNumber) -> SequenceNumber { a.isBefore(b) ? a : b }
}
