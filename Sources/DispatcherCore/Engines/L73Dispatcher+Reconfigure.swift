/// Another configuration while it runs: what is the same goes on as it is, servers that are there no longer finish what they have, and no
/// connection is lost.
extension L73Dispatcher {
    /// Why another configuration cannot be taken; nil = it can.
    public func fault(of other: EngineConfiguration) -> String? {
        do throws(ServerPlan.Shortage) {
            _ = try plan(other)
            return nil
        } catch {
            return error.description
        }
    }

    private func plan(_ other: EngineConfiguration) throws(ServerPlan.Shortage) -> ServerPlan {
        let seats = (0..<serverCount).map { server in
            ServerPlan.Seat(
                pool: servers[server].pool, endpoint: servers[server].endpoint, isRemoved: servers[server].condition.isRemoved,
                isVacant: isVacant(server))
        }
        return try ServerPlan(other.pools, seats: seats, capacity: serverCapacity)
    }

    /// Another configuration: with the same services in the same order, and all pools that there were at their places.
    /// - Returns: why it cannot be; then nothing has changed.
    public mutating func reconfigure(_ other: EngineConfiguration, at now: Instant, into egress: inout Egress) -> String? {
        if let fault = fault(of: other) { return fault }
        take(other, at: now, into: &egress)
        return nil
    }

    /// - Parameter other: one without `fault`.
    mutating func take(_ other: EngineConfiguration, at now: Instant, into egress: inout Egress) {
        let plan: ServerPlan
        do throws(ServerPlan.Shortage) {
            plan = try self.plan(other)
        } catch {
            preconditionFailure("\(error): the configuration was not checked")
        }
        precondition(other.services.count == configuration.services.count && other.pools.count >= poolCount)
        let before = configuration
        configuration = other
        routes = RouteTable(other.services)
        takeClientLimits(before, at: now)
        growPools(to: other.pools.count)
        for server in plan.removed { remove(server, at: now, into: &egress) }
        // All places first: what is done with one server may serve a queue, which looks at every server of its pool.
        for pool in 0..<poolCount {
            for (place, server) in plan.lists[pool].enumerated() where plan.added.contains(server) {
                seat(server, place: place, pool: pool)
            }
        }
        for pool in 0..<poolCount {
            let list = plan.lists[pool]
            let old = before.pools.indices.contains(pool) ? before.pools[pool] : nil
            pools[pool].change(servers: ServerList(list), settings: other.pools[pool])
            for (place, server) in list.enumerated() where !other.pools[pool].isRetired {
                if plan.added.contains(server) {
                    add(server, isFirst: old == nil, at: now, into: &egress)
                } else if let old, let was = old.servers.first(where: { $0.endpoint == servers[server].endpoint }) {
                    change(server, place: place, from: was, of: old, at: now, into: &egress)
                }
            }
            takeQueue(pool, isRehashed: old.map { $0.balance != other.pools[pool].balance } ?? false, at: now)
        }
        for pool in 0..<poolCount {
            reorderQueue(pool, at: now, into: &egress)
            if pools[pool].settings.isRetired { finishRetired(pool, at: now, into: &egress) }
        }
        planDrain(at: now)
    }

    // MARK: Clients

    /// What is counted for each client is counted anew where its limits came, went, or need more room.
    private mutating func takeClientLimits(_ before: EngineConfiguration, at now: Instant) {
        var isAnother = Self.clientCapacity(configuration) > Self.clientCapacity(before)
        for (service, settings) in configuration.services.enumerated() {
            if (limits[service].perClientConnections > 0) != (settings.limits.perClientConnections > 0) { isAnother = true }
            limits[service] = settings.limits
        }
        for (pool, settings) in configuration.pools.enumerated() {
            let was = before.pools.indices.contains(pool) ? before.pools[pool].queue.clientShare : nil
            if (was == nil) != (settings.queue.clientShare == nil) { isAnother = true }
        }
        guard isAnother else { return }
        let most = max(Self.clientCapacity(configuration), Self.clientCapacity(before))
        clients = ClientTable(capacity: most, key: hashKey)
        for index in 0..<fronts.touched {
            let front = fronts.pointer(index)
            guard front.pointee.isOpen else { continue }
            if limits[Int(front.pointee.service)].perClientConnections > 0 { clients.hold(client(front), at: now) }
            guard front.pointee.queueEntry != RequestQueue.none else { continue }
            let pool = Int(front.pointee.pool)
            if configuration.pools[pool].queue.clientShare != nil { clients.hold(queueing(front, pool: pool), at: now) }
        }
    }

    // MARK: Pools

