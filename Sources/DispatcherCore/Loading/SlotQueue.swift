/// A FIFO of slots, linked through `SlotLinks`: the idle queue and the not-in-use queue of [0060] are such queues.
struct SlotQueue {
    static let none = UInt32.max

    fileprivate var head = SlotQueue.none
    fileprivate var tail = SlotQueue.none
    fileprivate(set) var count = 0

    var isEmpty: Bool { count == 0 }
    /// The slot that has been in it longest.
    var first: Int? { head == Self.none ? nil : Int(head) }
}

/// The links of all slots; a slot is in at most one queue at a time. Memory is touched only as far as it is used.
struct SlotLinks: ~Copyable {
    private struct Link {
        var previous = SlotQueue.none
        var next = SlotQueue.none
    }

    private let links: UnsafeMutablePointer<Link>
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = capacity
        links = .allocate(capacity: max(capacity, 1))
    }

    deinit { links.deallocate() }

    /// Bytes of memory that it has when all slots have been linked.
    var bytes: Int { capacity * MemoryLayout<Link>.stride }

    func append(_ slot: Int, to queue: inout SlotQueue) {
        precondition(slot >= 0 && slot < capacity)
        (links + slot).initialize(to: Link(previous: queue.tail, next: SlotQueue.none))
        if queue.tail == SlotQueue.none { queue.head = UInt32(slot) } else { links[Int(queue.tail)].next = UInt32(slot) }
        queue.tail = UInt32(slot)
        queue.count += 1
    }

    func remove(_ slot: Int, from queue: inout SlotQueue) {
        precondition(slot >= 0 && slot < capacity && queue.count > 0)
        let link = links[slot]
        if link.previous == SlotQueue.none { queue.head = link.next } else { links[Int(link.previous)].next = link.next }
        if link.next == SlotQueue.none { queue.tail = link.previous } else { links[Int(link.next)].previous = link.previous }
        queue.count -= 1
    }

    func popFirst(from queue: inout SlotQueue) -> Int? {
        guard let slot = queue.first else { return nil }
        remove(slot, from: &queue)
        return slot
    }
}
