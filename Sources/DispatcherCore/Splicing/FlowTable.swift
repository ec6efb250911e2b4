/// From a flow to its connection: open addressing over (hash, index) pairs ([0061]); the hash is keyed by the caller, who also compares
/// the flow itself. At most half full.
struct FlowTable: ~Copyable {
    private struct Place {
        var hash: UInt32
        var index: UInt32
    }

    private static let empty = UInt32.max

    private var places: UnsafeMutablePointer<Place>
    private var mask: Int
    private(set) var count = 0

    /// It starts small and doubles when half full.
    init() {
        mask = 1_023
        places = .allocate(capacity: mask + 1)
        places.initialize(repeating: Place(hash: 0, index: Self.empty), count: mask + 1)
    }

    deinit { places.deallocate() }

    /// Bytes of memory that it has.
    var bytes: Int { (mask + 1) * MemoryLayout<Place>.stride }

    /// - Parameter matches: whether the connection at an index is that flow's.
    @inline(__always) func find(_ hash: UInt64, _ matches: (Int) -> Bool) -> Int? {
        let short = UInt32(truncatingIfNeeded: hash >> 32)
        var at = Int(truncatingIfNeeded: hash) & mask
        while places[at].index != Self.empty {
            if places[at].hash == short, matches(Int(places[at].index)) { return Int(places[at].index) }
            at = (at + 1) & mask
        }
        return nil
    }

    /// - Parameter rehash: the hash of the flow at an index, for when the table grows or closes a gap.
    mutating func insert(_ hash: UInt64, _ index: Int, rehash: (Int) -> UInt64) {
        if (count + 1) * 2 > mask { grow(rehash) }
        place(hash, index)
        count += 1
    }

    private func place(_ hash: UInt64, _ index: Int) {
        var at = Int(truncatingIfNeeded: hash) & mask
        while places[at].index != Self.empty { at = (at + 1) & mask }
        places[at] = Place(hash: UInt32(truncatingIfNeeded: hash >> 32), index: UInt32(index))
    }

    private mutating func grow(_ rehash: (Int) -> UInt64) {
        let old = places
        let oldCount = mask + 1
        mask = oldCount * 2 - 1
        places = .allocate(capacity: mask + 1)
        places.initialize(repeating: Place(hash: 0, index: Self.empty), count: mask + 1)
        for at in 0..<oldCount where old[at].index != Self.empty { place(rehash(Int(old[at].index)), Int(old[at].index)) }
        old.deallocate()
    }

    /// Removes the place of `index`, moving back what probed past it.
    mutating func remove(_ hash: UInt64, _ index: Int, rehash: (Int) -> UInt64) {
        var at = Int(truncatingIfNeeded: hash) & mask
        while places[at].index != UInt32(index) {
            precondition(places[at].index != Self.empty, "the flow is not in the table")
            at = (at + 1) & mask
        }
        var gap = at
        var probe = (at + 1) & mask
        while places[probe].index != Self.empty {
            let home = Int(truncatingIfNeeded: rehash(Int(places[probe].index))) & mask
            // It may move into the gap unless its home lies behind the gap on the way to where it is.
            if (probe &- home) & mask >= (probe &- gap) & mask {
                places[gap] = places[probe]
                gap = probe
            }
            probe = (probe + 1) & mask
        }
        places[gap] = Place(hash: 0, index: Self.empty)
        count -= 1
    }
}
