/// An engine beside others that share its servers (tcp.md, "Shards"): a token is taken before a server is given anything, and a freed one
/// goes to the shard in which something has waited longest.
protocol SharingEngine: ~Copyable {
    associatedtype Server: HeldServer

    var shard: Shard { get }
    var servers: UnsafeMutablePointer<Server> { get }
    var serverCount: Int { get }
    var poolCount: Int { get }
    /// By pool: what it has in common with other shards.
    var sharedPools: UnsafeMutablePointer<UnsafeMutablePointer<SharedPool>> { get }
    /// The shards that must look at their queues: a bit for each.
    var wakes: UInt64 { get set }

    /// The FIFOs of a pool's queue; more than one with a hashed balance.
    func laneCount(_ pool: Int) -> Int
    /// What waits in a pool in this shard, all lanes together.
    func queueLength(_ pool: Int) -> Int
    /// The ticket of what has waited longest, in a queue of one lane; nil = nothing waits.
    func headTicket(_ pool: Int) -> UInt64?
    /// Whether some server could be given something, as far as it is no matter of this shard's own connections and ports.
    func hasRoom(_ pool: Int) -> Bool
    /// Serves the queue, whatever other shards do but what is older there.
    mutating func serveLanes(_ pool: Int, at now: Instant, into egress: inout Egress)
    mutating func serveQueue(_ pool: Int, at now: Instant, into egress: inout Egress)
    /// Has the server looked at as soon as time passes.
    mutating func lookSoon(at server: Int, _ now: Instant)
}

extension SharingEngine where Self: ~Copyable {
    // MARK: The order

    /// The ticket of what has waited longest for a token in another shard. With a hashed balance each shard keeps its own order: there
    /// everything waits for its own server.
    @inline(__always) func oldestElsewhere(_ pool: Int) -> UInt64? {
        guard !shard.isAlone, laneCount(pool) == 1 else { return nil }
        return sharedPools[pool].pointee.oldest(besides: shard.index)?.ticket
    }

    /// Serves the queue as far as what is in it has waited longer than what is in those of other shards, says where the head stands now,
    /// and wakes whose turn it is.
    mutating func serveBesideOthers(_ pool: Int, at now: Instant, into egress: inout Egress) {
        serveLanes(pool, at: now, into: &egress)
        // Where each shard has its own order nobody is held up by a head.
        guard laneCount(pool) == 1 else { return publish(nil, pool) }
        while let head = headTicket(pool) {
            // Published first, looked at behind that: a token that is freed meanwhile is seen here, or the head there.
            publish(head, pool)
            guard hasRoom(pool), isOldest(head, pool) else { break }
            serveLanes(pool, at: now, into: &egress)
            guard headTicket(pool) == head else { continue }
            // There is room all the same: something of this shard's own is missing, which is no reason to hold up others. Whoever has
            // freed a token since has seen the head, and wakes this shard.
            if hasRoom(pool) { publish(nil, pool) }
            break
        }
        if queueLength(pool) == 0 { publish(nil, pool) }
        wakeOldest(pool)
    }

    private func publish(_ ticket: UInt64?, _ pool: Int) { sharedPools[pool].pointee.publish(ticket, shard: shard.index) }

    private func isOldest(_ head: UInt64, _ pool: Int) -> Bool { oldestElsewhere(pool).map { head < $0 } ?? true }

    /// There is room for something: whoever has waited longest for it is told.
    private mutating func wakeOldest(_ pool: Int) {
        guard laneCount(pool) == 1, let other = sharedPools[pool].pointee.oldest(besides: shard.index), hasRoom(pool) else { return }
        wakes |= 1 << UInt64(other.shard)
    }

    /// Something is free that the heads do not tell of.
    mutating func wakeAllThatWait(_ pool: Int) {
        guard !shard.isAlone else { return }
        wakes |= sharedPools[pool].pointee.shardsThatWait & ~(1 << UInt64(shard.index))
    }

    // MARK: The queue

    @inline(__always) func queueEntered(_ pool: Int, at now: Instant) {
        guard !shard.isAlone else { return }
        sharedPools[pool].pointee.entered()
        if queueLength(pool) == 1 { sharedPools[pool].pointee.begins(shard: shard.index, at: now) }
    }

    @inline(__always) mutating func queueLeft(_ pool: Int, at now: Instant) {
        guard !shard.isAlone else { return }
        sharedPools[pool].pointee.left()
        if queueLength(pool) == 0 { sharedPools[pool].pointee.ends(shard: shard.index, at: now) }
        // A head that is gone must not hold up others, nor one that waits though there is room.
        let head = laneCount(pool) == 1 ? headTicket(pool) : nil
        publish(head.flatMap { hasRoom(pool) && isOldest($0, pool) ? nil : $0 }, pool)
        wakeOldest(pool)
    }

    // MARK: From shard to shard

    /// The shard that ends windows is to look at a server's.
    mutating func tellLeader(of server: Int) {
        servers[server].shared.pointee.wantsEnd.store(true, ordering: .sequentiallyConsistent)
        wakes |= 1
    }

    /// Another shard has freed something, or has something for the leader.
    mutating func lookAround(at now: Instant, into egress: inout Egress) {
        if shard.leads {
            for server in 0..<serverCount where servers[server].shared.pointee.wantsEnd.exchange(false, ordering: .sequentiallyConsistent) {
                lookSoon(at: server, now)
            }
        }
        for pool in 0..<poolCount where queueLength(pool) > 0 { serveQueue(pool, at: now, into: &egress) }
    }
}
