/// Controlled loading in mode l4/3 ([0051], [0052]): windows, limits, and the state of the servers.
extension L43Dispatcher {
    func serverTimer(_ server: Int) -> Int { connections.capacity + server }

    /// When a server must be looked at again: its window ends, it may be tried again, its ejection is over, or it gets more.
    mutating func armServer(_ server: Int, at now: Instant) {
        var deadline = shard.leads ? servers[server].withMeasuring { $0.due(at: now) } : .distantFuture
        if servers[server].isResting { deadline = min(deadline, servers[server].failedUntil) }
        if servers[server].condition.ejectedUntil != .distantPast { deadline = min(deadline, servers[server].condition.ejectedUntil) }
        if servers[server].slowSince != .distantPast { deadline = min(deadline, now + ServerChooser.slowStep) }
        if deadline != .distantFuture { timers.arm(serverTimer(server), by: deadline) }
    }

    mutating func fire(server: Int, at now: Instant, into egress: inout Egress) {
        let pool = servers[server].pool
        servers[server].endRest(at: now)
        if shard.leads, endsWindow(server, at: now) { enforceLimit(server, at: now) }
        if servers[server].slowSince != .distantPast {
            enforceLimit(server, at: now)
            if pools[pool].slowPart(servers + server, at: now) >= 1 { servers[server].slowSince = .distantPast }
        }
        if servers[server].condition.ejectedUntil != .distantPast, servers[server].condition.ejectedUntil <= now {
            changeState(of: server, because: .ejectionOver, at: now) { $0.admit() }
        }
        if pools[pool].laneCount > 1 { reorderQueue(pool) }
        refuseWithoutServer(pool, at: now, into: &egress)
        serveQueue(pool, at: now, into: &egress)
        if pools[pool].settings.isRetired { finishRetired(pool, at: now) }
        armServer(server, at: now)
    }

    /// Ends a performance window, if it is long enough.
    /// - Returns: whether the controller's limit is another one now.
    private func endsWindow(_ server: Int, at now: Instant) -> Bool {
        let pool = servers[server].pool
        let (limit, waited) = (servers[server].limit, waited(pool, at: now))
        let count = shard.isAlone ? pools[pool].queueLength : sharedPools[pool].pointee.waitingCount
        return servers[server].withMeasuring {
            $0.stored(count)
            return $0.end(waited: waited, isWhole: limit == $0.controller.limit, at: now)
        }
    }

    // MARK: The limit

    /// The controller's limit becomes the server's, or a part of it while it starts slowly. After a lower one what is beyond it runs out.
    mutating func enforceLimit(_ server: Int, at now: Instant) {
        guard shard.leads else { return }
        let pool = servers[server].pool
        let (beginsAnew, reason) = servers[server].withMeasuring {
            ($0.controller.control == .optimiseThroughput, $0.controller.reason)
        }
        let part = beginsAnew ? 1 : pools[pool].slowPart(servers + server, at: now)
        let (before, wasPart) = servers[server].takeLimit(part: part, waited: waited(pool, at: now), at: now)
        let limit = servers[server].limit
        guard limit != before else { return }
        let isSlow = part < 1 || servers[server].slowSince != .distantPast && wasPart
        note(server, .limit(from: before, to: limit, reason: isSlow ? .restarted : reason), at: now)
        // With a hashed balance no head tells who waits for this server.
        if limit > before, laneCount(pool) > 1 { wakeAllThatWait(pool) }
    }

    // MARK: The state

    /// An operator's order: what a server has goes on in any case.
    mutating func order(server: Int, _ order: ServerOrder, at now: Instant, into egress: inout Egress) {
        changeState(of: server, because: .order, at: now) { $0.order = order }
        let pool = servers[server].pool
        reorderQueue(pool)
        refuseWithoutServer(pool, at: now, into: &egress)
        serveQueue(pool, at: now, into: &egress)
    }

    /// A SYN was refused, or not answered in time; too many of them in a row leave the server out for a time, never the last one.
    mutating func noteFailure(_ server: Int, at now: Instant) {
        servers[server].noteFailure(at: now)
        let pool = servers[server].pool
        let ejection = pools[pool].settings.ejection
        if servers[server].condition.failed(limit: ejection.failures),
            pools[pool].servers.contains(where: { $0 != server && servers[$0].condition.state == .up })
        {
            changeState(of: server, because: .consecutiveFailures, at: now) { $0.eject(for: ejection.time, at: now) }
            // What waits for it goes to others; not here, where a connection is in somebody's hands.
            timers.arm(serverTimer(server), by: now)
        }
        armServer(server, at: now)
    }

    /// What a health check has found; the engine for requests makes them.
    mutating func take(_ finding: CheckFinding, at now: Instant, into egress: inout Egress) {
        guard let server = server(finding.server, ofPool: finding.pool) else { return }
        if let report = finding.report { servers[server].withMeasuring { $0.report(report) } }
        guard let isHealthy = finding.isHealthy, pools[finding.pool].settings.health != nil else { return }
        guard servers[server].condition.isHealthy != isHealthy else { return }
        changeState(of: server, because: .healthCheck, at: now) { $0.isHealthy = isHealthy }
        let pool = servers[server].pool
        reorderQueue(pool)
        refuseWithoutServer(pool, at: now, into: &egress)
        serveQueue(pool, at: now, into: &egress)
    }

    /// Changes what is known or ordered of a server, and says so when it takes connections now, or takes none any more.
    mutating func changeState(
        of server: Int, because cause: ServerStateCause, at now: Instant, _ change: (inout ServerCondition) -> Void
    ) {
        let before = servers[server].condition.state
        change(&servers[server].condition)
        let after = servers[server].condition.state
        guard before != after else { return }
        // Of what happens in every shard the leader tells.
        if shard.leads || cause == .consecutiveFailures || cause == .ejectionOver {
            note(server, .state(from: before, to: after, cause: cause), at: now)
        }
        servers[server].credit = 0
        if after == .up { comesBack(server, at: now) }
        armServer(server, at: now)
    }

    /// A server takes connections again: what its controller knew of it may be wrong, and it gets its part little by little.
    mutating func comesBack(_ server: Int, at now: Instant) {
        if pools[servers[server].pool].settings.slowStart > .zero { servers[server].slowSince = now }
        if shard.leads { servers[server].restart() }
        enforceLimit(server, at: now)
    }

    /// When no server of the pool takes anything any more, SYNs that wait are refused at once.
    private mutating func refuseWithoutServer(_ pool: Int, at now: Instant, into egress: inout Egress) {
        guard pools[pool].queueLength > 0, !pools[pool].servers.someTakesNew(servers) else { return }
        while !egress.isNearlyFull, let index = pools[pool].someQueued {
            counters.refused(.noServer)
            resetClient(connections.pointer(index), into: &egress)
            abandon(connections.pointer(index), index, cause: .resource, at: now, into: &egress)
        }
    }

    mutating func note(_ server: Int, _ what: EngineEvent.What, at now: Instant) {
        if !events.append(EngineEvent(at: now, pool: servers[server].pool, server: servers[server].endpoint, what: what)) {
            counters.eventsLost &+= 1
        }
    }
}
