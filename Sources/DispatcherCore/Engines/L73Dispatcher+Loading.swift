/// Controlled loading in the engine: what the servers do is measured, their limits move, and their state is heeded
/// (controlled-loading.md; [0038]-[0040], [0047]).
extension L73Dispatcher {
    /// The measuring of a server, which other shards have too.
    @inline(__always) func withControl<Result>(_ server: Int, _ body: (inout LoadControl) -> Result) -> Result {
        servers[server].shared.pointee.withControl(body)
    }

    /// For how long, in all, requests have waited in a pool, whichever shard they came to.
    func waited(_ pool: Int, at now: Instant) -> Interval {
        configuration.shard.isAlone ? queues[pool].waited(at: now) : sharedPools[pool].pointee.waited(at: now)
    }

    func serverTimer(_ server: Int) -> Int { fronts.capacity + backs.capacity + server }

    // MARK: Requests

    /// A request is dispatched on a back-end connection.
    mutating func noteDispatch(_ back: BackRef, at now: Instant) {
        let server = Int(back.pointee.server)
        back.pointee.dispatched = now
        let (limit, waited) = (servers[server].limit, waited(servers[server].pool, at: now))
        var rested = false
        back.pointee.era = withControl(server) {
            rested = !$0.isMeasuring
            return $0.dispatched(limit: limit, waited: waited, at: now)
        }
        guard rested else { return }
        if configuration.shard.leads { armServer(server, at: now) } else { tellLeader(of: server) }
    }

    /// The head of its response has come.
    mutating func noteResponse(_ back: BackRef, status: UInt16, at now: Instant) {
        let server = Int(back.pointee.server)
        let (time, era) = (now - back.pointee.dispatched, back.pointee.era)
        if withControl(server, { $0.responded(after: time, era: era, at: now) }) {
            if configuration.shard.leads { timers.arm(serverTimer(server), by: now) } else { tellLeader(of: server) }
        }
        // Of the server's errors these two say that it will not do what was asked, not that it cannot (RFC 9110 15.6.2, 15.6.6).
        if status >= 500, status != 501, status != 505 {
            noteFailure(server, at: now)
        } else {
            noteSuccess(server, at: now)
        }
    }

    /// It is outstanding no more.
    func noteDeparture(_ back: BackRef, at now: Instant) {
        let server = Int(back.pointee.server)
        let (time, era, waited) = (now - back.pointee.dispatched, back.pointee.era, waited(servers[server].pool, at: now))
        let bytes = carried[server]
        carried[server] = 0
        withControl(server) {
            $0.carried(bytes)
            $0.departed(after: time, era: era, waited: waited, at: now)
        }
    }

    /// A timeout, a reset, a refused connection, an answer that cannot be understood, a 5xx.
    /// - Parameter inBody: whether it came behind a good head: then only a whole response makes up for it.
    mutating func noteFailure(_ server: Int, inBody: Bool = false, at now: Instant) {
        withControl(server) { $0.failed() }
        servers[server].failures &+= 1
        let ejection = pools[servers[server].pool].settings.ejection
        let isTooMany =
            inBody
            ? servers[server].condition.truncated(limit: ejection.failures) : servers[server].condition.failed(limit: ejection.failures)
        guard isTooMany, othersTakeRequests(than: server) else { return }
        changeState(of: server, because: .consecutiveFailures, at: now) { $0.eject(for: ejection.time, at: now) }
        // What waits goes to others; not here, where a connection is in somebody's hands.
        servers[server].wantsReorder = true
        timers.arm(serverTimer(server), by: now)
    }

    mutating func noteSuccess(_ server: Int, at now: Instant) { servers[server].condition.succeeded(at: now) }

    /// Whether the pool has another server that takes requests: the last one is never ejected.
    private func othersTakeRequests(than server: Int) -> Bool {
        for other in pools[servers[server].pool].servers where other != server && servers[other].takesNew { return true }
        return false
    }

