extension L73Dispatcher {
    /// A segment from a client that has no connection: a SYN, the ACK that completes a handshake, or something stray.
    mutating func receiveWithoutConnection(
        _ segment: Segment, _ frame: RawSpan, listener: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        let client = segment.source
        if let place = timeWait.find(client: client.address, port: client.port, listener: UInt16(listener), at: now) {
            let record = timeWait[place]
            let isSYN = segment.flags.contains(.syn) && !segment.flags.contains(.ack)
            guard isSYN, record.isMemory || segment.sequence.isAtOrAfter(record.receiveNext) else {
                if record.isMemory {
                    // What the client still has of the old connection ends with the exact number (RFC 9293 3.10.7.1).
                    answerWithReset(segment, on: .client, at: now, into: &egress)
                    return .dropped(.noConnection)
                }
                return answerInTimeWait(segment, record, at: now, into: &egress)
            }
            timeWait.remove(place)
        }
        if segment.flags.contains(.rst) { return .dropped(.noConnection) }
        if segment.flags.contains(.syn) {
            if segment.flags.contains(.ack) {
                answerWithReset(segment, on: .client, at: now, into: &egress)
                return .dropped(.noConnection)
            }
            return answerSYN(segment, listener: listener, at: now, into: &egress)
        }
        guard segment.flags.contains(.ack) else {
            answerWithReset(segment, on: .client, at: now, into: &egress)
            return .dropped(.noAcknowledgement)
        }
        switch cookie.check(segment, at: now) {
        case .good(let contents):
            return admit(segment, frame, contents, listener: listener, at: now, into: &egress)
        case .early where earlySegments.mayBeEarly(segment, key: hashKey, at: now):
            return .dropped(.cookieEarlySegment)
        case .early, .bad:
            answerWithReset(segment, on: .client, at: now, into: &egress)
            return .dropped(.cookieInvalid)
        }
    }

    /// TIME_WAIT (RFC 9293 3.10.7.4, RFC 1337): a repeated FIN is acknowledged again, with the number it acknowledges itself, and
    /// so is an old SYN; all else is dropped.
    private mutating func answerInTimeWait(
        _ segment: Segment, _ record: TimeWait.Record, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        guard segment.flags.contains(.ack) || segment.flags.contains(.syn), !segment.flags.contains(.rst), segment.length > 0,
            resetLimits.strangers.allows(at: now)
        else { return .dropped(.timeWait) }
        var answer = OutgoingSegment(
            side: .client, source: segment.destination, destination: segment.source, sequence: segment.acknowledgement,
            acknowledgement: record.receiveNext, flags: .ack, window: 0, segmentSize: listeners[Int(record.listener)].segmentSize)
        answer.nextHop = .neighbour(segment.sender)
        send(answer, .empty, .acknowledgement, into: &egress)
        return .dropped(.timeWait)
    }

    /// A SYN is answered from its cookie, without state (tcp.md "Opening"), or refused ([0037]).
    private mutating func answerSYN(_ segment: Segment, listener: Int, at now: Instant, into egress: inout Egress) -> FrameOutcome {
        let service = listeners[listener].service
        if let (refusal, drop) = reasonToRefuse(segment.source.address, service, at: now) {
            counters.refused(refusal)
            answerWithReset(segment, on: .client, refused: true, at: now, into: &egress)
            return .dropped(drop)
        }
        var answer = OutgoingSegment(
            side: .client, source: segment.destination, destination: segment.source, sequence: cookie.make(for: segment, at: now),
            acknowledgement: segment.sequence + 1, flags: [.syn, .ack], window: 65_535, segmentSize: listeners[listener].segmentSize)
        answer.maximumSegmentSize = UInt16(listeners[listener].segmentSize)
        if configuration.tcp.options == .all {
            if segment.options.windowScale != 255 { answer.windowScale = NegotiatedOptions.ourShift }
            answer.sackPermitted = segment.options.sackPermitted
        }
        answer.nextHop = .neighbour(segment.sender)
        send(answer, .empty, .handshake, into: &egress)
        return .consumed
    }

