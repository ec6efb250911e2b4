/// Another configuration while it runs: connections that there are go on with the server that they have.
extension L43Dispatcher {
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
        let known = knownServers()
        let seats = (0..<serverCount).map { server in
            let isRemoved = servers[server].condition.isRemoved
            return ServerPlan.Seat(
                pool: servers[server].pool, endpoint: servers[server].endpoint, isRemoved: isRemoved,
                isVacant: isRemoved && !known.contains(server))
        }
        return try ServerPlan(
            other.forwardedPools, seats: seats, capacity: serverCapacity, limit: "pools: servers in mode l4/3")
    }

    /// Whether a server is there, or something is left of it.
    func hasServer(_ endpoint: Endpoint) -> Bool {
        let known = knownServers()
        for server in 0..<serverCount where servers[server].endpoint == endpoint {
            if !servers[server].condition.isRemoved || known.contains(server) { return true }
        }
        return false
    }

    /// The servers that connections have or had: also one that has ended has its place at them until it is forgotten.
    private func knownServers() -> Set<Int> {
        var known: Set<Int> = []
        for index in 0..<connections.touched {
            let connection = connections.pointer(index).pointee
            let isThere = connection.state != .closed || connection.forgetAt != .distantFuture
            if isThere, connection.server != ForwardedConnection.noServer { known.insert(Int(connection.server)) }
        }
        return known
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
        takeListeners()
        takeClientLimits(before, at: now)
        growPools(to: other.pools.count)
        for server in plan.removed { remove(server, at: now) }
        let settings = other.forwardedPools
        for pool in 0..<poolCount {
            let list = plan.lists[pool]
            let waiting = emptyQueue(pool)
            let old = before.pools.indices.contains(pool) ? before.pools[pool] : nil
            pools[pool].change(servers: ServerList(list), settings: settings[pool])
            for (place, server) in list.enumerated() where !settings[pool].isRetired {
                let wanted = settings[pool].servers[place]
                if plan.added.contains(server) {
                    add(server, wanted, place: place, pool: pool, isFirst: old == nil, at: now)
                } else if let old, let was = old.servers.first(where: { $0.endpoint == wanted.endpoint }) {
                    servers[server].index = place
                    servers[server].change(
                        from: was, to: wanted, control: settings[pool].control, isSame: old.control == settings[pool].control,
                        leads: shard.leads)
                    if settings[pool].slowStart == .zero { servers[server].slowSince = .distantPast }
                    if settings[pool].health == nil {
                        changeState(of: server, because: .configuration, at: now) { $0.isHealthy = true }
                    }
                    enforceLimit(server, at: now)
                    armServer(server, at: now)
                }
            }
            refillQueue(pool, with: waiting)
        }
        for pool in 0..<poolCount {
            serveQueue(pool, at: now, into: &egress)
            if pools[pool].settings.isRetired { finishRetired(pool, at: now) }
        }
    }

    /// The endpoints are the same; what leads from there may not be.
    private mutating func takeListeners() {
        let (ends, _) = Self.ends(configuration)
        precondition(ends.count == listenerCount)
        for (index, end) in ends.enumerated() {
            precondition(listeners[index].endpoint == end.endpoint)
            listeners[index] = end
        }
    }

    /// What is counted for each client is counted anew where its limits came, went, or need more room.
    private mutating func takeClientLimits(_ before: EngineConfiguration, at now: Instant) {
        let most = max(Self.clientCapacity(configuration), Self.clientCapacity(before))
        var isAnother = Self.clientCapacity(configuration) > Self.clientCapacity(before)
        for (service, settings) in configuration.services.enumerated() {
            if (limits[service].perClientConnections > 0) != (settings.limits.perClientConnections > 0) { isAnother = true }
            limits[service] = settings.limits
        }
        for (pool, settings) in before.pools.enumerated() {
            if (settings.queue.clientShare == nil) != (configuration.pools[pool].queue.clientShare == nil) { isAnother = true }
        }
        guard isAnother else { return }
        clients = ClientTable(capacity: most, key: hashKey)
        for index in 0..<connections.touched {
            let connection = connections.pointer(index)
            guard connection.pointee.state != .closed else { continue }
            let service = Int(connection.pointee.service)
            if limits[service].perClientConnections > 0 {
                clients.hold(ClientTable.Client(connection.pointee.client.address, scope: service), at: now)
            }
            guard connection.pointee.state == .queued else { continue }
            if configuration.pools[Int(connection.pointee.pool)].queue.clientShare != nil {
                clients.hold(queueing(connection), at: now)
            }
        }
    }

    private mutating func growPools(to count: Int) {
        guard count > poolCount else { return }
        let pools = UnsafeMutablePointer<ForwardedPool>.allocate(capacity: count)
        pools.moveInitialize(from: self.pools, count: poolCount)
        self.pools.deallocate()
        for pool in poolCount..<count {
            (pools + pool).initialize(to: ForwardedPool(servers: ServerList([]), settings: configuration.pools[pool]))
        }
        sharedPools.deallocate()
        sharedPools = .allocate(capacity: count)
        for pool in 0..<count { (sharedPools + pool).initialize(to: shared.pool(pool, mode: .l43)) }
        (self.pools, poolCount) = (pools, count)
    }

    // MARK: Servers

    /// What a server has in common with other shards.
    /// - Returns: where it is; and whether no shard had it.
    static func hold(
        _ settings: ServerConfiguration, pool: Int, _ configuration: EngineConfiguration, _ shared: SharedLoad
    ) -> (server: UnsafeMutablePointer<SharedServer>, isNew: Bool) {
        shared.hold(settings.endpoint, pool: pool, mode: .l43) {
            ForwardedServer.fresh(settings, control: configuration.pools[pool].control, shards: configuration.shard.count)
        }
    }

    /// What a server of the configuration gets in the table of servers.
    static func server(
        _ settings: ServerConfiguration, index: Int, pool: Int, _ configuration: EngineConfiguration,
        shared: UnsafeMutablePointer<SharedServer>
    ) -> ForwardedServer {
        guard let source = configuration.sourceAddress(toward: settings.endpoint.address) else {
            preconditionFailure("no source address of the family of \(settings.endpoint): the configuration was not checked")
        }
        return ForwardedServer(
            settings, index: index, pool: pool, shared: shared, shard: configuration.shard.index, source: source,
            firstPort: configuration.shard.firstPort(from: configuration.ports.firstForwardedPort))
    }

    /// A server that was not there, or that was removed and comes back before its last connection has ended.
    /// - Parameter isFirst: whether its pool is new as well: then it need not start slowly.
    private mutating func add(
        _ server: Int, _ settings: ServerConfiguration, place: Int, pool: Int, isFirst: Bool, at now: Instant
    ) {
        let control = pools[pool].settings.control
        if server < serverCount, servers[server].pool == pool, servers[server].endpoint == settings.endpoint {
            servers[server].index = place
            servers[server].comesBack(as: settings, control: control, leads: shard.leads)
        } else {
            if server < serverCount {
                shared.release(servers[server].endpoint, pool: servers[server].pool, mode: .l43)
            } else {
                serverCount += 1
            }
            let held = Self.hold(settings, pool: pool, configuration, shared)
            (servers + server).initialize(to: Self.server(settings, index: place, pool: pool, configuration, shared: held.server))
            if !held.isNew, shard.leads { servers[server].beginAnew(as: settings, control: control) }
        }
        if shard.leads { note(server, .state(from: .removed, to: .up, cause: .configuration), at: now) }
        if !isFirst, pools[pool].settings.slowStart > .zero { servers[server].slowSince = now }
        enforceLimit(server, at: now)
        armServer(server, at: now)
    }

    /// A server that is in the configuration no longer: its connections go on.
    private mutating func remove(_ server: Int, at now: Instant) {
        let before = servers[server].condition.state
        servers[server].condition.isRemoved = true
        if shard.leads { note(server, .state(from: before, to: .removed, cause: .configuration), at: now) }
    }

    /// A pool that is retired: when nothing waits any more its servers go.
    mutating func finishRetired(_ pool: Int, at now: Instant) {
        guard let first = pools[pool].servers.first else { return }
        guard pools[pool].queueLength == 0 else { return timers.arm(serverTimer(first), by: now + .milliseconds(100)) }
        for server in pools[pool].servers { remove(server, at: now) }
        pools[pool].change(servers: ServerList([]), settings: pools[pool].settings)
    }
}
