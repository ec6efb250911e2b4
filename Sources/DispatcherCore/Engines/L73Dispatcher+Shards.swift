/// What an engine does beside others that share its servers (tcp.md, "Shards"): a token is taken before a request is dispatched, and a freed
/// one goes to the shard whose request has waited longest.
extension L73Dispatcher {
    // MARK: Tokens

    /// - Returns: false when another shard has just taken the last; then nothing has changed.
    func takeTokens(_ server: Int, upgrades: Bool, streams: Bool) -> Bool {
        let shared = servers[server].shared
        guard shared.pointee.requests.take() else { return false }
        if upgrades, !shared.pointee.tunnels.take() {
            shared.pointee.requests.give()
            return false
        }
        if streams {
            if upgrades {
                shared.pointee.streamed.wrappingAdd(1, ordering: .relaxed)
            } else if !shared.pointee.takeStream() {
                shared.pointee.requests.give()
                return false
            }
        }
        return true
    }

    mutating func giveTokens(_ server: Int, upgrades: Bool, streams: Bool) {
        let shared = servers[server].shared
        if streams { shared.pointee.streamed.wrappingSubtract(1, ordering: .relaxed) }
        if upgrades { shared.pointee.tunnels.give() }
        shared.pointee.requests.give()
        // Who waits for these two is not among the heads.
        if upgrades || streams { wakeAllThatWait(servers[server].pool) }
    }

    // MARK: The order

    /// The ticket of the request that has waited longest for a token in another shard. With a hashed balance each shard keeps its own
    /// order: there a request waits for its own server.
    func oldestElsewhere(_ pool: Int) -> UInt64? {
        guard !configuration.shard.isAlone, queues[pool].laneCount == 1 else { return nil }
        return sharedPools[pool].pointee.oldest(besides: configuration.shard.index)?.ticket
    }

    /// Serves the queue as far as its requests have waited longer than those of other shards, says where the head stands now, and wakes
    /// whose turn it is.
    mutating func serveBesideOthers(_ pool: Int, at now: Instant, into egress: inout Egress) {
        while true {
            serveLanes(pool, at: now, into: &egress)
            // Published first, looked at behind that: a token that is freed meanwhile is seen here, or the head there.
            guard publishHead(pool), mayTakeRequest(pool), isOldest(pool) else { break }
        }
        wakeOldest(pool)
    }

    /// - Returns: whether the queue's head waits for a token, and not for something of this shard's own.
    @discardableResult private func publishHead(_ pool: Int) -> Bool {
        var ticket: UInt64?
        for lane in 0..<queues[pool].laneCount {
            guard let first = queues[pool].first(in: lane) else { continue }
            ticket = min(ticket ?? .max, queues[pool][first].ticket)
        }
        // Where a server has room all the same, it is something else that is missing, unless others are older.
        if let head = ticket, mayTakeRequest(pool), oldestElsewhere(pool).map({ head < $0 }) ?? true { ticket = nil }
        sharedPools[pool].pointee.publish(ticket, shard: configuration.shard.index)
        return ticket != nil
    }

    private func isOldest(_ pool: Int) -> Bool {
        guard let first = queues[pool].first(in: 0) else { return queues[pool].count > 0 }
        return oldestElsewhere(pool).map { queues[pool][first].ticket < $0 } ?? true
    }

    /// There is room for a request: whoever waits for it is told.
    private mutating func wakeOldest(_ pool: Int) {
        guard let other = sharedPools[pool].pointee.oldest(besides: configuration.shard.index), mayTakeRequest(pool) else { return }
        if queues[pool].laneCount > 1 { return wakeAllThatWait(pool) }
        wakes |= 1 << UInt64(other.shard)
    }

    /// Something is free that the heads do not tell of.
    mutating func wakeAllThatWait(_ pool: Int) {
        guard !configuration.shard.isAlone else { return }
        wakes |= sharedPools[pool].pointee.shardsThatWait & ~(1 << UInt64(configuration.shard.index))
    }

    // MARK: The queue

    func queueEntered(_ pool: Int, at now: Instant) {
        guard !configuration.shard.isAlone else { return }
        sharedPools[pool].pointee.entered()
        if queues[pool].count == 1 { sharedPools[pool].pointee.begins(shard: configuration.shard.index, at: now) }
    }

    mutating func queueLeft(_ pool: Int, at now: Instant) {
        guard !configuration.shard.isAlone else { return }
        sharedPools[pool].pointee.left()
        if queues[pool].count == 0 { sharedPools[pool].pointee.ends(shard: configuration.shard.index, at: now) }
        // A head that is gone must not hold up others.
        publishHead(pool)
        wakeOldest(pool)
    }

    // MARK: From shard to shard

    /// Another shard has freed something, or has something for the leader: to be called when `takeWakes` of another named this one.
    public mutating func wake(at now: Instant, into egress: inout Egress) {
        if configuration.shard.leads {
            for server in 0..<serverCount where servers[server].shared.pointee.wantsEnd.exchange(false, ordering: .sequentiallyConsistent) {
                timers.arm(serverTimer(server), by: now)
            }
        }
        for pool in 0..<poolCount where queues[pool].count > 0 { serveQueue(pool, at: now, into: &egress) }
    }

    /// The shards that must be woken since the last call: a bit for each.
    public mutating func takeWakes() -> UInt64 {
        defer { wakes = 0 }
        return wakes
    }

    /// What the other shards must be told since the last call, in order.
    public mutating func takeAnnouncements() -> [EngineCommand] {
        guard !announcements.isEmpty else { return [] }
        defer { announcements.removeAll() }
        return announcements
    }
}
