import CPrefetch
import Glibc

/// Deadlines of connections: a hierarchical wheel of five levels with 64 slots each, about 1 ms a tick, 12 days around.
///
/// Each id has at most one timer. Arming for later than it is armed already does nothing (the owner looks again when it fires), so that
/// moving a deadline on, which every packet does, costs a comparison.
///
/// What lies in a slot is dealt out to the finer slots when its time comes, a limited number at a time: hundreds of thousands of connections
/// that were opened within seconds have deadlines within one slot, and packets must not wait for all of them.
///
/// Its memory is zeros that the system provides where an id is first used: an id far from the others costs no more than one among them.
struct TimerWheel: ~Copyable {
    /// Nanoseconds of a tick, as a shift: 2^20.
    private static let shift: Int64 = 20
    private static let levels = 5
    private static let none = UInt32.max
    /// The list of what has expired but was not handed out yet.
    private static let expired = 320
    /// The list of what is being dealt out. Its head alone knows that it is in this list: the others still bear the mark of their slot.
    private static let dealing = 321
    /// How many are dealt out before whoever asks gets an answer.
    static let mostDealt = 1_024

    private struct Node {
        var tick: UInt64
        var next: UInt32
        var previous: UInt32
        /// One more than the list that it is in; 0 = not armed.
        var place: UInt16

        var isArmed: Bool { place != 0 }
        var list: Int { Int(place) - 1 }
    }

    private let nodes: UnsafeMutablePointer<Node>
    private let heads: UnsafeMutablePointer<UInt32>
    private let capacity: Int
    private var occupied = InlineArray<5, UInt64>(repeating: 0)
    /// The tick up to which everything was handed out.
    private var elapsed: UInt64 = 0
    /// How many timers are armed.
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = capacity
        guard let memory = calloc(max(capacity, 1), MemoryLayout<Node>.stride) else { fatalError("no memory for \(capacity) timers") }
        nodes = memory.bindMemory(to: Node.self, capacity: max(capacity, 1))
        heads = .allocate(capacity: Self.dealing + 1)
        heads.initialize(repeating: Self.none, count: Self.dealing + 1)
    }

    deinit {
        free(nodes)
        heads.deallocate()
    }

    /// Bytes of memory that it has when all ids have been armed.
    var bytes: Int { capacity * MemoryLayout<Node>.stride }

    private static func tick(_ deadline: Instant) -> UInt64 { UInt64(max(0, (deadline.nanoseconds - 1) >> shift)) + 1 }

    /// Makes sure that `id` fires at `deadline` or before.
    mutating func arm(_ id: Int, by deadline: Instant) {
        precondition(id >= 0 && id < capacity)
        let tick = max(Self.tick(deadline), elapsed + 1)
        if nodes[id].isArmed {
            if nodes[id].tick <= tick { return }
            unlink(id)
        } else {
            count += 1
        }
        nodes[id].tick = tick
        link(id)
    }

    /// Has the memory of a timer fetched.
    @inline(__always) func fetchAhead(_ id: Int) {
        if id >= 0, id < capacity { sluice_prefetch(nodes + id) }
    }

    mutating func disarm(_ id: Int) {
        precondition(id >= 0 && id < capacity)
        guard nodes[id].isArmed else { return }
        unlink(id)
        count -= 1
    }

    private mutating func link(_ id: Int) {
        let tick = nodes[id].tick
        let differing = tick ^ elapsed
        var level = differing < 64 ? 0 : (63 - differing.leadingZeroBitCount) / 6
        var slot = 0
        if level >= Self.levels {
            // Beyond the wheel: parked in the farthest slot of the top level and linked anew from there.
            level = Self.levels - 1
            slot = Int((elapsed >> UInt64(6 * level)) &+ 63) & 63
        } else {
            slot = Int(tick >> UInt64(6 * level)) & 63
        }
        occupied[level] |= 1 << UInt64(slot)
        push(id, list: level * 64 + slot)
    }

    private func push(_ id: Int, list: Int) {
        let head = heads[list]
        nodes[id].place = UInt16(list + 1)
        nodes[id].previous = Self.none
        nodes[id].next = head
        if head != Self.none { nodes[Int(head)].previous = UInt32(id) }
        heads[list] = UInt32(id)
    }

    private mutating func unlink(_ id: Int) {
        let node = nodes[id]
        if node.previous != Self.none {
            nodes[Int(node.previous)].next = node.next
        } else if node.list == Self.dealing {
            beginDealing(node.next)
        } else {
            heads[node.list] = node.next
        }
        if node.next != Self.none { nodes[Int(node.next)].previous = node.previous }
        if heads[node.list] == Self.none, node.list < Self.expired { occupied[node.list / 64] &= ~(1 << UInt64(node.list % 64)) }
        nodes[id].place = 0
    }

    /// Makes a list, by its head, the one that is dealt out.
    private func beginDealing(_ head: UInt32) {
        heads[Self.dealing] = head
        if head != Self.none { nodes[Int(head)].place = UInt16(Self.dealing + 1) }
    }

    /// The earliest tick at which a slot must be looked at, and the slot.
    private var nextSlot: (tick: UInt64, level: Int, slot: Int)? {
        for level in 0..<Self.levels where occupied[level] != 0 {
            let position = Int(elapsed >> UInt64(6 * level)) & 63
            let bits = occupied[level]
            let rotated = bits >> UInt64(position) | (position == 0 ? 0 : bits << UInt64(64 - position))
            let slot = (rotated.trailingZeroBitCount + position) & 63
            let span = UInt64(6 * level)
            let lap = (elapsed >> (span + 6)) << (span + 6)
            var tick = lap + UInt64(slot) << span
            if tick <= elapsed, !(level == 0 && tick == elapsed) { tick += 1 << (span + 6) }
            return (tick, level, slot)
        }
        return nil
    }

    /// When `next(at:)` has something to do; never later than the earliest timer.
    var deadline: Instant {
        if heads[Self.expired] != Self.none || heads[Self.dealing] != Self.none { return .distantPast }
        guard let next = nextSlot else { return .distantFuture }
        return Instant(nanoseconds: Int64(next.tick) << Self.shift)
    }

    /// An id whose timer has run out at `now`; it is no longer armed. nil when there is none, or when so much was done that the owner should
    /// do something else first: then `deadline` is not later than `now`.
    mutating func next(at now: Instant) -> Int? {
        let limit = UInt64(max(0, now.nanoseconds >> Self.shift))
        var left = Self.mostDealt
        while true {
            let head = heads[Self.expired]
            if head != Self.none {
                unlink(Int(head))
                count -= 1
                return Int(head)
            }
            if heads[Self.dealing] != Self.none {
                guard left > 0 else { return nil }
                left -= 1
                deal()
                continue
            }
            guard let slot = nextSlot, slot.tick <= limit else {
                elapsed = max(elapsed, limit)
                return nil
            }
            elapsed = max(elapsed, slot.tick)
            let list = slot.level * 64 + slot.slot
            let slotHead = heads[list]
            heads[list] = Self.none
            occupied[slot.level] &= ~(1 << UInt64(slot.slot))
            beginDealing(slotHead)
        }
    }

    /// Puts the first of what is dealt out where it belongs now.
    private mutating func deal() {
        let id = Int(heads[Self.dealing])
        let next = nodes[id].next
        if next != Self.none { nodes[Int(next)].previous = Self.none }
        beginDealing(next)
        if nodes[id].tick <= elapsed { push(id, list: Self.expired) } else { link(id) }
    }
}
