extension L43Dispatcher {
    public mutating func apply(_ command: EngineCommand, at now: Instant, into egress: inout Egress) {
        switch command {
        case .setLimit(let pool, let endpoint, let limit):
            guard let server = server(endpoint, ofPool: pool) else { return }
            guard shard.leads else { return }
            servers[server].withMeasuring { $0.controller.setLimit(limit) }
            enforceLimit(server, at: now)
            serveQueue(pool, at: now, into: &egress)
        case .order(let pool, let endpoint, let order):
            guard let server = server(endpoint, ofPool: pool) else { return }
            self.order(server: server, order, at: now, into: &egress)
        case .setWeight(let pool, let endpoint, let weight):
            guard let server = server(endpoint, ofPool: pool) else { return }
            servers[server].weight = max(1, weight)
            // With a hashed balance some SYNs belong to another server now.
            reorderQueue(pool)
            serveQueue(pool, at: now, into: &egress)
        case .setBand(let pool, let endpoint, let low, let high):
            guard let server = server(endpoint, ofPool: pool) else { return }
            if shard.leads { servers[server].withMeasuring { _ = $0.controller.setBand(low: low, high: high) } }
        case .setHealth: return
        case .stop: stop(at: now, into: &egress)
        case .abort: abort(at: now, into: &egress)
        }
    }

    /// A server's index in the table; nil = there is none such.
    func server(_ endpoint: Endpoint, ofPool pool: Int) -> Int? {
        guard pool >= 0, pool < poolCount else { return nil }
        return pools[pool].servers.first { servers[$0].endpoint == endpoint }
    }

    /// No new connections: stored SYNs are refused, those that are open go on.
    private mutating func stop(at now: Instant, into egress: inout Egress) {
        isStopping = true
        for pool in 0..<poolCount {
            while !egress.isNearlyFull, let index = pools[pool].someQueued {
                let connection = connections.pointer(index)
                counters.refused(.stopping)
                resetClient(connection, into: &egress)
                abandon(connection, index, cause: .down, at: now, into: &egress)
            }
        }
    }

    /// Resets both ends of all that is left, as far as there is room to say so.
    private mutating func abort(at now: Instant, into egress: inout Egress) {
        isStopping = true
        for pool in 0..<poolCount {
            while !egress.isNearlyFull, let index = pools[pool].someQueued {
                resetClient(connections.pointer(index), into: &egress)
                abandon(connections.pointer(index), index, cause: .down, at: now, into: &egress)
            }
        }
        for index in 0..<connections.touched {
            let connection = connections.pointer(index)
            guard connection.pointee.counts, !egress.isNearlyFull else { continue }
            resetClient(connection, into: &egress)
            resetServer(connection, into: &egress)
            abandon(connection, index, cause: .down, at: now, into: &egress)
        }
    }

    /// The figures of the services and pools of this mode; those of others are empty.
    public func snapshot(at now: Instant) -> Snapshot {
        var snapshot = Snapshot()
        for (index, settings) in configuration.services.enumerated() {
            var service = Snapshot.Service(name: settings.name)
            service.frontConnections = services[index].connections
            service.phases = [Int](repeating: 0, count: FrontPhase.allCases.count)
            service.connectionsTotal = services[index].connectionsTotal
            snapshot.services.append(service)
        }
        for pool in 0..<poolCount {
            var shown = Snapshot.Pool(name: pools[pool].settings.name)
            shown.isRetired = pools[pool].settings.isRetired
            shown.queueLength = pools[pool].queueLength
            shown.queueHigh = pools[pool].queueHigh
            for lane in 0..<pools[pool].laneCount {
                guard let first = pools[pool].lanes[lane].first else { continue }
                shown.queueOldest = max(shown.queueOldest, now - connections.pointer(first).pointee.began)
            }
            for server in pools[pool].servers { shown.servers.append(row(server)) }
            for server in 0..<serverCount where servers[server].pool == pool && servers[server].condition.isRemoved {
                if servers[server].active > 0 { shown.servers.append(row(server)) }
            }
            snapshot.pools.append(shown)
        }
        for index in 0..<connections.touched {
            let connection = connections.pointer(index).pointee
            if let phase = Self.phase(connection) { snapshot.services[Int(connection.service)].phases[Int(phase.rawValue)] += 1 }
        }
        snapshot.counters = counters.export()
        snapshot.timeWaits = closed.count
        snapshot.timers = timers.count
        snapshot.clientsHold = clients.held
        snapshot.clientEvictions = clients.evictions
        snapshot.isStopping = isStopping
        return snapshot
    }

    private func row(_ server: Int) -> Snapshot.Server {
        let load = servers[server]
        var row = Snapshot.Server(endpoint: load.endpoint)
        row.limit = load.limit
        row.active = load.active
        row.connects = load.connects
        row.connectFailures = load.connectFailures
        row.requests = load.exchanges
        row.isReachable = load.isUp
        row.state = load.condition.state
        row.weight = load.weight
        row.isBackup = load.isBackup
        row.failures = load.failures
        row.ejections = load.condition.ejections
        row.take(load.withMeasuring { $0 })
        return row
    }

    /// Bytes of memory that tracked connections take: all tables, the free places of the records included.
    var trackingBytes: Int { connections.bytes + links.bytes + timers.bytes + clientTable.bytes + serverTable.bytes }

    /// What a connection is doing, in the words of mode l7/3; nil = it has ended.
    private static func phase(_ connection: ForwardedConnection) -> FrontPhase? {
        switch connection.state {
        case .queued: .queued
        case .opening: .connecting
        case .open: connection.up.hasFin || connection.down.hasFin ? .closing : .tunnel
        case .closed: nil
        }
    }
}