    // MARK: Time

    /// When a server must be looked at again.
    private func serverDeadline(_ server: Int, at now: Instant) -> Instant {
        var deadline = configuration.shard.leads ? withControl(server) { $0.due(at: now) } : .distantFuture
        deadline = min(deadline, servers[server].excessSince + Self.excessTime)
        if servers[server].condition.ejectedUntil != .distantPast { deadline = min(deadline, servers[server].condition.ejectedUntil) }
        if servers[server].slowSince != .distantPast { deadline = min(deadline, now + ServerChooser.slowStep) }
        if !isStopping, !servers[server].condition.isShut { deadline = min(deadline, checks[server].next) }
        return deadline
    }

    mutating func armServer(_ server: Int, at now: Instant) {
        let deadline = serverDeadline(server, at: now)
        if deadline != .distantFuture { timers.arm(serverTimer(server), by: deadline) }
    }

    /// How long connections may be idle beyond the limit ([0040]).
    static var excessTime: Interval { .seconds(1) }

    mutating func fire(server: Int, at now: Instant, into egress: inout Egress) {
        if configuration.shard.leads, endsWindow(server, at: now) { enforceLimit(server, at: now, into: &egress) }
        if servers[server].slowSince != .distantPast { goOnSlowly(server, at: now, into: &egress) }
        if servers[server].condition.ejectedUntil != .distantPast, servers[server].condition.ejectedUntil <= now {
            changeState(of: server, because: .ejectionOver, at: now) { $0.admit() }
            servers[server].wantsReorder = true
        }
        if servers[server].wantsReorder {
            servers[server].wantsReorder = false
            reorderQueue(servers[server].pool, at: now, into: &egress)
        }
        if pools[servers[server].pool].settings.isRetired { finishRetired(servers[server].pool, at: now, into: &egress) }
        closeExcess(server, at: now, into: &egress)
        check(server, at: now, into: &egress)
        armServer(server, at: now)
    }

    /// Ends a performance window, if it is long enough.
    /// - Returns: whether the controller's limit is another one now.
    private mutating func endsWindow(_ server: Int, at now: Instant) -> Bool {
        let pool = servers[server].pool
        let (limit, waited) = (servers[server].limit, waited(pool, at: now))
        let count = configuration.shard.isAlone ? queues[pool].count : sharedPools[pool].pointee.waitingCount
        let bytes = carried[server]
        carried[server] = 0
        return withControl(server) {
            $0.carried(bytes)
            $0.stored(count)
            return $0.end(waited: waited, isWhole: limit == $0.controller.limit, at: now)
        }
    }

    // MARK: The limit

    /// The controller's limit becomes the server's. A higher one serves the queue at once; of a lower one connections that become idle are
    /// not used again ([0040]).
    mutating func enforceLimit(_ server: Int, at now: Instant, into egress: inout Egress) {
        guard configuration.shard.leads else { return }
        let before = servers[server].limit
        let (limit, reason) = withControl(server) { ($0.controller.limit, $0.controller.reason) }
        let isSlow = before < limit && servers[server].slowSince != .distantPast
        setLimit(server, because: isSlow ? .restarted : reason, at: now)
        guard servers[server].limit > before else { return }
        let pool = servers[server].pool
        serveQueue(pool, at: now, into: &egress)
        // With a hashed balance no head tells who waits for this server.
        if queues[pool].laneCount > 1 { wakeAllThatWait(pool) }
    }

    /// Enforces the controller's limit from now on, or a part of it.
    private mutating func setLimit(_ server: Int, because reason: LimitReason, at now: Instant) {
        guard configuration.shard.leads else { return }
        let before = servers[server].limit
        let limit = slowLimit(server, at: now)
        guard limit != before else { return }
        servers[server].limit = limit
        let waited = waited(servers[server].pool, at: now)
        withControl(server) { $0.enforced(limit, waited: waited, at: now) }
        note(server, .limit(from: before, to: limit, reason: reason), at: now)
        noteExcess(server, at: now)
    }

