/// Controlled loading of forwarded connections: what the servers do is measured, and their limits move ([0050]-[0053], claims 54-59).
extension L43Dispatcher {
    func serverTimer(_ server: Int) -> Int { connections.capacity + server }

    /// When a server must be looked at again: its window ends, or it may be tried again.
    mutating func armServer(_ server: Int, at now: Instant) {
        var deadline = servers[server].control.due(at: now)
        if servers[server].failedUntil > now { deadline = min(deadline, servers[server].failedUntil) }
        if deadline != .distantFuture { timers.arm(serverTimer(server), by: deadline) }
    }

    mutating func fire(server: Int, at now: Instant, into egress: inout Egress) {
        let pool = servers[server].pool
        servers[server].control.stored(pools[pool].queue.count)
        if servers[server].control.end(waited: pools[pool].waited(at: now), isWhole: true, at: now) { enforceLimit(server, at: now) }
        serveQueue(pool, at: now, into: &egress)
        armServer(server, at: now)
    }

    /// The controller's limit becomes the server's. After a lower one what is beyond it runs out.
    mutating func enforceLimit(_ server: Int, at now: Instant) {
        guard let before = servers[server].takeLimit(waited: pools[servers[server].pool].waited(at: now), at: now) else { return }
        let reason = servers[server].control.controller.reason
        note(server, .limit(from: before, to: servers[server].limit, reason: reason), at: now)
    }

    /// An operator's order: what a server has goes on in any case.
    mutating func order(server: Int, _ order: ServerOrder, at now: Instant, into egress: inout Egress) {
        let before = servers[server].condition.state
        servers[server].condition.order = order
        let state = servers[server].condition.state
        if state != before { note(server, .state(from: before, to: state, cause: .order), at: now) }
        serveQueue(servers[server].pool, at: now, into: &egress)
    }

    private mutating func note(_ server: Int, _ what: EngineEvent.What, at now: Instant) {
        if !events.append(EngineEvent(at: now, pool: servers[server].pool, server: servers[server].index, what: what)) {
            counters.eventsLost &+= 1
        }
    }
}