    /// Makes room for further pools: what a configuration has not had yet.
    private mutating func growPools(to count: Int) {
        guard count > poolCount else { return }
        let pools = UnsafeMutablePointer<ServerPool>.allocate(capacity: count)
        let queues = UnsafeMutablePointer<RequestQueue>.allocate(capacity: count)
        pools.moveInitialize(from: self.pools, count: poolCount)
        queues.moveInitialize(from: self.queues, count: poolCount)
        self.pools.deallocate()
        self.queues.deallocate()
        sharedPools.deallocate()
        sharedPools = .allocate(capacity: count)
        for pool in 0..<count { (sharedPools + pool).initialize(to: shared.pool(pool, mode: .l73)) }
        for pool in poolCount..<count {
            let settings = configuration.pools[pool]
            (pools + pool).initialize(
                to: ServerPool(servers: ServerList([]), settings: settings, isForwarded: configuration.mode(ofPool: pool) == .l43))
            (queues + pool).initialize(
                to: RequestQueue(capacity: settings.queue.capacity, memory: settings.queue.memory, lanes: settings.lanes))
        }
        (self.pools, self.queues, poolCount) = (pools, queues, count)
    }

    /// The queue has the bounds and the lanes of the configuration; what waits keeps its order, its time, and its place though there are fewer
    /// places now.
    /// - Parameter isRehashed: whether the balance is another one.
    private mutating func takeQueue(_ pool: Int, isRehashed: Bool, at now: Instant) {
        let settings = pools[pool].settings
        let fits = queues[pool].fits(settings.queue, lanes: settings.lanes)
        guard !fits || isRehashed else { return }
        let waiting = emptyQueue(pool, at: now)
        if !fits {
            let queue = (queues + pool).move()
            (queues + pool).initialize(to: RequestQueue(insteadOf: queue, settings.queue, lanes: settings.lanes, holding: waiting.count))
        }
        for entry in waiting where isRehashed {
            let front = fronts.pointer(Int(entry.front))
            front.pointee.balanceHash = balanceHash(front, pool: pool)
        }
        refillQueue(pool, with: waiting, at: now)
    }

    /// A pool that is retired: when nothing waits any more its servers go.
    mutating func finishRetired(_ pool: Int, at now: Instant, into egress: inout Egress) {
        guard !pools[pool].servers.isEmpty else { return }
        guard queues[pool].count == 0 else {
            if let server = pools[pool].servers.first { timers.arm(serverTimer(server), by: now + Self.retiredStep) }
            return
        }
        for server in pools[pool].servers { remove(server, at: now, into: &egress) }
        pools[pool].change(servers: ServerList([]), settings: pools[pool].settings)
        planDrain(at: now)
    }

    /// How often it is looked at whether a retired pool is empty.
    static var retiredStep: Interval { .milliseconds(100) }

    // MARK: Servers

    /// Gives a place to a server that was not there, or that was removed and comes back before it was empty. It takes nothing yet.
    private mutating func seat(_ server: Int, place: Int, pool: Int) {
        let settings = configuration.pools[pool]
        let wanted = settings.servers[place]
        if server < serverCount, !isVacant(server) {
            // Its connections are there still: they are used on.
            let fresh = Self.load(of: place, pool: pool, configuration, shared: servers[server].shared)
            servers[server].index = place
            (servers[server].minimum, servers[server].maximum) = (fresh.minimum, fresh.maximum)
            (servers[server].weight, servers[server].isBackup) = (fresh.weight, fresh.isBackup)
            servers[server].toldMSS = fresh.toldMSS
            tunnelControls[server] = Self.tunnelControl(settings)
            guard configuration.shard.leads else { return }
            servers[server].tunnelLimit = settings.tunnels
            withControl(server) {
                $0.change(settings.control, minimum: fresh.minimum, maximum: fresh.maximum)
                $0.controller.setLimit(fresh.bounded(wanted.initialLimit))
            }
            return
        }
        if server < serverCount { shared.release(servers[server].endpoint, pool: servers[server].pool, mode: .l73) }
        let held = shared.hold(wanted.endpoint, pool: pool, mode: .l73) { Self.fresh(wanted, settings, configuration.ports) }
        var load = Self.load(of: place, pool: pool, configuration, shared: held.server)
        load.condition.isRemoved = true
        if server < serverCount {
            (load.notInUse, load.slots) = (servers[server].notInUse, servers[server].slots)
            checkRequests[server]?.deallocate()
            (tunnelControls + server).deinitialize(count: 1)
        } else {
            precondition(server == serverCount)
            serverCount += 1
            Self.addSlots(server, to: &load, configuration, &slotLinks)
        }
        (servers + server).initialize(to: load)
        carried[server] = 0
        if !held.isNew, configuration.shard.leads { begin(server, anewWith: wanted, settings) }
        (tunnelControls + server).initialize(to: Self.tunnelControl(settings))
        (checkRequests + server).initialize(to: nil)
        checks[server] = HealthCheck()
        nextTunnelPort[server] = configuration.ports.firstTunnelPort
    }

