/// Reads and writes of big-endian integers at byte offsets. Readers go through `RawSpan`, which checks its bounds; writers work on
/// memory that the writer itself has measured.
extension RawSpan {
    @inlinable func byte(_ offset: Int) -> UInt8 { unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
    @inlinable func uint16(_ offset: Int) -> UInt16 { UInt16(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self)) }
    @inlinable func uint32(_ offset: Int) -> UInt32 { UInt32(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
    @inlinable func uint64(_ offset: Int) -> UInt64 { UInt64(bigEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
    @inlinable func hardwareAddress(_ offset: Int) -> HardwareAddress {
        HardwareAddress(bits: UInt64(uint16(offset)) << 32 | UInt64(uint32(offset + 2)))
    }
    /// The folded sum of a range, checked once.
    @inline(__always) func partialSum(_ range: Range<Int>) -> UInt16 { extracting(range).withUnsafeBytes { Checksum.partial($0) } }
}

extension UnsafeRawBufferPointer {
    /// No bytes.
    public static var empty: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}

extension UnsafeMutableRawPointer {
    @inlinable func store(_ value: UInt8, at offset: Int) { storeBytes(of: value, toByteOffset: offset, as: UInt8.self) }
    @inlinable func store(_ value: UInt16, at offset: Int) { storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt16.self) }
    @inlinable func store(_ value: UInt32, at offset: Int) { storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self) }
    @inlinable func store(_ value: UInt64, at offset: Int) { storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt64.self) }
    @inlinable func store(_ value: HardwareAddress, at offset: Int) {
        store(UInt16(truncatingIfNeeded: value.bits >> 32), at: offset)
        store(UInt32(truncatingIfNeeded: value.bits), at: offset + 2)
    }
}
