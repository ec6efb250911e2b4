import Glibc

/// Memory for bytes of requests and answers. A plain value: whoever holds it gives it back to the pool that it came from.
struct Buffer {
    fileprivate(set) var base: UnsafeMutableRawPointer?
    fileprivate(set) var capacity = 0

    static var none: Buffer { Buffer() }

    var isNone: Bool { base == nil }
    /// The whole of it.
    var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: capacity) }
    /// The part from `start`, `count` bytes.
    func bytes(_ start: Int, count: Int) -> UnsafeRawBufferPointer {
        precondition(start >= 0 && count >= 0 && start + count <= capacity)
        return UnsafeRawBufferPointer(start: base.map { UnsafeRawPointer($0 + start) }, count: count)
    }
}

/// Buffers by powers of two from 512 bytes, which most requests fit in while they wait, to 256 KiB, kept for reuse, bounded in all.
struct BufferPool: ~Copyable {
    private static let smallest = 9
    private static let largest = 18

    private var free = InlineArray<10, UnsafeMutableRawPointer?>(repeating: nil)
    private let limit: Int
    /// Bytes handed out.
    private(set) var inUse = 0

    /// The largest buffer there is, bytes.
    static var largestSize: Int { 1 << largest }

    /// - Parameter limit: bytes that may be handed out at a time.
    init(limit: Int) { self.limit = limit }

    deinit {
        for index in 0..<free.count {
            var at = free[index]
            while let buffer = at {
                at = buffer.load(as: UnsafeMutableRawPointer?.self)
                Glibc.free(buffer)
            }
        }
    }

    /// Frees a buffer whose pool goes away with it.
    static func free(_ buffer: Buffer) { Glibc.free(buffer.base) }

    private static func sizeClass(_ size: Int) -> Int? {
        guard size <= 1 << largest else { return nil }
        var shift = smallest
        while 1 << shift < size { shift += 1 }
        return shift
    }

    /// What a buffer of at least `size` bytes takes, if there is one.
    static func taken(for size: Int) -> Int { sizeClass(size).map { 1 << $0 } ?? size }

    /// - Returns: a buffer of at least `size` bytes; nil above the bound or the largest size.
    mutating func take(_ size: Int) -> Buffer? {
        guard let shift = Self.sizeClass(size), inUse + 1 << shift <= limit else { return nil }
        let index = shift - Self.smallest
        let base: UnsafeMutableRawPointer
        if let kept = free[index] {
            free[index] = kept.load(as: UnsafeMutableRawPointer?.self)
            base = kept
        } else {
            guard let new = malloc(1 << shift) else { return nil }
            base = new
        }
        inUse += 1 << shift
        return Buffer(base: base, capacity: 1 << shift)
    }

    /// Gives it back; `buffer` is none afterwards.
    mutating func give(_ buffer: inout Buffer) {
        guard let base = buffer.base, let shift = Self.sizeClass(buffer.capacity) else { return }
        let index = shift - Self.smallest
        base.storeBytes(of: free[index], as: UnsafeMutableRawPointer?.self)
        free[index] = base
        inUse -= buffer.capacity
        buffer = .none
    }

    /// Makes room for `size` bytes, keeping the first `keeping`.
    /// - Returns: false when there is none; `buffer` is as it was.
    mutating func grow(_ buffer: inout Buffer, to size: Int, keeping: Int) -> Bool {
        if size <= buffer.capacity { return true }
        guard let larger = take(size) else { return false }
        if let old = buffer.base, keeping > 0 { larger.base!.copyMemory(from: old, byteCount: keeping) }
        give(&buffer)
        buffer = larger
        return true
    }
}
