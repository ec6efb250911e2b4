/// The FIFO of requests that wait for an idle server ([0036]); bounded in entries and bytes. One for each pool.
///
/// An entry can leave from anywhere: a client that goes away takes its request with it.
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
        fileprivate var previous: UInt32
        fileprivate var next: UInt32
    }

    static let none = UInt32.max

    private let entries: UnsafeMutablePointer<Entry>
    private let capacity: Int
    private let memory: Int
    private var head = RequestQueue.none
    private var tail = RequestQueue.none
    private var freeHead = RequestQueue.none
    private var touched = 0
    private(set) var count = 0
    private var kinds = InlineArray<3, Int>(repeating: 0)
    private(set) var bytes = 0
    /// The most entries that there have been.
    private(set) var high = 0

    /// - Parameters:
    ///   - capacity: entries.
    ///   - memory: bytes of requests.
    init(capacity: Int, memory: Int) {
        self.capacity = capacity
        self.memory = memory
        entries = .allocate(capacity: max(capacity, 1))
    }

    deinit { entries.deallocate() }

    /// The entry that has waited longest.
    var first: UInt32? { head == Self.none ? nil : head }

    subscript(index: UInt32) -> Entry { entries[Int(index)] }

    /// How many entries there are of a kind.
    func count(_ kind: Kind) -> Int { kinds[Int(kind.rawValue)] }

    /// The entry behind `index`.
    func next(after index: UInt32) -> UInt32? {
        let next = entries[Int(index)].next
        return next == Self.none ? nil : next
    }

    /// - Parameter atFront: for a request that is repeated: it has waited its turn already.
    /// - Returns: the entry's index; nil when the queue is full.
    mutating func insert(front: UInt32, bytes size: Int, kind: Kind, at now: Instant, atFront: Bool = false) -> UInt32? {
        guard count < capacity, bytes + size <= memory else { return nil }
        let index: UInt32
        if freeHead != Self.none {
            index = freeHead
            freeHead = entries[Int(index)].next
        } else {
            index = UInt32(touched)
            touched += 1
        }
        let entry = Entry(
            front: front, bytes: UInt32(size), since: now, kind: kind, previous: atFront ? Self.none : tail,
            next: atFront ? head : Self.none)
        (entries + Int(index)).initialize(to: entry)
        if entry.previous == Self.none { head = index } else { entries[Int(entry.previous)].next = index }
        if entry.next == Self.none { tail = index } else { entries[Int(entry.next)].previous = index }
        count += 1
        kinds[Int(kind.rawValue)] += 1
        bytes += size
        high = max(high, count)
        return index
    }

    mutating func remove(_ index: UInt32) {
        let entry = entries[Int(index)]
        if entry.previous == Self.none { head = entry.next } else { entries[Int(entry.previous)].next = entry.next }
        if entry.next == Self.none { tail = entry.previous } else { entries[Int(entry.next)].previous = entry.previous }
        entries[Int(index)].next = freeHead
        freeHead = index
        count -= 1
        kinds[Int(entry.kind.rawValue)] -= 1
        bytes -= Int(entry.bytes)
    }
}
