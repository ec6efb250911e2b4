/// How a connection begins: its SYN, or the end of a handshake that we answered from a SYN cookie.
extension L43Dispatcher {
    mutating func receiveWithoutConnection(
        _ segment: Segment, _ frame: RawSpan, listener: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if segment.flags.contains(.rst) { return .dropped(.noConnection) }
        if segment.flags.contains(.syn) {
            if segment.flags.contains(.ack) {
                answerWithReset(segment, on: .client, at: now, into: &egress)
                return .dropped(.noConnection)
            }
            return receiveSYN(segment, frame, listener: listener, at: now, into: &egress)
        }
        guard segment.flags.contains(.ack) else {
            answerWithReset(segment, on: .client, at: now, into: &egress)
            return .dropped(.noAcknowledgement)
        }
        guard answersSYNs(listener) else {
            answerWithReset(segment, on: .client, at: now, into: &egress)
            return .dropped(.noConnection)
        }
        switch cookie.check(segment, at: now) {
        case .good(var contents):
            // What we did not agree to is not offered to the server either.
            if configuration.tcp.options == .mss { (contents.windowScale, contents.sackPermitted) = (nil, false) }
            let syn = StoredSYN(
                sequence: contents.clientInitial, window: shownUnscaled(segment.window, contents), segmentSize: contents.segmentSize,
                windowScale: contents.windowScale, sackPermitted: contents.sackPermitted)
            return admit(
                segment, syn, segmentSize: contents.segmentSize, scale: contents.windowScale ?? 255, cookie: segment.acknowledgement - 1,
                listener: listener, at: now, into: &egress)
        case .early where earlySegments.mayBeEarly(segment, key: hashKey, at: now):
            return .dropped(.cookieEarlySegment)
        case .early, .bad:
            answerWithReset(segment, on: .client, at: now, into: &egress)
            return .dropped(.cookieInvalid)
        }
    }

    private func answersSYNs(_ listener: Int) -> Bool { pools[listeners[listener].pool].settings.l4.cookie }

    /// The window of the segment that ends the handshake as a SYN would show it: a SYN's own is never scaled.
    private func shownUnscaled(_ field: UInt16, _ contents: SYNCookie.Contents) -> UInt16 {
        UInt16(min(Int(field) << Int(min(contents.windowScale ?? 0, 14)), 65_535))
    }

    mutating func receiveSYN(
        _ segment: Segment, _ frame: RawSpan, listener: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if answersSYNs(listener) { return answerSYN(segment, listener: listener, at: now, into: &egress) }
        return admit(
            segment, StoredSYN(segment, in: frame), segmentSize: segment.options.maximumSegmentSize, scale: segment.options.windowScale,
            cookie: nil, listener: listener, at: now, into: &egress)
    }

    /// Answers a SYN with a cookie and no window: whoever completes the handshake has the address, and waits without losing a byte.
    private mutating func answerSYN(_ segment: Segment, listener: Int, at now: Instant, into egress: inout Egress) -> FrameOutcome {
        if let (refusal, drop) = reasonToRefuse(segment.source.address, listener, at: now) {
            return refuse(segment, refusal, drop, at: now, into: &egress)
        }
        var answer = OutgoingSegment(
            side: .client, source: segment.destination, destination: segment.source, sequence: cookie.make(for: segment, at: now),
            acknowledgement: segment.sequence + 1, flags: [.syn, .ack], window: 0, segmentSize: listeners[listener].segmentSize)
        answer.maximumSegmentSize = UInt16(clamping: listeners[listener].segmentSize)
        if configuration.tcp.options == .all {
            if segment.options.windowScale != 255 { answer.windowScale = NegotiatedOptions.ourShift }
            answer.sackPermitted = segment.options.sackPermitted
        }
        answer.nextHop = .neighbour(segment.sender)
        send(answer, .handshake, into: &egress)
        return .consumed
    }

    private mutating func refuse(
        _ segment: Segment, _ refusal: RefusalReason, _ drop: DropReason, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        counters.refused(refusal)
        answerWithReset(segment, on: .client, refused: true, at: now, into: &egress)
        return .dropped(drop)
    }