    private func reasonToRefuse(_ client: IPAddress, _ service: Int, at now: Instant) -> (RefusalReason, DropReason)? {
        if isStopping { return (.stopping, .refusedStopping) }
        if let reason = clientLimit(client, service: service, at: now) { return (reason, .refusedClientLimit) }
        if isFull(service), !canMakeRoom(service) { return (.connectionLimit, .refusedTableFull) }
        return isAboveThreshold(service) == .reset ? (.queueThreshold, .refusedQueueFull) : nil
    }

    /// Whether every pool of the service has its queue above its threshold, and how that is said to new connections; nil = it is not: one
    /// pool's overload holds up no other.
    private func isAboveThreshold(_ service: Int) -> QueueConfiguration.RefuseWith? {
        var found: QueueConfiguration.RefuseWith?
        for route in routes[service] {
            guard pools[route.pool].refuses else { return nil }
            // Where one of them answers, the connection must come about.
            if found != .answer { found = pools[route.pool].settings.queue.refuseWith }
        }
        return found
    }

    /// The handshake is complete: the connection begins, with whatever the segment carries.
    private mutating func admit(
        _ segment: Segment, _ frame: RawSpan, _ contents: SYNCookie.Contents, listener: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        let service = listeners[listener].service
        if let (refusal, drop) = reasonToRefuse(segment.source.address, service, at: now), refusal != .queueThreshold {
            counters.refused(refusal)
            answerWithReset(segment, on: .client, refused: true, at: now, into: &egress)
            return .dropped(drop)
        }
        makeRoom(service, at: now, into: &egress)
        generation &+= 1
        let path = paths.segmentSize(to: segment.source.address, on: .client, at: now)
        let size = UInt16(min(max(Int(contents.segmentSize), 48), listeners[listener].segmentSize, path))
        guard fronts.count < fronts.capacity else {
            counters.refused(.connectionLimit)
            answerWithReset(segment, on: .client, refused: true, at: now, into: &egress)
            return .dropped(.refusedTableFull)
        }
        var sender = Sender(initial: segment.acknowledgement, segmentSize: size, transmission: transmissions.claim())
        let offers = configuration.tcp.options == .all
        let options = NegotiatedOptions(
            peerScale: offers ? contents.windowScale : nil, sackPermitted: offers && contents.sackPermitted)
        sender.setWindow(segment, bytes: options.bytes(segment.window))
        sender.sackPermitted = options.sackPermitted
        var connection = FrontConnection(
            generation: generation, listener: UInt16(listener), service: UInt16(service), client: segment.source,
            neighbour: segment.sender, sender: sender, options: options, receiveNext: segment.sequence,
            shownEdge: segment.sequence + 65_535,
            work: blankFrontWork.pointer)
        connection.progress = now
        connection.isUnwanted = isAboveThreshold(service) == .answer
        connection.phaseDeadline = now + limits[service].idle
        guard let index = fronts.insert(connection) else { preconditionFailure("there was a place") }
        frontTable.insert(frontHash(segment.source, listener: listener), index)
        services[service].frontConnections += 1
        services[service].connectionsTotal += 1
        if let pool = routes[service].last?.pool, pools[pool].settings.open == .onConnection {
            openInAdvance(pool: pool, at: now, into: &egress)
        }
        let front = fronts.pointer(index)
        noteConnection(front, at: now)
        becameIdle(front, index)
        let outcome = receive(segment, frame, front: front, index: index, at: now, into: &egress)
        armFront(front, index)
        return outcome
    }

    static func hash(_ front: FrontRef, _ key: SipKey) -> UInt64 {
        key.hash13(
            front.pointee.client.address.high, front.pointee.client.address.low,
            UInt64(front.pointee.client.port) << 16 | UInt64(front.pointee.listener))
    }

    static func tunnelHash(_ back: BackRef, _ key: SipKey) -> UInt64 {
        key.hash13(UInt64(back.pointee.server), UInt64(back.pointee.local.port), 1)
    }
}
