import Glibc

/// Writes the bytes of a head into memory that somebody else owns, and stops, with `overflowed`, where it ends.
struct HeadWriter {
    private let base: UnsafeMutableRawPointer?
    private let capacity: Int
    private(set) var count = 0
    private(set) var overflowed = false

    init(into memory: UnsafeMutableRawBufferPointer) {
        base = memory.baseAddress
        capacity = memory.count
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        append(bytes.baseAddress, bytes.count)
    }

    @inline(__always)
    mutating func append(_ text: StaticString) {
        append(UnsafeRawPointer(text.utf8Start), text.utf8CodeUnitCount)
    }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) {
        precondition(start >= 0 && start <= end && end <= bytes.count)
        guard let from = bytes.baseAddress else { return }
        append(from + start, end &- start)
    }

    @inline(__always)
    mutating func append(byte: UInt8) {
        guard let base, count < capacity else {
            overflowed = true
            return
        }
        base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    /// Decimal digits without leading zeros.
    mutating func append(decimal value: UInt64) {
        var divisor: UInt64 = 1
        while value / divisor >= 10 { divisor &*= 10 }
        while divisor > 0 {
            append(byte: HTTPBytes.zero &+ UInt8(truncatingIfNeeded: value / divisor % 10))
            divisor /= 10
        }
    }

    @inline(__always)
    private mutating func append(_ from: UnsafeRawPointer?, _ length: Int) {
        guard length > 0, let from else { return }
        guard let base, !overflowed, length <= capacity &- count else {
            overflowed = true
            return
        }
        memcpy(base + count, from, length)
        count &+= length
    }
}
