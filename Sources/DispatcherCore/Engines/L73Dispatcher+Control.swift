extension L73Dispatcher {
    public mutating func apply(_ command: EngineCommand, at now: Instant, into egress: inout Egress) {
        switch command {
        case .setLimit(let pool, let endpoint, let limit):
            guard let server = server(endpoint, ofPool: pool) else { return }
            setLimit(server: server, to: limit, at: now, into: &egress)
        case .order(let pool, let endpoint, let order):
            guard let server = server(endpoint, ofPool: pool) else { return }
            self.order(server: server, order, at: now, into: &egress)
        case .setWeight(let pool, let endpoint, let weight):
            guard let server = server(endpoint, ofPool: pool) else { return }
            servers[server].weight = max(1, weight)
            // With a hashed balance some requests belong to another server now.
            reorderQueue(pool, at: now, into: &egress)
        case .setBand(let pool, let endpoint, let low, let high):
            guard let server = server(endpoint, ofPool: pool) else { return }
            if configuration.shard.leads { withControl(server) { _ = $0.controller.setBand(low: low, high: high) } }
        case .setHealth(let pool, let endpoint, let isHealthy):
            guard let server = server(endpoint, ofPool: pool) else { return }
            changeState(of: server, because: .healthCheck, at: now) { $0.isHealthy = isHealthy }
            reorderQueue(pool, at: now, into: &egress)
        case .stop: stop(at: now, into: &egress)
        case .abort: abort(at: now, into: &egress)
        }
    }

    /// An operator's order: what a server has is finished in any case; one that is down loses its idle connections too.
    private mutating func order(server: Int, _ order: ServerOrder, at now: Instant, into egress: inout Egress) {
        let wasDown = servers[server].condition.order == .down
        changeState(of: server, because: .order, at: now) { $0.order = order }
        if order == .ready {
            servers[server].tunnelsEndAfter = .distantFuture
            planDrain(at: now)
        } else if servers[server].tunnelsEndAfter == .distantFuture {
            servers[server].tunnelsEndAfter = now + configuration.drain
            planDrain(at: now)
        }
        if order == .down {
            closeAllIdle(server, at: now, into: &egress)
        } else if wasDown, pools[servers[server].pool].settings.health != nil {
            checks[server].next = now
            armServer(server, at: now)
        }
        reorderQueue(servers[server].pool, at: now, into: &egress)
    }

    /// An operator's limit; a controller goes on from there.
    private mutating func setLimit(server: Int, to limit: Int, at now: Instant, into egress: inout Egress) {
        guard configuration.shard.leads else { return }
        withControl(server) { $0.controller.setLimit(limit) }
        enforceLimit(server, at: now, into: &egress)
    }

    /// No new connections; idle ones are closed, the others after their request.
    private mutating func stop(at now: Instant, into egress: inout Egress) {
        isStopping = true
        planDrain(at: now)
        for index in 0..<fronts.touched {
            let front = fronts.pointer(index)
            guard front.pointee.isOpen else { continue }
            if front.pointee.phase == .idle {
                beginClosing(front, index, at: now, into: &egress)
                armFront(front, index)
            } else {
                front.pointee.keepAlive = front.pointee.keepAlive && front.pointee.phase == .reading
            }
        }
        for server in 0..<serverCount { closeAllIdle(server, at: now, into: &egress) }
    }

    private mutating func abort(at now: Instant, into egress: inout Egress) {
        for index in 0..<fronts.touched {
            let front = fronts.pointer(index)
            guard front.pointee.isOpen, !egress.isNearlyFull else { continue }
            if front.pointee.phase == .tunnel {
                let place = Int(front.pointee.back)
                endTunnel(front, index, backs.pointer(place), place, cause: .down, resets: true, at: now, into: &egress)
                continue
            }
            abandon(front, index, cause: .down, at: now, into: &egress)
            resetClient(front, into: &egress)
            removeFront(front, index, at: now)
        }
        for place in 0..<backs.touched {
            let back = backs.pointer(place)
            guard back.pointee.state != .closed, !egress.isNearlyFull else { continue }
            closeBack(back, place, reset: true, at: now, into: &egress)
        }
    }

    public func snapshot(at now: Instant) -> Snapshot {
        var snapshot = Snapshot()
        for (index, settings) in configuration.services.enumerated() {
            var service = Snapshot.Service(name: settings.name)
            service.frontConnections = services[index].frontConnections
            service.phases = [Int](repeating: 0, count: FrontPhase.allCases.count)
            service.tunnels = services[index].tunnels
            service.connectionsTotal = services[index].connectionsTotal
            for status in 0..<600 where statuses[index * 600 + status] > 0 {
                service.requests.append((status, statuses[index * 600 + status]))
            }
            snapshot.services.append(service)
        }
        for index in 0..<fronts.touched {
            let front = fronts.pointer(index)
            if front.pointee.isOpen { snapshot.services[Int(front.pointee.service)].phases[Int(front.pointee.phase.rawValue)] += 1 }
        }
        for pool in 0..<poolCount {
            var shown = Snapshot.Pool(name: pools[pool].settings.name)
            shown.isRetired = pools[pool].settings.isRetired
            shown.queueLength = queues[pool].count
            shown.queueHigh = queues[pool].high
            if let oldest = queues[pool].oldest { shown.queueOldest = now - oldest }
            for server in pools[pool].servers { shown.servers.append(row(server)) }
            for server in 0..<serverCount where servers[server].pool == pool && servers[server].condition.isRemoved {
                if !isVacant(server) { shown.servers.append(row(server)) }
            }
            snapshot.pools.append(shown)
        }
        snapshot.counters = counters.export()
        snapshot.timeWaits = timeWait.count(at: now)
        snapshot.timers = timers.count
        snapshot.bufferBytes = buffers.inUse
        snapshot.stagingBytes = stagingBytes
        snapshot.bodyBytes = bodyBytes
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
        row.streamed = load.streamed
        row.idle = load.idle.count
        row.opening = load.opening.count
        row.closing = load.closing
        row.tunnels = load.tunnels
        row.connects = load.connects
        row.connectFailures = load.connectFailures
        row.requests = load.requests
        row.isReachable = load.isReachable
        row.state = load.condition.state
        row.weight = load.weight
        row.isBackup = load.isBackup
        row.failures = load.failures
        row.ejections = load.condition.ejections
        row.take(load.shared.pointee.withControl { $0 })
        row.tunnelLimit = load.tunnelLimit
        for result in CheckResult.allCases {
            row.checks[Int(result.rawValue)] = checks[server].results[Int(result.rawValue)]
        }
        row.reportsInvalid = checks[server].reportsInvalid
        return row
    }
}