    /// The limit that is enforced: while a server starts slowly a part of the controller's, unless the controller begins anew itself.
    private func slowLimit(_ server: Int, at now: Instant) -> Int {
        let limit = withControl(server) { $0.controller.limit }
        let part = pools[servers[server].pool].chooser.slowPart(servers + server, at: now)
        return part >= 1 || beginsAnew(server) ? limit : max(min(1, limit), Int(Double(limit) * part))
    }

    /// Whether the controller of a server that comes back looks for its limit from the least on.
    private func beginsAnew(_ server: Int) -> Bool {
        withControl(server) { $0.controller.control == .optimiseThroughput }
    }

    private mutating func goOnSlowly(_ server: Int, at now: Instant, into egress: inout Egress) {
        enforceLimit(server, at: now, into: &egress)
        if pools[servers[server].pool].chooser.slowPart(servers + server, at: now) >= 1 { servers[server].slowSince = .distantPast }
    }

    /// Follows how many idle connections a server has beyond its limit: those that were so for the whole of a time are closed after it.
    mutating func noteExcess(_ server: Int, at now: Instant) {
        let excess = min(servers[server].idle.count, servers[server].connections - servers[server].limit)
        guard excess > 0 else {
            servers[server].excessSince = .distantFuture
            return
        }
        if servers[server].excessSince == .distantFuture {
            (servers[server].excessSince, servers[server].excess) = (now, excess)
            timers.arm(serverTimer(server), by: now + Self.excessTime)
        } else {
            servers[server].excess = min(servers[server].excess, excess)
        }
    }

    private mutating func closeExcess(_ server: Int, at now: Instant, into egress: inout Egress) {
        guard servers[server].excessSince + Self.excessTime <= now else { return }
        var left = min(servers[server].excess, servers[server].connections - servers[server].limit)
        servers[server].excessSince = .distantFuture
        while left > 0, let slot = slotLinks.popFirst(from: &servers[server].idle) {
            closeIdle(backs.pointer(slot), slot, at: now, into: &egress)
            left -= 1
        }
        noteExcess(server, at: now)
    }

    // MARK: The state

    /// Changes what is known or ordered of a server, and says so when it takes requests now, or takes none any more.
    mutating func changeState(
        of server: Int, because cause: ServerStateCause, at now: Instant, _ change: (inout ServerCondition) -> Void
    ) {
        let before = servers[server].condition.state
        change(&servers[server].condition)
        let after = servers[server].condition.state
        guard before != after else { return }
        if isForwarded(server) {
            let isHealthy = servers[server].condition.isHealthy
            findings.append(CheckFinding(pool: servers[server].pool, server: servers[server].endpoint, isHealthy: isHealthy, report: nil))
        }
        // Of what happens in every shard the leader tells.
        if configuration.shard.leads || cause == .consecutiveFailures || cause == .ejectionOver {
            note(server, .state(from: before, to: after, cause: cause), at: now)
        }
        servers[server].credit = 0
        if after == .up { comesBack(server, at: now) }
        armServer(server, at: now)
    }

    /// A server takes requests again: what its controller knew of it may be wrong, and it gets its part little by little.
    mutating func comesBack(_ server: Int, at now: Instant) {
        if pools[servers[server].pool].settings.slowStart > .zero { servers[server].slowSince = now }
        if configuration.shard.leads, beginsAnew(server) {
            let minimum = servers[server].minimum
            withControl(server) { $0.controller.restart(at: minimum) }
        }
        setLimit(server, because: .restarted, at: now)
    }

    mutating func note(_ server: Int, _ what: EngineEvent.What, at now: Instant) {
        let event = EngineEvent(at: now, pool: servers[server].pool, server: servers[server].endpoint, what: what)
        if !events.append(event) { counters.eventsLost &+= 1 }
    }
}
