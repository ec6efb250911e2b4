import CPrefetch
import Glibc

/// From a flow to its connection: open addressing over (hash, index) pairs ([0061]); the hash is keyed by the caller, who also compares
/// the flow itself. At most half full.
///
/// It never grows: with a million flows, moving all of them to a larger table would hold every packet up for a tenth of a second. Its memory
/// is zeros that the system provides where a place is first used.
struct FlowTable: ~Copyable {
    private struct Place {
        var hash: UInt32
        /// One more than the connection's; 0 = the place is free.
        var number: UInt32

        var isFree: Bool { number == 0 }
        var index: Int { Int(number) - 1 }
    }

    private let places: UnsafeMutablePointer<Place>
    private let mask: Int
    private let capacity: Int
    private(set) var count = 0

    /// - Parameter capacity: the most flows that there can be.
    init(capacity: Int) {
        precondition(capacity >= 0 && capacity < Int(UInt32.max))
        var places = 16
        while places < 2 * capacity { places *= 2 }
        guard let memory = calloc(places, MemoryLayout<Place>.stride) else { fatalError("no memory for a table of \(capacity) flows") }
        self.places = memory.bindMemory(to: Place.self, capacity: places)
        self.capacity = capacity
        mask = places - 1
    }

    deinit { free(places) }

    /// Bytes of memory that it has when every page of it has been used.
    var bytes: Int { (mask + 1) * MemoryLayout<Place>.stride }

    /// - Parameter matches: whether the connection at an index is that flow's.
    @inline(__always) func find(_ hash: UInt64, _ matches: (Int) -> Bool) -> Int? {
        let short = UInt32(truncatingIfNeeded: hash >> 32)
        var at = Int(truncatingIfNeeded: hash) & mask
        while !places[at].isFree {
            if places[at].hash == short, matches(places[at].index) { return places[at].index }
            at = (at + 1) & mask
        }
        return nil
    }

    /// Has the memory fetched in which a flow of this hash is looked for first.
    @inline(__always) func fetchAhead(_ hash: UInt64) { sluice_prefetch(places + (Int(truncatingIfNeeded: hash) & mask)) }

    /// The connection that is probably that flow's; nothing but the table is read for it.
    @inline(__always) func guess(_ hash: UInt64) -> Int? {
        let short = UInt32(truncatingIfNeeded: hash >> 32)
        var at = Int(truncatingIfNeeded: hash) & mask
        for _ in 0..<8 where !places[at].isFree {
            if places[at].hash == short { return places[at].index }
            at = (at + 1) & mask
        }
        return nil
    }

    mutating func insert(_ hash: UInt64, _ index: Int) {
        precondition(count < capacity, "there are more flows than there can be")
        var at = Int(truncatingIfNeeded: hash) & mask
        while !places[at].isFree { at = (at + 1) & mask }
        places[at] = Place(hash: UInt32(truncatingIfNeeded: hash >> 32), number: UInt32(index + 1))
        count += 1
    }

    /// Removes the place of `index`, moving back what probed past it.
    /// - Parameter rehash: the hash of the flow at an index.
    mutating func remove(_ hash: UInt64, _ index: Int, rehash: (Int) -> UInt64) {
        var at = Int(truncatingIfNeeded: hash) & mask
        while places[at].index != index {
            precondition(!places[at].isFree, "the flow is not in the table")
            at = (at + 1) & mask
        }
        var gap = at
        var probe = (at + 1) & mask
        while !places[probe].isFree {
            let home = Int(truncatingIfNeeded: rehash(places[probe].index)) & mask
            // It may move into the gap unless its home lies behind the gap on the way to where it is.
            if (probe &- home) & mask >= (probe &- gap) & mask {
                places[gap] = places[probe]
                gap = probe
            }
            probe = (probe + 1) & mask
        }
        places[gap] = Place(hash: 0, number: 0)
        count -= 1
    }
}
