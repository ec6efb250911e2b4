/// What the engine does beside others that share its servers (tcp.md, "Shards"): a token is taken before a SYN is forwarded, and a freed one
/// goes to the shard whose SYN has waited longest.
extension L43Dispatcher: SharingEngine {
    @inline(__always) var shard: Shard { configuration.shard }
    @inline(__always) func laneCount(_ pool: Int) -> Int { pools[pool].laneCount }
    @inline(__always) func queueLength(_ pool: Int) -> Int { pools[pool].queueLength }

    @inline(__always) func headTicket(_ pool: Int) -> UInt64? {
        pools[pool].lanes[0].first.map { connections.pointer($0).pointee.ticket }
    }

    func hasRoom(_ pool: Int) -> Bool { pools[pool].hasRoom(servers) }

    mutating func lookSoon(at server: Int, _ now: Instant) { timers.arm(serverTimer(server), by: now) }

    /// For how long, in all, SYNs have waited in a pool, whichever shard they came to.
    @inline(__always) func waited(_ pool: Int, at now: Instant) -> Interval {
        shard.isAlone ? pools[pool].waited(at: now) : sharedPools[pool].pointee.waited(at: now)
    }

    /// - Returns: false when another shard has just taken the last; then nothing has changed.
    @inline(__always) func takeToken(_ server: Int) -> Bool { servers[server].shared.pointee.requests.take() }

    /// A connection counts no longer: another may begin.
    mutating func giveToken(_ server: Int) {
        servers[server].shared.pointee.requests.give()
        // With a hashed balance no head tells who waits for this server.
        if laneCount(servers[server].pool) > 1 { wakeAllThatWait(servers[server].pool) }
    }

    /// Another shard has freed something, or has something for the leader: to be called when `takeWakes` of another named this one.
    public mutating func wake(at now: Instant, into egress: inout Egress) { lookAround(at: now, into: &egress) }

    /// The shards that must be woken since the last call: a bit for each.
    public mutating func takeWakes() -> UInt64 {
        defer { wakes = 0 }
        return wakes
    }
}
