/// The FIFO of requests that wait for an idle server ([0036]); bounded in entries and bytes. One for each pool.
///
/// An entry can leave from anywhere: a client that goes away takes its request with it. With a hashed balance a request waits for its own
/// server: then there is a lane for each, a FIFO of its own; what bounds the queue bounds all lanes together.
struct RequestQueue: ~Copyable {
    /// What a request needs besides an idle server.
    enum Kind: UInt8 { case plain, upgrade, streamed }

    struct Entry {
        /// The front-end connection whose request waits.
        var front: UInt32
        var bytes: UInt32
        var since: Instant
        /// Upgrades need another kind of connection than requests, and those whose body is streamed have only part of a server's.
        var kind: Kind
        var lane: UInt16
        /// Lower ones have waited longer, in whichever shard.
        var ticket: UInt64
        fileprivate var previous: UInt32
        fileprivate var next: UInt32
    }

    static let none = UInt32.max

    private struct Lane {
        var head = RequestQueue.none
        var tail = RequestQueue.none
        var count = 0
        var kinds = InlineArray<3, Int>(repeating: 0)
    }

    private let entries: UnsafeMutablePointer<Entry>
    private let lanes: UnsafeMutablePointer<Lane>
    let laneCount: Int
    private let capacity: Int
    private let memory: Int
    private var freeHead = RequestQueue.none
    private var touched = 0
    private(set) var count = 0
    private(set) var bytes = 0
    /// The most entries that there have been.
    private(set) var high = 0
    /// Since when something waits, and how long something waited before that.
    private var busySince = Instant.distantPast
    private var busyTime = Interval.zero

    /// - Parameters:
    ///   - capacity: entries.
    ///   - memory: bytes of requests.
    ///   - count: entries that there is room for although they are more.
    init(capacity: Int, memory: Int, lanes laneCount: Int = 1, holding count: Int = 0) {
        self.capacity = capacity
        self.memory = memory
        self.laneCount = laneCount
        entries = .allocate(capacity: max(capacity, count, 1))
        lanes = .allocate(capacity: laneCount)
        lanes.initialize(repeating: Lane(), count: laneCount)
    }

    /// Another one with other bounds in the place of one that was emptied for it: its figures go on.
    /// - Parameter count: entries that there is room for in any case.
    init(insteadOf queue: consuming RequestQueue, _ settings: QueueConfiguration, lanes: Int, holding count: Int) {
        precondition(queue.count == 0)
        self.init(capacity: settings.capacity, memory: settings.memory, lanes: lanes, holding: count)
        high = queue.high
        busyTime = queue.busyTime
    }

    /// Whether it has these bounds.
    func fits(_ settings: QueueConfiguration, lanes: Int) -> Bool {
        capacity == settings.capacity && memory == settings.memory && laneCount == lanes
    }

    deinit {
        entries.deallocate()
        lanes.deallocate()
    }

    subscript(index: UInt32) -> Entry { entries[Int(index)] }

    /// The entry that has waited longest in a lane.
    func first(in lane: Int) -> UInt32? { lanes[lane].head == Self.none ? nil : lanes[lane].head }

    /// Since when the entry waits that has waited longest of all.
    var oldest: Instant? {
        var found: Instant?
        for lane in 0..<laneCount {
            guard let first = first(in: lane), found.map({ self[first].since < $0 }) ?? true else { continue }
            found = self[first].since
        }
        return found
    }

    func count(in lane: Int) -> Int { lanes[lane].count }

    /// How many entries of a lane there are of a kind.
    func count(_ kind: Kind, in lane: Int) -> Int { lanes[lane].kinds[Int(kind.rawValue)] }

    /// For how long, in all, something has waited.
    func waited(at now: Instant) -> Interval { count > 0 ? busyTime + (now - busySince) : busyTime }

    /// The entry behind `index` in its lane.
    func next(after index: UInt32) -> UInt32? {
        let next = entries[Int(index)].next
        return next == Self.none ? nil : next
    }

    /// - Parameters:
    ///   - ticket: where it stands among those of all shards.
    ///   - since: when it began to wait, where that is not now.
    ///   - atFront: for a request that is repeated: it has waited its turn already.
    ///   - isKept: for one that was in the queue already: it has its place although there are fewer now.
    /// - Returns: the entry's index; nil when the queue is full.
    mutating func insert(
        front: UInt32, bytes size: Int, kind: Kind, lane: Int = 0, ticket: UInt64 = 0, at now: Instant, since: Instant? = nil,
        atFront: Bool = false,
        isKept: Bool = false
    ) -> UInt32? {
        guard isKept || (count < capacity && bytes + size <= memory) else { return nil }
        let index: UInt32
        if freeHead != Self.none {
            index = freeHead
            freeHead = entries[Int(index)].next
        } else {
            index = UInt32(touched)
            touched += 1
        }
        let place = lanes + lane
        let entry = Entry(
            front: front, bytes: UInt32(size), since: since ?? now, kind: kind, lane: UInt16(lane), ticket: ticket,
            previous: atFront ? Self.none : place.pointee.tail, next: atFront ? place.pointee.head : Self.none)
        (entries + Int(index)).initialize(to: entry)
        if entry.previous == Self.none { place.pointee.head = index } else { entries[Int(entry.previous)].next = index }
        if entry.next == Self.none { place.pointee.tail = index } else { entries[Int(entry.next)].previous = index }
        if count == 0 { busySince = now }
        count += 1
        place.pointee.count += 1
        place.pointee.kinds[Int(kind.rawValue)] += 1
        bytes += size
        high = max(high, count)
        return index
    }

    mutating func remove(_ index: UInt32, at now: Instant) {
        let entry = entries[Int(index)]
        let place = lanes + Int(entry.lane)
        if entry.previous == Self.none { place.pointee.head = entry.next } else { entries[Int(entry.previous)].next = entry.next }
        if entry.next == Self.none { place.pointee.tail = entry.previous } else { entries[Int(entry.next)].previous = entry.previous }
        entries[Int(index)].next = freeHead
        freeHead = index
        count -= 1
        if count == 0 { busyTime = busyTime + (now - busySince) }
        place.pointee.count -= 1
        place.pointee.kinds[Int(entry.kind.rawValue)] -= 1
        bytes -= Int(entry.bytes)
    }
}
