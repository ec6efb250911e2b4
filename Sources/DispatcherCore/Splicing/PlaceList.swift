/// Places that wait for the end of a turn, in the order in which they came; at most so many.
struct PlaceList: ~Copyable {
    private let places: UnsafeMutablePointer<UInt32>
    private let capacity: Int
    private var first = 0
    private var end = 0

    init(capacity: Int) {
        self.capacity = capacity
        places = .allocate(capacity: max(capacity, 1))
    }

    deinit { places.deallocate() }

    var isEmpty: Bool { first == end }

    /// - Returns: false when it is full.
    mutating func append(_ place: Int) -> Bool {
        guard end < capacity else { return false }
        places[end] = UInt32(place)
        end += 1
        return true
    }

    /// Takes the oldest off; nil when there is none.
    mutating func removeFirst() -> Int? {
        guard first < end else { return nil }
        let place = Int(places[first])
        first += 1
        if first == end { (first, end) = (0, 0) }
        return place
    }
}
