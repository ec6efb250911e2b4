extension L73Dispatcher {
    /// The client has acknowledged Xend while the server's connection was still on it: the slot is free, and the client's next request may
    /// be read ([0061]).
    mutating func finishResponse(
        _ front: FrontRef, _ index: Int, _ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) {
        let isEarly = front.pointee.stream.isOpen
        becomeIdle(front, index, at: now)
        releaseSlot(front, back, place, isEarly: isEarly, at: now, into: &egress)
        goOn(front, index, isEarly: isEarly, at: now, into: &egress)
    }

    /// The same for a response whose rest was ours.
    mutating func finishDelivery(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) {
        let isEarly = front.pointee.stream.isOpen
        becomeIdle(front, index, at: now)
        goOn(front, index, isEarly: isEarly, at: now, into: &egress)
    }

    private mutating func becomeIdle(_ front: FrontRef, _ index: Int, at now: Instant) {
        finishRecord(front, cause: .normal, phase: .normal, at: now)
        releaseRequest(front)
        front.pointee.phase = .idle
        becameIdle(front, index)
        front.pointee.phaseDeadline = now + limits[Int(front.pointee.service)].idle
    }

    /// Nothing more is wanted of the server for this response: its connection is idle, or closes.
    /// - Parameter isEarly: the response came before the request had ended.
    mutating func releaseSlot(
        _ front: FrontRef, _ back: BackRef, _ place: Int, isEarly: Bool, at now: Instant, into egress: inout Egress
    ) {
        let server = Int(back.pointee.server)
        let requestIsThere = !back.pointee.sender.hasUnacknowledgedOwn
        let hasSurplus = back.pointee.receiveHighest.isAfter(back.pointee.receiveNext)
        let resets = back.pointee.resetsAfter || hasSurplus || !requestIsThere || isEarly
        front.pointee.back = FrontConnection.noIndex
        releaseBuffers(back)
        back.pointee.front = BackConnection.noIndex
        if resets {
            closeBack(back, place, reset: true, at: now, into: &egress)
        } else {
            leaveSlot(back, at: now)
            back.pointee.use = .none
            back.pointee.splice = Splice()
            if back.pointee.serverFin == back.pointee.receiveNext {
                closePassively(back, place, at: now, into: &egress)
                serveQueue(servers[server].pool, at: now, into: &egress)
            } else if back.pointee.closesAfter {
                closeIdle(back, place, at: now, into: &egress)
                serveQueue(servers[server].pool, at: now, into: &egress)
            } else {
                // The server is told with the next request, at the latest after 40 ms; of more than a segment at once (RFC 5681 4.2).
                if back.pointee.receiveNext.distance(from: back.pointee.told) >= 2 * serverMSS(back) {
                    oweAcknowledgement(back, place, at: now, into: &egress)
                } else {
                    back.pointee.acknowledgeBy = now + .milliseconds(40)
                }
                becomeIdle(back, place, at: now, into: &egress)
            }
        }
        armBack(back, place)
    }

    /// A response is done: the client's next request, or the end of its connection.
    private mutating func goOn(_ front: FrontRef, _ index: Int, isEarly: Bool, at now: Instant, into egress: inout Egress) {
        if front.pointee.keepAlive, !front.pointee.sender.finQueued {
            readRequests(front, index, at: now, into: &egress)
            if front.pointee.isOpen, front.pointee.finReceived, front.pointee.phase == .idle || front.pointee.phase == .reading {
                clientFinished(front, index, wasQueued: false, at: now, into: &egress)
            } else if front.pointee.isOpen, isStopping, front.pointee.phase == .idle {
                beginClosing(front, index, at: now, into: &egress)
            }
        } else {
            beginClosing(front, index, refusing: isEarly, at: now, into: &egress)
        }
    }

    /// The client's FIN: a client that half-closes still gets its response; one that leaves the queue does not come back.
    mutating func clientFinished(_ front: FrontRef, _ index: Int, wasQueued: Bool, at now: Instant, into egress: inout Egress) {
        if front.pointee.stream.state == .coming, front.pointee.phase != .closing {
            // What has come and waits for room may be all that was missing.
            guard front.pointee.received.contiguous == 0 else { return acknowledge(front, into: &egress) }
            failBody(front, index, .incompleteHead, at: now, into: &egress)
            if front.pointee.phase == .responding { acknowledge(front, into: &egress) }
            return
        }
        switch front.pointee.phase {
        case .idle:
            acknowledgeWithFin(front, index, at: now, into: &egress)
        case .reading:
            refuse(front, index, .incompleteHead, at: now, into: &egress)
        case .queued where wasQueued:
            abandon(front, index, cause: .client, at: now, into: &egress)
            releaseRequest(front)
            acknowledgeWithFin(front, index, at: now, into: &egress)
        case .queued, .connecting, .waiting, .responding:
            acknowledge(front, into: &egress)
        case .closing, .tunnel: break
        }
    }

    /// FIN for FIN.
    private mutating func acknowledgeWithFin(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) {
        front.pointee.acknowledgeBy = now
        beginClosing(front, index, at: now, into: &egress)
    }

    /// Writes the record of a request that ends.
    mutating func finishRecord(
        _ front: FrontRef, kind: RequestRecord.Kind = .request, cause: Termination.Cause, phase: Termination.Phase, at now: Instant
    ) {
        var record = RequestRecord()
        let service = Int(front.pointee.service)
        record.kind = kind
        record.service = service
        record.client = front.pointee.client
        record.started = front.pointee.started == .distantPast ? now : front.pointee.started
        record.total = now - record.started
        record.status = front.pointee.status
        record.cause = cause
        record.phase = phase
        record.retries = Int(front.pointee.retries)
        record.bytesFromClient = front.pointee.bytesFromClient
        record.bytesToClient = front.pointee.bytesToClient
        record.connections = fronts.count
        record.serviceConnections = services[service].frontConnections
        if front.pointee.headComplete != .distantPast { record.receive = front.pointee.headComplete - record.started }
        if front.pointee.pool != .max {
            record.pool = Int(front.pointee.pool)
            record.queuePosition = Int(front.pointee.queuePosition)
            if front.pointee.slotTaken != .distantPast { record.queue = front.pointee.slotTaken - front.pointee.queued }
            if front.pointee.sent != .distantPast {
                record.connect = front.pointee.connectTime
                if front.pointee.responded != .distantPast { record.response = front.pointee.responded - front.pointee.sent }
            }
            for server in pools[Int(front.pointee.pool)].servers { record.poolActive += servers[server].active }
        }
        if kind == .tunnelClosed { record.took(front.pointee.opening) }
        if front.pointee.pool != .max, front.pointee.lastServer != .max {
            let server = Int(front.pointee.lastServer)
            record.server = servers[server].endpoint
            record.serverActive = servers[server].active
        }
        if front.pointee.outputCount > 0 {
            let lead = Int(front.pointee.outputLead)
            let output = front.pointee.output.bytes(
                lead, count: min(Int(front.pointee.outputCount) - lead, RequestRecord.lineCapacity))
            // The first control byte of a canonical head is the CR behind its first line.
            record.lineLength = HTTPBytes.nextControl(output, from: 0)
            var line = record.line.mutableSpan
            line.withUnsafeMutableBytes { $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: output[..<record.lineLength])) }
        }
        if kind != .tunnelClosed { statuses[service * 600 + min(Int(record.status), 599)] &+= 1 }
        if !records.append(record) { counters.recordsLost &+= 1 }
    }
}

extension RequestRecord {
    /// Of a tunnel that ends: how it came about.
    fileprivate mutating func took(_ opening: TunnelOpening) {
        receive = .microseconds(Int64(opening.receiving))
        queue = .microseconds(Int64(opening.queueing))
        connect = .microseconds(Int64(opening.connecting))
        response = .microseconds(Int64(opening.responding))
        queuePosition = Int(opening.queuePosition)
        retries = Int(opening.retries)
    }
}
