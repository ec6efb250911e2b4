extension Snapshot {
    /// The figures of all shards in one: sums, but for what they have in common, which the first one, the leader, tells.
    public static func merged(_ shards: [Snapshot]) -> Snapshot {
        guard var all = shards.first else { return Snapshot() }
        for other in shards.dropFirst() { all.add(other) }
        return all
    }

    private mutating func add(_ other: Snapshot) {
        for (index, service) in other.services.enumerated() where services.indices.contains(index) { services[index].add(service) }
        for (index, pool) in other.pools.enumerated() where pools.indices.contains(index) { pools[index].add(pool) }
        counters.add(other.counters)
        timeWaits += other.timeWaits
        timers += other.timers
        bufferBytes += other.bufferBytes
        bodyBytes += other.bodyBytes
        clientsHold += other.clientsHold
        clientEvictions += other.clientEvictions
        stagingBytes += other.stagingBytes
    }
}

extension Snapshot.Service {
    fileprivate mutating func add(_ other: Self) {
        frontConnections += other.frontConnections
        for index in other.phases.indices where phases.indices.contains(index) { phases[index] += other.phases[index] }
        tunnels += other.tunnels
        connectionsTotal += other.connectionsTotal
        for (status, count) in other.requests {
            if let place = requests.firstIndex(where: { $0.status == status }) {
                requests[place].count += count
            } else {
                requests.append((status, count))
            }
        }
        requests.sort { $0.status < $1.status }
    }
}

extension Snapshot.Pool {
    fileprivate mutating func add(_ other: Self) {
        queueLength += other.queueLength
        queueHigh += other.queueHigh
        queueOldest = max(queueOldest, other.queueOldest)
        for server in other.servers {
            if let place = servers.firstIndex(where: { $0.endpoint == server.endpoint }) {
                servers[place].add(server)
            } else {
                servers.append(server)
            }
        }
    }
}

extension Snapshot.Server {
    fileprivate mutating func add(_ other: Self) {
        active += other.active
        streamed += other.streamed
        idle += other.idle
        opening += other.opening
        closing += other.closing
        tunnels += other.tunnels
        connects += other.connects
        connectFailures += other.connectFailures
        requests += other.requests
        failures += other.failures
        ejections += other.ejections
        isReachable = isReachable && other.isReachable
        // Each shard ejects by what it sees.
        if state == .up { state = other.state }
        for index in checks.indices { checks[index] += other.checks[index] }
        reportsInvalid += other.reportsInvalid
    }
}