    /// What other shards, or a place that it had before, still know of a server is not true any more.
    private mutating func begin(_ server: Int, anewWith wanted: ServerConfiguration, _ settings: PoolConfiguration) {
        let load = servers[server]
        let limit = load.bounded(wanted.initialLimit)
        load.tunnelLimit = settings.tunnels
        withControl(server) {
            if $0.isEmpty {
                $0 = LoadControl(settings.control, initial: limit, minimum: load.minimum, maximum: load.maximum)
            } else {
                $0.change(settings.control, minimum: load.minimum, maximum: load.maximum)
                $0.controller.setLimit(limit)
            }
        }
    }

    /// A server that has got its place takes part from now on.
    /// - Parameter isFirst: whether its pool is new as well: then it need not start slowly.
    private mutating func add(_ server: Int, isFirst: Bool, at now: Instant, into egress: inout Egress) {
        servers[server].tunnelsEndAfter = .distantFuture
        servers[server].condition = ServerCondition()
        if shard.leads { note(server, .state(from: .removed, to: .up, cause: .configuration), at: now) }
        takeChecks(server, at: now, into: &egress)
        if !isFirst, pools[servers[server].pool].settings.slowStart > .zero { servers[server].slowSince = now }
        enforceLimit(server, at: now, into: &egress)
        openAtStart(server, at: now, into: &egress)
    }

    /// A server that is the same: what the configuration says otherwise than before is taken, what was set while it ran stays.
    private mutating func change(
        _ server: Int, place: Int, from was: ServerConfiguration, of old: PoolConfiguration, at now: Instant, into egress: inout Egress
    ) {
        let settings = pools[servers[server].pool].settings
        let fresh = Self.load(of: place, pool: servers[server].pool, configuration, shared: servers[server].shared)
        let wanted = settings.servers[place]
        servers[server].index = place
        (servers[server].minimum, servers[server].maximum) = (fresh.minimum, fresh.maximum)
        (servers[server].toldMSS, servers[server].isBackup) = (fresh.toldMSS, fresh.isBackup)
        if was.weight != wanted.weight { servers[server].weight = wanted.weight }
        servers[server].credit = 0
        let isSame = old.control == settings.control
        if configuration.shard.leads {
            withControl(server) {
                $0.change(isSame ? $0.controller.control : settings.control, minimum: fresh.minimum, maximum: fresh.maximum)
                if was.initialLimit != wanted.initialLimit { $0.controller.setLimit(wanted.initialLimit) }
            }
        }
        if settings.slowStart == .zero { servers[server].slowSince = .distantPast }
        enforceLimit(server, at: now, into: &egress)
        if old.tunnels != settings.tunnels || old.mostTunnels != settings.mostTunnels || old.tunnelControl != settings.tunnelControl {
            tunnelControls[server] = Self.tunnelControl(settings)
            let before = servers[server].tunnelLimit
            if configuration.shard.leads { servers[server].tunnelLimit = settings.tunnels }
            if before != settings.tunnels, configuration.shard.leads {
                note(server, .tunnelLimit(from: before, to: settings.tunnels, reason: .set), at: now)
            }
        }
        if old.usesProxyProtocol != settings.usesProxyProtocol { closeAllIdle(server, at: now, into: &egress) }
        if old.health != settings.health || old.usesProxyProtocol != settings.usesProxyProtocol {
            takeChecks(server, at: now, into: &egress)
            // What an earlier check has found says nothing about this one.
            changeState(of: server, because: .configuration, at: now) { $0.isHealthy = true }
        }
        armServer(server, at: now)
    }

    /// A server that is in the configuration no longer.
    private mutating func remove(_ server: Int, at now: Instant, into egress: inout Egress) {
        changeState(of: server, because: .configuration, at: now) { $0.isRemoved = true }
        servers[server].tunnelsEndAfter = min(servers[server].tunnelsEndAfter, now + configuration.drain)
        takeChecks(server, at: now, into: &egress)
        closeAllIdle(server, at: now, into: &egress)
    }

    mutating func closeAllIdle(_ server: Int, at now: Instant, into egress: inout Egress) {
        while let slot = slotLinks.popFirst(from: &servers[server].idle) {
            closeIdle(backs.pointer(slot), slot, at: now, into: &egress)
        }
    }

    /// The checks of a server begin anew, or end. One that is under way is given up: it asked what is asked no longer.
    private mutating func takeChecks(_ server: Int, at now: Instant, into egress: inout Egress) {
        if let place = checks[server].place {
            checks[server].place = nil
            closeBack(backs.pointer(place), place, reset: true, at: now, into: &egress)
        }
        checkRequests[server]?.deallocate()
        checkRequests[server] = nil
        checks[server].next = .distantFuture
        checks[server].begin()
        guard !servers[server].condition.isRemoved else { return }
        checkRequests[server] = Self.checkRequest(to: servers[server].endpoint, pools[servers[server].pool].settings)
        planCheck(server, at: now)
    }
}
