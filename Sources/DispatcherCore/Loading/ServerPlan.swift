/// Which places of an engine's table of servers those of a configuration get: each one keeps what it has, the others take places that nobody
/// has any more.
struct ServerPlan {
    /// What a place is taken by.
    struct Seat {
        var pool: Int
        var endpoint: Endpoint
        /// Whether it is in the configuration no longer.
        var isRemoved: Bool
        /// Whether nothing is left of it.
        var isVacant: Bool
    }

    /// By pool: the places of its servers, in the order of the configuration.
    private(set) var lists: [[Int]] = []
    /// Those that were not there, or were removed.
    private(set) var added: Set<Int> = []
    /// Those that are in the configuration no longer.
    private(set) var removed: [Int] = []
    /// How many places have been used.
    private(set) var used: Int

    /// - Parameters:
    ///   - pools: a pool that is retired has the servers that it had.
    ///   - seats: the places that have been used.
    ///   - capacity: places in all.
    ///   - limit: what bounds them, in words.
    /// - Throws: `Shortage` when there are too few.
    init(_ pools: [PoolConfiguration], seats: [Seat], capacity: Int, limit: String = "server-side.servers") throws(Shortage) {
        used = seats.count
        var vacant = seats.indices.filter { seats[$0].isVacant }
        var wanted: [(pool: Int, place: Int)] = []
        for (pool, settings) in pools.enumerated() {
            var list: [Int] = []
            for (place, server) in settings.servers.enumerated() {
                let seat = seats.firstIndex { $0.pool == pool && $0.endpoint == server.endpoint && !$0.isVacant }
                if settings.isRetired {
                    // It gets nothing back: what has left it stays away.
                    if let seat, !seats[seat].isRemoved { list.append(seat) }
                } else if let seat {
                    if seats[seat].isRemoved { added.insert(seat) }
                    list.append(seat)
                } else {
                    wanted.append((pool, place))
                    list.append(-1)
                }
            }
            lists.append(list)
        }
        let free = vacant.count + capacity - used
        guard wanted.count <= free else {
            throw Shortage(
                limit: limit, capacity: capacity, wanted: wanted.count, free: free, draining: seats.count { $0.isRemoved && !$0.isVacant })
        }
        vacant.reverse()
        for (pool, place) in wanted {
            let seat = vacant.popLast() ?? used
            if seat == used { used += 1 }
            lists[pool][place] = seat
            added.insert(seat)
        }
        let stays = Set(lists.joined())
        removed = seats.indices.filter { !seats[$0].isRemoved && !stays.contains($0) }
    }

    /// There are fewer places than servers.
    struct Shortage: Error, CustomStringConvertible {
        var limit: String
        var capacity: Int
        var wanted: Int
        var free: Int
        /// Places that removed servers still have.
        var draining: Int

        var description: String {
            let others = draining == 0 ? "" : "; \(draining) are taken by removed servers that are not empty yet"
            return "\(limit): of \(capacity) places \(free) are free, but \(wanted) more servers need one\(others)"
        }
    }
}
