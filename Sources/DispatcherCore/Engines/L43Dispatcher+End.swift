/// How connections end.
extension L43Dispatcher {
    // MARK: Ends

    /// Both ends have closed, or one has reset: the connection counts no longer, and the next SYN goes out ([0052]). Late segments and
    /// repeated FINs still pass for as long as an end may be in TIME_WAIT.
    mutating func close(
        _ connection: Ref, _ index: Int, cause: Termination.Cause, phase: Termination.Phase, reset: Bool, at now: Instant,
        into egress: inout Egress
    ) {
        let pool = Int(connection.pointee.pool)
        leave(connection, failed: cause == .server || cause == .serverTimeout, at: now)
        finish(connection, cause: cause, phase: phase, at: now)
        connection.pointee.state = .closed
        connection.pointee.wasReset = reset
        connection.pointee.forgetAt = now + configuration.tcp.timeWait
        links.append(index, to: &closed)
        arm(connection, index)
        serveQueue(pool, at: now, into: &egress)
    }

    /// It counts at its server no longer.
    mutating func leave(_ connection: Ref, failed: Bool, at now: Instant) {
        let server = Int(connection.pointee.server)
        servers[server].end(
            after: now - connection.pointee.dispatched, era: connection.pointee.era, waited: waited(servers[server].pool, at: now),
            failed: failed, at: now)
        giveToken(server)
    }

    /// A connection that did not come about, or whose time is over, is forgotten at once.
    mutating func abandon(
        _ connection: Ref, _ index: Int, cause: Termination.Cause, failed: Bool = false, at now: Instant, into egress: inout Egress
    ) {
        let pool = Int(connection.pointee.pool)
        let wasQueued = connection.pointee.state == .queued
        let phase: Termination.Phase =
            switch connection.pointee.state {
            case .queued: .queue
            case .opening: .connect
            case .open, .closed: .data
            }
        if wasQueued { dequeue(index, at: now) } else { leave(connection, failed: failed, at: now) }
        finish(connection, cause: cause, phase: phase, at: now)
        forget(index)
        if !wasQueued { serveQueue(pool, at: now, into: &egress) }
    }

    /// It waits or counts no longer: its client has one less, and the log has a line.
    mutating func finish(_ connection: Ref, cause: Termination.Cause, phase: Termination.Phase, at now: Instant) {
        let service = Int(connection.pointee.service)
        services[service].connections -= 1
        if limits[service].perClientConnections > 0 {
            clients.release(ClientTable.Client(connection.pointee.client.address, scope: service))
        }
        var record = RequestRecord()
        record.kind = .connection
        record.service = service
        record.pool = Int(connection.pointee.pool)
        record.client = connection.pointee.client
        record.started = connection.pointee.began
        if connection.pointee.server != ForwardedConnection.noServer {
            let server = servers[Int(connection.pointee.server)]
            record.server = server.endpoint
            record.serverActive = server.active
            record.queue = connection.pointee.queueTime
            record.poolActive = pools[server.pool].servers.reduce(0) { $0 + servers[$1].active }
        }
        record.connect = connection.pointee.connectTime
        record.total = now - connection.pointee.began
        record.bytesToClient = connection.pointee.down.bytes
        record.bytesFromClient = connection.pointee.up.bytes
        (record.cause, record.phase) = (cause, phase)
        record.retries = Int(connection.pointee.retries)
        for index in 0..<configuration.services.count { record.connections += services[index].connections }
        record.serviceConnections = services[service].connections
        record.queuePosition = Int(connection.pointee.queuePosition)
        if !records.append(record) { counters.recordsLost &+= 1 }
    }

    /// One that has ended is needed no more, or its place or port is needed.
    mutating func forgetEarly(_ index: Int) {
        counters.closedForgotten &+= 1
        forget(index)
    }

    /// Nothing is left of a connection that neither waits nor counts.
    mutating func forget(_ index: Int) {
        let connection = connections.pointer(index)
        removeAtClients(index)
        if connection.pointee.server != ForwardedConnection.noServer { removeAtServers(index) }
        if connection.pointee.state == .closed { links.remove(index, from: &closed) }
        connection.pointee.state = .closed
        connection.pointee.forgetAt = .distantFuture
        timers.disarm(index)
        connections.remove(index)
    }

    // MARK: Resets

    /// Answers a segment that belongs to no connection, by the rules of RFC 9293 3.10.7.1, as often as `ResetLimits` allows.
    /// - Parameter refused: it would begin a connection that we do not want.
    mutating func answerWithReset(
        _ segment: Segment, on side: Side, refused: Bool = false, at now: Instant, into egress: inout Egress
    ) {
        guard !segment.flags.contains(.rst) else { return }
        guard resetLimits.allow(refused: refused, at: now) else { return counters.resetsWithheld &+= 1 }
        let hasAcknowledgement = segment.flags.contains(.ack)
        var answer = OutgoingSegment(
            side: side, source: segment.destination, destination: segment.source,
            sequence: hasAcknowledgement ? segment.acknowledgement : SequenceNumber(0), acknowledgement: segment.end,
            flags: hasAcknowledgement ? .rst : [.rst, .ack], window: 0, segmentSize: 536)
        answer.nextHop = .neighbour(segment.sender)
        send(answer, .reset, into: &egress)
    }

    /// Also tells a client that waits that nothing comes of it, without a limit: no more SYNs are stored than the queue takes, and a client
    /// that is not told sends its SYN again, and is served when it no longer wants to be.
    mutating func resetClient(_ connection: Ref, into egress: inout Egress) {
        let first = connection.pointee.isAnswered ? connection.pointee.cookie + 1 : SequenceNumber(0)
        let isOpen = connection.pointee.hasServerNumbers
        var reset = OutgoingSegment(
            side: .client, source: listeners[Int(connection.pointee.listener)].endpoint, destination: connection.pointee.client,
            sequence: isOpen ? connection.pointee.toClient(exact(connection.pointee.down)) : first,
            acknowledgement: isOpen ? connection.pointee.up.acknowledged : connection.pointee.syn.sequence + 1,
            flags: [.rst, .ack], window: 0, segmentSize: 536)
        reset.nextHop = .neighbour(connection.pointee.neighbour)
        send(reset, .reset, into: &egress)
    }

    mutating func resetServer(_ connection: Ref, into egress: inout Egress) {
        let isOpen = connection.pointee.hasServerNumbers
        let reset = OutgoingSegment(
            side: .server, source: connection.pointee.local, destination: servers[Int(connection.pointee.server)].endpoint,
            sequence: isOpen ? exact(connection.pointee.up) : connection.pointee.syn.sequence + 1,
            acknowledgement: isOpen ? connection.pointee.down.acknowledged : SequenceNumber(0), flags: isOpen ? [.rst, .ack] : .rst,
            window: 0, segmentSize: 536)
        send(reset, .reset, into: &egress)
    }

    /// The number at which the receiver of a stream takes a RST at once: what it acknowledged last.
    private func exact(_ stream: ForwardedStream) -> SequenceNumber { stream.acknowledged }
}
