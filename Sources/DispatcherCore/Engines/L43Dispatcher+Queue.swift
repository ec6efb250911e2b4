/// The queue of SYNs, and the choice of a server ([0052], [0053]).
extension L43Dispatcher {
    /// A connection joins the queue behind all others of its pool, and leaves it at once when a server has room. Beside other shards it joins
    /// only if none has: what all shards have of a queue costs more than the queue.
    mutating func enqueue(_ index: Int, at now: Instant, into egress: inout Egress) {
        let connection = connections.pointer(index)
        let pool = Int(connection.pointee.pool)
        let lane = pools[pool].lane(servers, hash: balanceHash(connection))
        connection.pointee.queuePosition = UInt32(pools[pool].queueLength)
        if !shard.isAlone {
            if pools[pool].lanes[lane].isEmpty, oldestElsewhere(pool) == nil, !egress.isNearlyFull,
                dispatch(connection, index, isStored: false, at: now, into: &egress)
            {
                return
            }
            connection.pointee.ticket = sharedPools[pool].pointee.takeTicket()
        }
        connection.pointee.lane = UInt16(lane)
        links.append(index, to: &pools[pool].lanes[lane])
        pools[pool].noteQueueLength(1, at: now)
        if pools[pool].clientShare != nil { clients.hold(queueing(connection), at: now) }
        queueEntered(pool, at: now)
        serveQueue(pool, at: now, into: &egress)
    }

    mutating func dequeue(_ index: Int, at now: Instant) {
        let connection = connections.pointer(index)
        let pool = Int(connection.pointee.pool)
        links.remove(index, from: &pools[pool].lanes[Int(connection.pointee.lane)])
        pools[pool].noteQueueLength(-1, at: now)
        if pools[pool].clientShare != nil { clients.release(queueing(connection)) }
        queueLeft(pool, at: now)
    }

    func queueing(_ connection: Ref) -> ClientTable.Client {
        ClientTable.Client(connection.pointee.client.address, scope: configuration.services.count + Int(connection.pointee.pool))
    }

    /// What a hashed balance goes by: the client's address.
    private func balanceHash(_ connection: Ref) -> UInt64 {
        ServerChooser.hash(of: connection.pointee.client.address)
    }

    /// Servers have come, gone, or changed their state: each SYN that waits goes to the lane where it belongs now.
    mutating func reorderQueue(_ pool: Int) {
        guard pools[pool].laneCount > 1, pools[pool].queueLength > 0 else { return }
        refillQueue(pool, with: emptyQueue(pool))
    }

    /// Takes everything out of a queue's lanes for a moment; it counts as waiting all the same.
    /// - Returns: what was in it, in the order in which it came.
    mutating func emptyQueue(_ pool: Int) -> [Int] {
        var waiting: [Int] = []
        for lane in 0..<pools[pool].laneCount {
            while let index = links.popFirst(from: &pools[pool].lanes[lane]) { waiting.append(index) }
        }
        guard pools[pool].laneCount > 1, waiting.count > 1 else { return waiting }
        let slab = connections.pointer(0)
        return waiting.enumerated().sorted { (slab[$0.element].began, $0.offset) < (slab[$1.element].began, $1.offset) }.map(\.element)
    }

    mutating func refillQueue(_ pool: Int, with waiting: [Int]) {
        for index in waiting {
            let connection = connections.pointer(index)
            connection.pointee.lane = UInt16(pools[pool].lane(servers, hash: balanceHash(connection)))
            links.append(index, to: &pools[pool].lanes[Int(connection.pointee.lane)])
        }
    }

    /// Forwards stored SYNs, the oldest of each lane first, as long as a server has room.
    mutating func serveQueue(_ pool: Int, at now: Instant, into egress: inout Egress) {
        if shard.isAlone {
            serveLanes(pool, at: now, into: &egress)
        } else {
            serveBesideOthers(pool, at: now, into: &egress)
        }
        // What had no room on the way out goes on after that has left.
        if egress.isNearlyFull, pools[pool].queueLength > 0, let server = pools[pool].servers.first {
            timers.arm(serverTimer(server), by: now)
        }
    }

    /// The same, whatever other shards do but what is older there.
    mutating func serveLanes(_ pool: Int, at now: Instant, into egress: inout Egress) {
        for lane in 0..<pools[pool].laneCount { serve(lane, of: pool, at: now, into: &egress) }
    }

    private mutating func serve(_ lane: Int, of pool: Int, at now: Instant, into egress: inout Egress) {
        while !egress.isNearlyFull, let index = pools[pool].lanes[lane].first {
            let connection = connections.pointer(index)
            if let other = oldestElsewhere(pool), other < connection.pointee.ticket { return }
            guard dispatch(connection, index, isStored: true, at: now, into: &egress) else { return }
        }
    }

