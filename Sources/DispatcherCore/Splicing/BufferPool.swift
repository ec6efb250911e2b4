import Glibc

/// Memory for bytes of requests and answers. A plain value: whoever holds it gives it back to the pool that it came from.
struct Buffer {
    fileprivate(set) var base: UnsafeMutableRawPointer?
    private var size: UInt32 = 0
    /// Of the egress that packets point into it from; 0 = of none ever.
    fileprivate var lent: UInt32 = 0

    fileprivate(set) var capacity: Int {
        get { Int(size) }
        set { size = UInt32(newValue) }
    }

    fileprivate init(base: UnsafeMutableRawPointer? = nil, capacity: Int = 0) {
        self.base = base
        self.capacity = capacity
    }

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
///
/// A packet in an egress may point into a buffer. When that is given back before the packet has left, it rests: nobody gets it, and not
/// a byte of it changes, until the egress was emptied.
struct BufferPool: ~Copyable {
    private static let smallest = 9
    private static let largest = 18

    private var free = InlineArray<10, UnsafeMutableRawPointer?>(repeating: nil)
    private let limit: Int
    /// Of the egress that is filled now, as far as it is known.
    private var generation: UInt32 = 0
    private var resting: [Buffer] = []
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
        for buffer in resting { Glibc.free(buffer.base) }
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
        guard !buffer.isNone else { return }
        inUse -= buffer.capacity
        if isLent(buffer) { resting.append(buffer) } else { keep(buffer) }
        buffer = .none
    }

    private mutating func keep(_ buffer: Buffer) {
        guard let base = buffer.base, let shift = Self.sizeClass(buffer.capacity) else { return }
        let index = shift - Self.smallest
        base.storeBytes(of: free[index], as: UnsafeMutableRawPointer?.self)
        free[index] = base
    }

    // MARK: Buffers that packets point into

    /// A packet of this egress points into the buffer from now on.
    mutating func lend(_ buffer: inout Buffer, to egress: borrowing Egress) {
        settle(egress)
        buffer.lent = generation
    }

    /// Whether a packet that has not left may point into the buffer.
    func isLent(_ buffer: Buffer) -> Bool { buffer.lent == generation && generation > 0 }

    /// What rested is free again once the egress was emptied. To be called before each frame.
    @inline(__always) mutating func settle(_ egress: borrowing Egress) {
        guard egress.generation != generation else { return }
        generation = egress.generation
        if !resting.isEmpty { releaseResting() }
    }

    private mutating func releaseResting() {
        for buffer in resting { keep(buffer) }
        resting.removeAll(keepingCapacity: true)
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