    /// A new connection goes to a server that has room, or waits for one.
    /// - Parameters:
    ///   - segmentSize: the client's MSS; 0 = it told none.
    ///   - scale: of its windows; 255 = they are not scaled.
    ///   - cookie: what we answered its SYN with; nil = we did not.
    private mutating func admit(
        _ segment: Segment, _ syn: StoredSYN, segmentSize: UInt16, scale: UInt8, cookie: SequenceNumber?, listener: Int, at now: Instant,
        into egress: inout Egress
    ) -> FrameOutcome {
        if let (refusal, drop) = reasonToRefuse(segment.source.address, listener, at: now) {
            return refuse(segment, refusal, drop, at: now, into: &egress)
        }
        let place = listeners[listener]
        let client = segment.source
        let queueing = ClientTable.Client(client.address, scope: configuration.services.count + place.pool)
        if pools[place.pool].queueLength >= pools[place.pool].settings.queue.capacity {
            return refuse(segment, .queueFull, .refusedQueueFull, at: now, into: &egress)
        }
        if let share = pools[place.pool].clientShare, clients.held(by: queueing) >= share {
            return refuse(segment, .clientQueueShare, .refusedClientLimit, at: now, into: &egress)
        }
        let told = segmentSize == 0 ? (client.address.isIPv4 ? 536 : 1_220) : max(Int(segmentSize), 48)
        let size = min(
            told, configuration.clientSideMTU - PathMTU.headers(to: client.address),
            paths.segmentSize(to: client.address, on: .client, at: now))
        // A table that is full of connections that have ended forgets the one that ended first.
        if connections.count == connections.capacity, let oldest = closed.first { forgetEarly(oldest) }
        var fresh = ForwardedConnection(
            client: client, neighbour: segment.sender, listener: listener, service: place.service, pool: place.pool, syn: syn,
            cookie: cookie, clientShift: scale == 255 ? 0 : scale, toClientSize: size, at: now)
        fresh.clientWindow = segment.window
        fresh.toldShift = scale == 255 || cookie == nil ? 0 : NegotiatedOptions.ourShift
        guard let index = connections.insert(fresh) else {
            return refuse(segment, .connectionLimit, .refusedTableFull, at: now, into: &egress)
        }
        insertAtClients(index)
        services[place.service].connections += 1
        services[place.service].connectionsTotal &+= 1
        let limits = self.limits[place.service]
        let counted = ClientTable.Client(client.address, scope: place.service)
        if limits.perClientConnections > 0 { clients.hold(counted, at: now) }
        if limits.perClientNewConnections > 0 { clients.connect(counted, perSecond: limits.perClientNewConnections, at: now) }
        enqueue(index, at: now, into: &egress)
        if cookie != nil, connections.pointer(index).pointee.state == .queued {
            // It may have sent data into a window that we have not opened.
            if segment.length > 0 { acknowledge(connections.pointer(index), into: &egress) }
        }
        arm(connections.pointer(index), index)
        return .consumed
    }

    /// Why a SYN is refused before anything is stored.
    private func reasonToRefuse(_ client: IPAddress, _ listener: Int, at now: Instant) -> (RefusalReason, DropReason)? {
        if isStopping { return (.stopping, .refusedStopping) }
        let place = listeners[listener]
        let limits = self.limits[place.service]
        let counted = ClientTable.Client(client, scope: place.service)
        if limits.perClientConnections > 0, clients.held(by: counted) >= limits.perClientConnections {
            return (.clientConnections, .refusedClientLimit)
        }
        if limits.perClientNewConnections > 0,
            !clients.mayConnect(counted, perSecond: limits.perClientNewConnections, at: now)
        {
            return (.clientConnectionRate, .refusedClientLimit)
        }
        if services[place.service].connections >= limits.connections { return (.connectionLimit, .refusedTableFull) }
        if !pools[place.pool].servers.someTakesNew(servers) { return (.noServer, .refusedNoServer) }
        return pools[place.pool].refuses ? (.queueThreshold, .refusedQueueFull) : nil
    }
}
