/// A connection until it is open: what its client sends while it waits, and what the server says to its SYN.
extension L43Dispatcher {
    mutating func receive(
        _ segment: Segment, _ frame: RawSpan, _ connection: Ref, _ index: Int, fromClientOf listener: Int, at now: Instant,
        into egress: inout Egress
    ) -> FrameOutcome {
        switch connection.pointee.state {
        case .queued, .opening:
            if segment.flags.contains(.syn), !segment.flags.contains(.ack) {
                return receiveSYNAgain(segment, frame, connection, index, listener: listener, at: now, into: &egress)
            }
            if segment.flags.contains(.rst) { return receiveResetEarly(segment, frame, connection, index, at: now, into: &egress) }
            if connection.pointee.hasServerNumbers {
                return forwardToServer(segment, frame, connection, index, at: now, into: &egress)
            }
            return receiveEarly(segment, connection, at: now, into: &egress)
        case .open, .closed:
            if segment.flags.contains(.syn) {
                if segment.flags.contains(.ack) { return .dropped(.synInConnection) }
                return receiveSYNInConnection(segment, frame, connection, index, listener: listener, at: now, into: &egress)
            }
            return forwardToServer(segment, frame, connection, index, at: now, into: &egress)
        }
    }

    // MARK: The client, before the server has answered

    /// A SYN that is repeated is the same entry; one with another number is another connection, whose client has given the first one up.
    private mutating func receiveSYNAgain(
        _ segment: Segment, _ frame: RawSpan, _ connection: Ref, _ index: Int, listener: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if connection.pointee.isAnswered {
            // Whoever completed the handshake tells by a RST if it knows nothing of it (RFC 5961 section 4).
            acknowledge(connection, into: &egress)
            return .consumed
        }
        if segment.sequence == connection.pointee.syn.sequence {
            connection.pointee.seen = now
            guard connection.pointee.state == .opening else {
                // A server that has failed may be tried again by now.
                serveQueue(Int(connection.pointee.pool), at: now, into: &egress)
                return .consumed
            }
            sendSYN(connection, again: true, into: &egress)
            return .forwarded
        }
        if connection.pointee.state == .opening { resetServer(connection, into: &egress) }
        abandon(connection, index, cause: .client, at: now, into: &egress)
        return receiveSYN(segment, frame, listener: listener, at: now, into: &egress)
    }

    private mutating func receiveResetEarly(
        _ segment: Segment, _ frame: RawSpan, _ connection: Ref, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        let first = connection.pointee.syn.sequence
        let isExact = segment.sequence == first + 1 || segment.sequence == first
        guard connection.pointee.state == .opening else {
            guard isExact else { return .dropped(.resetInexact) }
            abandon(connection, index, cause: .client, at: now, into: &egress)
            return .consumed
        }
        if isExact {
            resetServer(connection, into: &egress)
            abandon(connection, index, cause: .client, at: now, into: &egress)
            return .forwarded
        }
        // What a server has left of an old connection with these ends is ended by the number that it named itself (RFC 9293 3.5.1).
        guard !connection.pointee.isAnswered, !connection.pointee.hasServerNumbers else { return .dropped(.resetInexact) }
        pass(segment.withoutPayload, frame, toServer(segment, connection), into: &egress)
        return .forwarded
    }

    /// A client whose SYN we answered asks whether its window is open by now, or has sent something all the same.
    private mutating func receiveEarly(
        _ segment: Segment, _ connection: Ref, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        guard connection.pointee.isAnswered, segment.flags.contains(.ack),
            segment.acknowledgement == connection.pointee.cookie + 1, connection.pointee.up.isPlausible(segment.sequence)
        else { return .dropped(.whileQueued) }
        connection.pointee.seen = now
        connection.pointee.clientWindow = segment.window
        let isNext = segment.sequence == connection.pointee.syn.sequence + 1
        if segment.length > 0 || !isNext { acknowledge(connection, into: &egress) }
        return segment.length > 0 ? .dropped(.whileQueued) : .consumed
    }

