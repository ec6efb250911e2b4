import Synchronization

/// What the shards of one dispatcher share: each server's tokens and measuring, each pool's order of waiting. Nothing else of a shard is
/// seen by another (tcp.md, "Shards").
public final class SharedLoad: Sendable {
    /// How many shards there are; 1 to 64.
    public let shards: Int

    private struct Place: @unchecked Sendable {
        let server: UnsafeMutablePointer<SharedServer>
        /// Shards that hold it.
        var holders = 0
    }

    /// A server in mode l4/3 that is checked is a server of the engine for requests as well: they have nothing in common.
    private struct Key: Hashable {
        var mode: DispatchMode
        var pool: Int
        var endpoint: Endpoint
    }

    private struct Tables {
        var servers: [Key: Place] = [:]
        var pools: [DispatchMode: [Pool]] = [:]
    }

    private struct Pool: @unchecked Sendable {
        let pool: UnsafeMutablePointer<SharedPool>
    }

    private let tables = Mutex(Tables())

    public init(shards: Int = 1) {
        precondition((1...64).contains(shards))
        self.shards = shards
    }

    deinit {
        let left = tables.withLock { $0 }
        for place in left.servers.values {
            place.server.deinitialize(count: 1)
            place.server.deallocate()
        }
        for place in left.pools.values.joined() {
            place.pool.deinitialize(count: 1)
            place.pool.deallocate()
        }
    }

    /// A shard begins to use a server.
    /// - Parameters:
    ///   - mode: of the engine that uses it.
    ///   - make: what it begins with, where no shard has it yet.
    /// - Returns: where it stays until every shard has released it; and whether it was made.
    func hold(
        _ endpoint: Endpoint, pool: Int, mode: DispatchMode, make: () -> SharedServer
    ) -> (server: UnsafeMutablePointer<SharedServer>, isNew: Bool) {
        tables.withLock { tables in
            let key = Key(mode: mode, pool: pool, endpoint: endpoint)
            if var place = tables.servers[key] {
                place.holders += 1
                tables.servers[key] = place
                return (place.server, false)
            }
            let server = UnsafeMutablePointer<SharedServer>.allocate(capacity: 1)
            server.initialize(to: make())
            tables.servers[key] = Place(server: server, holders: 1)
            return (server, true)
        }
    }

    /// A shard uses a server no more.
    func release(_ endpoint: Endpoint, pool: Int, mode: DispatchMode) {
        tables.withLock { tables in
            let key = Key(mode: mode, pool: pool, endpoint: endpoint)
            guard var place = tables.servers[key] else { return }
            place.holders -= 1
            if place.holders > 0 {
                tables.servers[key] = place
            } else {
                tables.servers[key] = nil
                place.server.deinitialize(count: 1)
                place.server.deallocate()
            }
        }
    }

    /// By index of `EngineConfiguration.pools`, as the engine of a mode has it; it stays where it is.
    func pool(_ index: Int, mode: DispatchMode) -> UnsafeMutablePointer<SharedPool> {
        tables.withLock { tables in
            var pools = tables.pools[mode] ?? []
            while pools.count <= index {
                let pool = UnsafeMutablePointer<SharedPool>.allocate(capacity: 1)
                pool.initialize(to: SharedPool(shards: shards))
                pools.append(Pool(pool: pool))
            }
            tables.pools[mode] = pools
            return pools[index].pool
        }
    }
}
