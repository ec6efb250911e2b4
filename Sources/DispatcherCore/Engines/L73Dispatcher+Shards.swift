/// What an engine does beside others that share its servers (tcp.md, "Shards"): a token is taken before a request is dispatched, and a freed
/// one goes to the shard whose request has waited longest.
extension L73Dispatcher: SharingEngine {
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

    // MARK: What is shared

    @inline(__always) var shard: Shard { configuration.shard }
    @inline(__always) func laneCount(_ pool: Int) -> Int { queues[pool].laneCount }
    @inline(__always) func queueLength(_ pool: Int) -> Int { queues[pool].count }

    @inline(__always) func headTicket(_ pool: Int) -> UInt64? { queues[pool].first(in: 0).map { queues[pool][$0].ticket } }

    mutating func lookSoon(at server: Int, _ now: Instant) { timers.arm(serverTimer(server), by: now) }

    // MARK: From shard to shard

    /// Another shard has freed something, or has something for the leader: to be called when `takeWakes` of another named this one.
    public mutating func wake(at now: Instant, into egress: inout Egress) { lookAround(at: now, into: &egress) }

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
