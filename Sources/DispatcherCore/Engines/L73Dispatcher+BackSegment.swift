extension L73Dispatcher {
    /// A segment on a back-end connection (RFC 9293 3.10.7, RFC 5961).
    mutating func receive(
        _ segment: Segment, _ frame: RawSpan, back: BackRef, index place: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        switch back.pointee.state {
        case .closed: return .dropped(.noConnection)
        case .opening: return receiveWhileOpening(segment, back: back, place, at: now, into: &egress)
        case .open, .closing: break
        }
        if back.pointee.use == .tunnel {
            return receiveInTunnel(segment, frame, fromServer: back, place, at: now, into: &egress)
        }
        if segment.flags.contains(.rst) { return receiveReset(segment, back, place, at: now, into: &egress) }
        if segment.flags.contains(.syn) {
            acknowledge(back, into: &egress)
            return segment.flags.contains(.ack) ? .consumed : .dropped(.synInConnection)
        }
        guard segment.flags.contains(.ack) else { return .dropped(.noAcknowledgement) }
        if segment.acknowledgement.isAfter(back.pointee.sender.highest) {
            challenge(back, at: now, into: &egress)
            return .dropped(.acknowledgesUnsent)
        }
        if segment.acknowledgement.isBefore(back.pointee.sender.unacknowledged - back.pointee.sender.largestWindow) {
            return .dropped(.oldAcknowledgement)
        }
        // What begins beyond the window was not sent by the peer: it moves nothing, the server's own window least of all (RFC 9293 3.10.7.4).
        if segment.sequence.isAfter(back.pointee.shownEdge) {
            if segment.length > 0 { acknowledge(back, into: &egress) } else { challenge(back, at: now, into: &egress) }
            return .dropped(.outOfWindow)
        }

        let windowMoved = back.pointee.sender.noteWindow(segment, bytes: back.pointee.options.bytes(segment.window))
        let blocks = segment.options.sackCount > 0 ? SACKBlocks(segment, in: frame) : SACKBlocks()
        let moved = back.pointee.sender.acknowledge(
            segment.acknowledgement, isBare: segment.length == 0 && !windowMoved, sack: blocks, at: now)
        pump(back, at: now, into: &egress)
        if back.pointee.isStreamed {
            let generation = back.pointee.generation
            bodyAcknowledged(back, place, moved: moved > 0, at: now, into: &egress)
            // The rest of the body may have ended the connection.
            guard back.pointee.generation == generation, back.pointee.state == .open else { return .consumed }
        }

        if back.pointee.state == .closing { return receiveWhileClosing(segment, back, place, at: now, into: &egress) }
        if segment.length == 0 { return receiveBare(segment, back, at: now, into: &egress) }
        if back.pointee.use == .check { return receiveCheck(segment, frame, back, place, at: now, into: &egress) }
        guard back.pointee.use != .none else { return receiveWhileIdle(segment, back, place, at: now, into: &egress) }
        return receiveResponse(segment, frame, back, place, at: now, into: &egress)
    }

    private mutating func receiveReset(
        _ segment: Segment, _ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        // What the server was told last is as exact as what has come: end to end, the one lags behind the other.
        guard segment.sequence == back.pointee.receiveNext || segment.sequence == back.pointee.told else {
            let isInside = segment.sequence.isAfter(back.pointee.told) && segment.sequence.isBefore(back.pointee.shownEdge)
            guard isInside else { return .dropped(.resetOutOfWindow) }
            challenge(back, at: now, into: &egress)
            return .dropped(.resetInexact)
        }
        // A RST shows what the server has of the request only if it carries an acknowledgement.
        let base = back.pointee.sender.base
        let hasNothing = segment.flags.contains(.ack) && segment.acknowledgement.isAtOrBefore(base)
        serverLeft(back, place, requestReceived: !hasNothing, at: now, into: &egress)
        return .consumed
    }

    /// The server's connection is gone, or unusable: what becomes of the request on it depends on how far it was.
    /// - Parameter requestReceived: whether the server may have received a byte of the request, as its FIN or RST tells.
    mutating func serverLeft(
        _ back: BackRef, _ place: Int, requestReceived: Bool, at now: Instant, into egress: inout Egress
    ) {
        let use = back.pointee.use
        if use == .check { return endCheck(back, place, .closed, wasReset: true, at: now, into: &egress) }
        let server = Int(back.pointee.server)
        let working = front(of: back)
        let answered =
            back.pointee.heldCount > 0 || back.pointee.receiveNext != back.pointee.splice.start || back.pointee.interims > 0
            || !back.pointee.gap.isNone
        let received = requestReceived || back.pointee.sender.unacknowledged.isAfter(back.pointee.sender.base)
        let wasKept = back.pointee.openedAt < back.pointee.dispatched
        closeBack(back, place, reset: false, at: now, into: &egress)
        guard let (front, index) = working else { return }
        // A kept connection that closes before it has read anything of the request is no failure: its time was over.
        if answered || received || !wasKept, use != .tunnel {
            noteFailure(server, inBody: use == .body || use == .staged, at: now)
        }
        switch use {
        case .awaitingHead:
            repeatOrAnswer(
                front, index, mayRepeat: !answered && !front.pointee.stream.isActive && (front.pointee.isIdempotent || !received),
                failed: server, status: 502, cause: .server, phase: .headers, at: now, into: &egress)
        case .body, .staged: truncate(front, index, at: now, into: &egress)
        case .none, .bound, .tunnel, .check: break
        }
    }

    /// The response stopped before its end: the client must see it, so its connection is reset (tcp.md "Close").
    mutating func truncate(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) {
        finishRecord(front, cause: .server, phase: .data, at: now)
        resetClient(front, into: &egress)
        removeFront(front, index, at: now)
    }

    /// No payload: a pure acknowledgement, a keep-alive, or a probe of a closed window.
    private mutating func receiveBare(_ segment: Segment, _ back: BackRef, at now: Instant, into egress: inout Egress) -> FrameOutcome {
        guard segment.sequence.isBefore(back.pointee.told) else { return .consumed }
        if back.pointee.use == .body, let (front, _) = front(of: back),
            back.pointee.options.field(atMost: front.pointee.sender.window) == 0
        {
            // The client's window is closed, or so small that the server sees none of it (RFC 7323 2.4): the probe goes on, and the client's
            // answer comes back ([0063]).
            sendToClient(
                front, sequence: front.pointee.sender.unacknowledged - 1, flags: .ack, kind: .forwarded, into: &egress)
            return .forwarded
        }
        challenge(back, at: now, into: &egress)
        return .consumed
    }

    /// An acknowledgement in answer to what does not fit, as far as the connection's budget goes.
    mutating func challenge(_ back: BackRef, at now: Instant, into egress: inout Egress) {
        if back.pointee.challenges.allows(at: now) { acknowledge(back, kind: .challenge, into: &egress) }
    }

    /// On an idle connection: the server's FIN, an old response's tail, or bytes that nobody asked for.
    private mutating func receiveWhileIdle(
        _ segment: Segment, _ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if segment.payloadEnd.isAfter(back.pointee.receiveNext) {
            closeBack(back, place, reset: true, at: now, into: &egress)
            return .dropped(.whileIdle)
        }
        guard segment.flags.contains(.fin), segment.payloadEnd == back.pointee.receiveNext else {
            acknowledge(back, into: &egress)
            return .dropped(.oldEpoch)
        }
        slotLinks.remove(place, from: &servers[Int(back.pointee.server)].idle)
        closePassively(back, place, at: now, into: &egress)
        serveQueue(servers[Int(back.pointee.server)].pool, at: now, into: &egress)
        return .consumed
    }

    /// The server has closed and no request is on the connection: FIN for FIN.
    mutating func closePassively(_ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress) {
        back.pointee.finReceived = true
        closeIdle(back, place, at: now, into: &egress)
    }

    private mutating func receiveWhileClosing(
        _ segment: Segment, _ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if back.pointee.discards, segment.sequence.isAtOrBefore(back.pointee.receiveNext) {
            back.pointee.receiveNext = SequenceNumber.later(back.pointee.receiveNext, segment.payloadEnd)
            back.pointee.receiveHighest = SequenceNumber.later(back.pointee.receiveHighest, back.pointee.receiveNext)
        }
        // What comes behind its FIN acknowledges ours: its number is one farther.
        if segment.payloadEnd.isAfter(back.pointee.finReceived ? back.pointee.receiveNext + 1 : back.pointee.receiveNext) {
            closeBack(back, place, reset: true, at: now, into: &egress)
            return .dropped(.whileIdle)
        }
        if segment.flags.contains(.fin) {
            back.pointee.finReceived = true
            acknowledge(back, into: &egress)
        } else if segment.length > 0 {
            acknowledge(back, into: &egress)
        }
        if back.pointee.finReceived, back.pointee.sender.finAcknowledged {
            closeBack(back, place, reset: false, at: now, into: &egress)
        }
        return .consumed
    }
}