    /// Sends a connection's SYN to a server that has room, or refuses it when there is no address and port to send it from.
    /// - Parameter isStored: whether it is in the queue.
    /// - Returns: false when no server has room; then nothing has changed.
    private mutating func dispatch(
        _ connection: Ref, _ index: Int, isStored: Bool, at now: Instant, into egress: inout Egress
    ) -> Bool {
        let pool = Int(connection.pointee.pool)
        while let server = pools[pool].nextServer(servers, hash: balanceHash(connection), at: now) {
            let local = local(for: connection, at: server, now)
            // Another shard may have been faster; then the next one, until there is none.
            guard local == nil || takeToken(server) else { continue }
            if isStored { dequeue(index, at: now) }
            connection.pointee.queueTime = now - connection.pointee.began
            if let local {
                begin(connection, index, at: server, from: local, now, into: &egress)
                arm(connection, index)
            } else {
                // No port is left, or the same two ends have a connection already.
                counters.refused(.serverUnavailable)
                resetClient(connection, into: &egress)
                finish(connection, cause: .resource, phase: .queue, at: now)
                forget(index)
            }
            return true
        }
        return false
    }

    /// Sends a SYN to a server of which a token was taken.
    private mutating func begin(
        _ connection: Ref, _ index: Int, at server: Int, from local: Endpoint, _ now: Instant, into egress: inout Egress
    ) {
        connection.pointee.state = .opening
        connection.pointee.server = UInt16(server)
        connection.pointee.local = local
        connection.pointee.dispatched = now
        connection.pointee.seen = now
        connection.pointee.answerBy = now + pools[servers[server].pool].settings.connectTimeout
        connection.pointee.repeatAfter = Self.firstRepetition
        connection.pointee.repeatAt = connection.pointee.isAnswered ? now + Self.firstRepetition : .distantFuture
        let begun = servers[server].begin(waited: waited(servers[server].pool, at: now), at: now)
        connection.pointee.era = begun.era
        // The one rule that nothing may break ([0052]).
        if servers[server].active > servers[server].limit { counters.overLimit &+= 1 }
        if begun.hasRested { if shard.leads { armServer(server, at: now) } else { tellLeader(of: server) } }
        insertAtServers(index)
        sendSYN(connection, again: false, into: &egress)
    }

    /// The end of a connection that a server will see. Ports go round, so that each rests as long as the range allows: a server may still
    /// have its last connection in TIME_WAIT.
    private mutating func local(for connection: Ref, at server: Int, _ now: Instant) -> Endpoint? {
        let remote = servers[server].endpoint
        if pools[servers[server].pool].settings.l4.source == .keep {
            let local = connection.pointee.client
            guard let taken = findServers(local: local, server: remote) else { return local }
            guard connections.pointer(taken).pointee.state == .closed else { return nil }
            forgetEarly(taken)
            return local
        }
        let ports = configuration.ports
        var local = Endpoint(address: servers[server].source, port: 0)
        let first = shard.firstPort(from: ports.firstForwardedPort)
        for _ in stride(from: first, through: ports.last, by: shard.count) {
            local.port = UInt16(servers[server].nextPort)
            let next = servers[server].nextPort + shard.count
            servers[server].nextPort = next <= ports.last ? next : first
            guard let taken = findServers(local: local, server: remote) else { return local }
            if connections.pointer(taken).pointee.state == .closed {
                forgetEarly(taken)
                return local
            }
        }
        return nil
    }

    /// The largest MSS that either end may be told: both links must take its segments with the headers of both families.
    func largestMSS(_ connection: Ref) -> UInt16 {
        let client = configuration.clientSideMTU - PathMTU.headers(to: connection.pointee.client.address)
        let server = configuration.serverSideMTU - PathMTU.headers(to: connection.pointee.local.address)
        return UInt16(clamping: min(client, server))
    }

    mutating func sendSYN(_ connection: Ref, again: Bool, into egress: inout Egress) {
        let isSent = egress.append(
            connection.pointee.syn, side: .server, source: connection.pointee.local,
            destination: servers[Int(connection.pointee.server)].endpoint, nextHop: .route, largestMSS: largestMSS(connection))
        guard isSent else { return counters.lostInEgress(.server) }
        if again { counters.retransmitted(.connect, .server) } else { counters.emitted(.connect, .server) }
    }

    /// A server does not take a connection. Another one is asked, once.
    /// - Returns: whether there is one.
    mutating func offerAnother(_ connection: Ref, _ index: Int, at now: Instant, into egress: inout Egress) -> Bool {
        let failed = Int(connection.pointee.server)
        noteFailure(failed, at: now)
        guard connection.pointee.retries == 0,
            let server = pools[Int(connection.pointee.pool)].nextServer(
                servers, hash: balanceHash(connection), excluding: failed, at: now),
            let local = local(for: connection, at: server, now), takeToken(server)
        else { return false }
        removeAtServers(index)
        leave(connection, failed: true, at: now)
        connection.pointee.retries = 1
        counters.repeatedRequests &+= 1
        begin(connection, index, at: server, from: local, now, into: &egress)
        return true
    }
}
