import DispatcherCore

/// Frames that wait for a neighbour's hardware address, at most `each` a neighbour: the newest, as RFC 1122 2.3.2.2 asks for. They are
/// copied, because the egress that they came in is emptied; memory is allocated once, and touched only where a frame ever waited.
struct WaitingFrames: ~Copyable {
    /// Frames of one neighbour.
    static let each = 3
    /// Frames of all neighbours of a side.
    static let capacity = 64
    private static let slotSize = 65_536 + 64

    private let memory: UnsafeMutableRawPointer
    private let lengths: UnsafeMutablePointer<Int32>
    private let free: UnsafeMutablePointer<Int32>
    private var freeCount: Int
    /// `each` slot numbers for each entry of the neighbour table, oldest first; -1 = none.
    private let queues: UnsafeMutablePointer<Int32>
    private let neighbours: Int

    /// - Parameter neighbours: entries of the neighbour table.
    init(neighbours: Int) {
        let free = UnsafeMutablePointer<Int32>.allocate(capacity: Self.capacity)
        for index in 0..<Self.capacity { free[index] = Int32(index) }
        let queues = UnsafeMutablePointer<Int32>.allocate(capacity: Self.each * neighbours)
        queues.initialize(repeating: -1, count: Self.each * neighbours)
        memory = .allocate(byteCount: Self.capacity * Self.slotSize, alignment: 64)
        lengths = .allocate(capacity: Self.capacity)
        self.free = free
        freeCount = Self.capacity
        self.queues = queues
        self.neighbours = neighbours
    }

    deinit {
        memory.deallocate()
        lengths.deallocate()
        free.deallocate()
        queues.deallocate()
    }

    var count: Int { Self.capacity - freeCount }

    /// Keeps a frame; when three wait already, the oldest of them is lost.
    /// - Returns: how many frames were lost: 1 also when there is no memory for this one.
    mutating func keep(_ frame: UnsafeMutableRawPointer, _ length: Int, for entry: Int) -> Int {
        precondition(entry >= 0 && entry < neighbours && length <= Self.slotSize)
        let queue = queues + Self.each * entry
        var lost = 0
        if queue[Self.each - 1] >= 0 {
            release(takeFirst(queue))
            lost = 1
        }
        guard freeCount > 0 else { return lost + 1 }
        freeCount -= 1
        let slot = Int(free[freeCount])
        (memory + slot * Self.slotSize).copyMemory(from: frame, byteCount: length)
        lengths[slot] = Int32(length)
        var place = 0
        while queue[place] >= 0 { place += 1 }
        queue[place] = Int32(slot)
        return lost
    }

    /// Takes the oldest frame of an entry; it stays where it is until `release`.
    mutating func take(for entry: Int) -> (slot: Int32, frame: UnsafeMutableRawPointer, length: Int)? {
        let queue = queues + Self.each * entry
        guard queue[0] >= 0 else { return nil }
        let slot = takeFirst(queue)
        return (slot, memory + Int(slot) * Self.slotSize, Int(lengths[Int(slot)]))
    }

    mutating func release(_ slot: Int32) {
        free[freeCount] = slot
        freeCount += 1
    }

    private func takeFirst(_ queue: UnsafeMutablePointer<Int32>) -> Int32 {
        let first = queue[0]
        for place in 1..<Self.each { queue[place - 1] = queue[place] }
        queue[Self.each - 1] = -1
        return first
    }
}
