import DispatcherCore

/// Frames that wait for a neighbour's hardware address, at most `each` a neighbour: the newest, as RFC 1122 2.3.2.2 asks for. When the
/// dispatcher has just started, a burst of clients makes it open as many connections to a server that it does not know yet, and a SYN
/// that is lost here comes again only after a second. The frames are copied, because the egress that they came in is emptied; memory is
/// allocated once, and touched only where a frame ever waited.
struct WaitingFrames: ~Copyable {
    /// Frames of one neighbour.
    static let each = 64
    /// Frames of all neighbours of a side.
    static let capacity = 256
    private static let slotSize = 65_536 + 64
    private static let none: Int32 = -1

    /// The frames of one neighbour, oldest first.
    private struct Queue {
        var first = WaitingFrames.none
        var last = WaitingFrames.none
        var count: Int32 = 0
    }

    private let memory: UnsafeMutableRawPointer
    private let lengths: UnsafeMutablePointer<Int32>
    /// By slot: the one behind it, in its neighbour's queue or among the free ones.
    private let next: UnsafeMutablePointer<Int32>
    private var free: Int32 = 0
    private(set) var count = 0
    private let queues: UnsafeMutablePointer<Queue>
    private let neighbours: Int

    /// - Parameter neighbours: entries of the neighbour table.
    init(neighbours: Int) {
        let next = UnsafeMutablePointer<Int32>.allocate(capacity: Self.capacity)
        for slot in 0..<Self.capacity { next[slot] = slot + 1 < Self.capacity ? Int32(slot + 1) : Self.none }
        let queues = UnsafeMutablePointer<Queue>.allocate(capacity: neighbours)
        queues.initialize(repeating: Queue(), count: neighbours)
        memory = .allocate(byteCount: Self.capacity * Self.slotSize, alignment: 64)
        lengths = .allocate(capacity: Self.capacity)
        self.next = next
        self.queues = queues
        self.neighbours = neighbours
    }

    deinit {
        memory.deallocate()
        lengths.deallocate()
        next.deallocate()
        queues.deallocate()
    }

    /// Keeps a frame; when as many as may wait already, the oldest of them is lost.
    /// - Parameters:
    ///   - length: bytes at `frame`.
    ///   - payload: what follows them, where it lies elsewhere.
    /// - Returns: how many frames were lost: 1 also when there is no memory for this one.
    mutating func keep(
        _ frame: UnsafeMutableRawPointer, _ length: Int, _ payload: UnsafeRawBufferPointer = .empty,
        for entry: Int
    ) -> Int {
        precondition(entry >= 0 && entry < neighbours && length + payload.count <= Self.slotSize)
        var lost = 0
        if queues[entry].count == Self.each, let oldest = takeFirst(entry) {
            release(oldest)
            lost = 1
        }
        guard free != Self.none else { return lost + 1 }
        let slot = free
        free = next[Int(slot)]
        count += 1
        let kept = memory + Int(slot) * Self.slotSize
        kept.copyMemory(from: frame, byteCount: length)
        if let rest = payload.baseAddress { (kept + length).copyMemory(from: rest, byteCount: payload.count) }
        lengths[Int(slot)] = Int32(length + payload.count)
        next[Int(slot)] = Self.none
        if queues[entry].last == Self.none { queues[entry].first = slot } else { next[Int(queues[entry].last)] = slot }
        queues[entry].last = slot
        queues[entry].count += 1
        return lost
    }

    /// Takes the oldest frame of an entry; it stays where it is until `release`.
    mutating func take(for entry: Int) -> (slot: Int32, frame: UnsafeMutableRawPointer, length: Int)? {
        guard let slot = takeFirst(entry) else { return nil }
        return (slot, memory + Int(slot) * Self.slotSize, Int(lengths[Int(slot)]))
    }

    mutating func release(_ slot: Int32) {
        next[Int(slot)] = free
        free = slot
        count -= 1
    }

    private mutating func takeFirst(_ entry: Int) -> Int32? {
        let first = queues[entry].first
        guard first != Self.none else { return nil }
        queues[entry].first = next[Int(first)]
        if queues[entry].first == Self.none { queues[entry].last = Self.none }
        queues[entry].count -= 1
        return first
    }
}