    /// To a client whose SYN we answered: nothing has been taken, and there is no window.
    mutating func acknowledge(_ connection: Ref, into egress: inout Egress) {
        var answer = OutgoingSegment(
            side: .client, source: listeners[Int(connection.pointee.listener)].endpoint, destination: connection.pointee.client,
            sequence: connection.pointee.cookie + 1, acknowledgement: connection.pointee.syn.sequence + 1, flags: .ack, window: 0,
            segmentSize: Int(connection.pointee.toClientSize))
        answer.nextHop = .neighbour(connection.pointee.neighbour)
        send(answer, .acknowledgement, into: &egress)
    }

    /// A SYN in the middle of a connection: the server asks its sender whether it means it (RFC 5961 section 4). After the end it begins a
    /// new one, if it is newer than all that was.
    private mutating func receiveSYNInConnection(
        _ segment: Segment, _ frame: RawSpan, _ connection: Ref, _ index: Int, listener: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if connection.pointee.state == .closed {
            guard connection.pointee.wasReset || segment.sequence.isAtOrAfter(connection.pointee.up.next) else {
                return .dropped(.timeWait)
            }
            forget(index)
            return receiveSYN(segment, frame, listener: listener, at: now, into: &egress)
        }
        var outgoing = toServer(segment, connection)
        outgoing.largestMSS = largestMSS(connection)
        pass(segment.withoutPayload, frame, outgoing, into: &egress)
        return .forwarded
    }

    // MARK: The server

    mutating func receiveFromServer(
        _ segment: Segment, _ frame: RawSpan, _ connection: Ref, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if segment.flags.contains(.syn) {
            guard segment.flags.contains(.ack) else { return .dropped(.synInConnection) }
            return receiveSYNACK(segment, frame, connection, at: now, into: &egress)
        }
        if connection.pointee.hasServerNumbers {
            return forwardToClient(segment, frame, connection, index, at: now, into: &egress)
        }
        if segment.flags.contains(.rst) {
            guard segment.flags.contains(.ack), segment.acknowledgement == connection.pointee.syn.sequence + 1 else {
                return .dropped(.resetInexact)
            }
            connectFailed(connection, index, at: now, into: &egress)
            return .consumed
        }
        // It has something left of an old connection with these ends (RFC 9293 3.5.1): the client ends that, or we in its place.
        guard segment.flags.contains(.ack), segment.acknowledgement != connection.pointee.syn.sequence + 1 else {
            return .dropped(.noConnection)
        }
        guard !connection.pointee.isAnswered else {
            answerWithReset(segment, on: .server, at: now, into: &egress)
            return .dropped(.noConnection)
        }
        pass(segment.withoutPayload, frame, toClient(segment, connection), into: &egress)
        return .forwarded
    }

    /// The server refuses the connection. Another one may take it; else the client is told.
    mutating func connectFailed(_ connection: Ref, _ index: Int, at now: Instant, into egress: inout Egress) {
        let pool = Int(connection.pointee.pool)
        if !offerAnother(connection, index, at: now, into: &egress) {
            counters.refused(.serverUnavailable)
            resetClient(connection, into: &egress)
            abandon(connection, index, cause: .server, failed: true, at: now, into: &egress)
        }
        serveQueue(pool, at: now, into: &egress)
    }

