/// Places that are due after one and the same time, so that the order in which they come is that in which they are due; at most so many.
struct DueList: ~Copyable {
    private let entries: UnsafeMutablePointer<(place: Int, due: Instant)>
    private let capacity: Int
    private var first = 0
    private var count = 0

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
        entries = .allocate(capacity: self.capacity)
    }

    deinit { entries.deallocate() }

    /// When the oldest is due.
    var deadline: Instant { count == 0 ? .distantFuture : entries[first].due }

    /// - Returns: false when it is full.
    mutating func append(_ place: Int, due: Instant) -> Bool {
        guard count < capacity else { return false }
        let at = first + count
        entries[at < capacity ? at : at - capacity] = (place, due)
        count += 1
        return true
    }

    /// Takes the oldest off if it is due; nil when there is none.
    mutating func removeFirst(by now: Instant) -> Int? {
        guard count > 0, entries[first].due <= now else { return nil }
        let place = entries[first].place
        first = first + 1 < capacity ? first + 1 : 0
        count -= 1
        return place
    }
}