    private mutating func receiveSYNACK(
        _ segment: Segment, _ frame: RawSpan, _ connection: Ref, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        guard segment.acknowledgement == connection.pointee.syn.sequence + 1 else {
            // To an old SYN of the same ends: it is for the client to say so.
            guard !connection.pointee.isAnswered, connection.pointee.state == .opening else { return .dropped(.acknowledgesUnsent) }
            pass(segment.withoutPayload, frame, toClient(segment, connection), into: &egress)
            return .forwarded
        }
        let isFirst = !connection.pointee.hasServerNumbers
        if isFirst { takeServerNumbers(segment, connection, at: now) }
        guard segment.sequence + 1 == connection.pointee.serverFirst else { return .dropped(.synInConnection) }
        connection.pointee.seen = now
        if connection.pointee.isAnswered {
            completeHandshake(segment, connection, isFirst: isFirst, at: now, into: &egress)
            return .consumed
        }
        var outgoing = toClient(segment, connection)
        outgoing.largestMSS = largestMSS(connection)
        pass(segment.withoutPayload, frame, outgoing, into: &egress)
        return .forwarded
    }

    private mutating func takeServerNumbers(_ segment: Segment, _ connection: Ref, at now: Instant) {
        let server = Int(connection.pointee.server)
        servers[server].noteAnswer(at: now)
        let offered = connection.pointee.syn.hasWindowScale
        connection.pointee.serverScales = offered && segment.options.windowScale != 255
        connection.pointee.usesSACK = segment.options.sackPermitted
        connection.pointee.down = ForwardedStream(initial: segment.sequence)
        connection.pointee.serverFirst = segment.sequence + 1
        if connection.pointee.serverScales {
            connection.pointee.down.shift = segment.options.windowScale
        } else if !connection.pointee.isAnswered {
            connection.pointee.up.shift = 0
        }
        connection.pointee.hasServerNumbers = true
        connection.pointee.answerBy = .distantFuture
        connection.pointee.repeatAt = .distantFuture
        connection.pointee.connectTime = now - connection.pointee.dispatched
        if connection.pointee.isAnswered { connection.pointee.delta = connection.pointee.cookie.value &- segment.sequence.value }
        // A SYN's own window is never scaled (RFC 7323 2.2).
        connection.pointee.up.acknowledge(segment.acknowledgement, window: Int(segment.window))
        let address = servers[server].endpoint.address
        let told = Int(segment.options.maximumSegmentSize)
        let size = min(
            told == 0 ? (address.isIPv4 ? 536 : 1_220) : max(told, 48), configuration.serverSideMTU - PathMTU.headers(to: address),
            paths.segmentSize(to: address, on: .server, at: now))
        connection.pointee.toServerSize = UInt16(clamping: size)
    }

    /// The client's handshake is long over: the server's is completed for it, and then the client has a window.
    private mutating func completeHandshake(
        _ segment: Segment, _ connection: Ref, isFirst: Bool, at now: Instant, into egress: inout Egress
    ) {
        let field = connection.pointee.clientWindow
        let bytes = Int(field) << Int(connection.pointee.up.shift)
        let toServer = OutgoingSegment(
            side: .server, source: connection.pointee.local, destination: servers[Int(connection.pointee.server)].endpoint,
            sequence: connection.pointee.up.next, acknowledgement: SequenceNumber.later(connection.pointee.down.acknowledged, segment.end),
            flags: .ack, window: connection.pointee.serverScales ? field : UInt16(min(bytes, 65_535)),
            segmentSize: Int(connection.pointee.toServerSize))
        send(toServer, .acknowledgement, again: false, into: &egress)
        guard isFirst else { return }
        connection.pointee.down.acknowledge(segment.end, window: bytes)
        connection.pointee.state = .open
        connection.pointee.progress = now
        var toClient = OutgoingSegment(
            side: .client, source: listeners[Int(connection.pointee.listener)].endpoint, destination: connection.pointee.client,
            sequence: connection.pointee.cookie + 1, acknowledgement: connection.pointee.syn.sequence + 1, flags: .ack,
            window: UInt16(min(Int(segment.window) >> Int(connection.pointee.toldShift), 65_535)),
            segmentSize: Int(connection.pointee.toClientSize))
        toClient.nextHop = .neighbour(connection.pointee.neighbour)
        send(toClient, .acknowledgement, into: &egress)
    }
}
