extension L73Dispatcher {
    /// The 101 is with us: both directions are spliced from here on, and the slot is free (tcp.md "Tunnels").
    ///
    /// Behind the 101's head: server to client `seq += dS, ack -= dC`; client to server `seq += dC, ack -= dS`, with `dC = A - Y` and
    /// `dS = X - B`. The head itself is ours to deliver: acknowledgements inside it end here.
    mutating func beginTunnel(
        _ head: ResponseHead, _ back: BackRef, _ place: Int, _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) {
        let server = Int(back.pointee.server)
        guard back.pointee.isOwn, !back.pointee.sender.hasUnacknowledgedOwn else {
            // A 101 that does not acknowledge the request, or on a pooled connection: nothing that can be spliced.
            closeBack(back, place, reset: true, at: now, into: &egress)
            front.pointee.status = 502
            truncate(front, index, at: now, into: &egress)
            return
        }
        front.pointee.status = head.status
        front.pointee.responded = now
        front.pointee.opening = TunnelOpening(front.pointee)
        noteResponse(back, status: head.status, at: now)
        finishRecord(front, kind: .tunnelOpened, cause: .normal, phase: .normal, at: now)
        leaveSlot(back, becomesTunnel: true, at: now)
        servers[server].tunnels += 1
        servers[server].shared.pointee.openTunnels.wrappingAdd(1, ordering: .relaxed)
        services[Int(front.pointee.service)].tunnels += 1
        // One that came about after the order, or the stop, goes as those from before do.
        if isStopping || servers[server].tunnelsEndAfter != .distantFuture { planDrain(at: now) }
        back.pointee.use = .tunnel
        back.pointee.phaseDeadline = .distantFuture
        back.pointee.clientFin = nil
        back.pointee.serverFin = nil
        back.pointee.splice.start = back.pointee.receiveNext
        back.pointee.splice.delta = front.pointee.sender.streamEnd.value &- back.pointee.receiveNext.value
        back.pointee.splice.clientStart = front.pointee.receiveNext
        back.pointee.splice.clientDelta = back.pointee.sender.next.value &- front.pointee.receiveNext.value
        front.pointee.phase = .tunnel
        front.pointee.progress = now
        front.pointee.phaseDeadline = now + limits[Int(front.pointee.service)].tunnelIdle
        buffers.give(&front.pointee.output)
        front.pointee.outputCount = 0
        front.pointee.bytesFromClient = 0
        front.pointee.bytesToClient = 0
        pump(front, at: now, into: &egress)
        acknowledge(back, into: &egress)
        armFront(front, index)
        armBack(back, place)
        serveQueue(servers[server].pool, at: now, into: &egress)
    }

    /// The client has the 101: from here on others' bytes alone pass, and what only a request and its response need is given back.
    private mutating func settle(_ front: FrontRef, _ back: BackRef) {
        guard !front.pointee.sender.onlyForwards, !front.pointee.sender.finQueued, !back.pointee.sender.finQueued else { return }
        giveWork(front)
        transmissions.remove(front.pointee.sender.forwardOnly(blank: blankTransmission.pointer))
        releaseBuffers(back)
        giveWork(back)
        transmissions.remove(back.pointee.sender.forwardOnly(blank: blankTransmission.pointer))
    }

    // MARK: Client to server

    /// How far beyond the window that the other end has shown a segment may begin: what lies farther was not sent by the peer, and would
    /// move our idea of the stream. The ends judge the rest.
    private static var tunnelSlack: Int { 65_535 }

    mutating func receiveInTunnel(
        _ segment: Segment, _ frame: RawSpan, fromClient front: FrontRef, index: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        let segment = segment.flags.contains(.rst) ? segment.withoutPayload : segment
        let place = Int(front.pointee.back)
        let back = backs.pointer(place)
        let splice = back.pointee.splice
        if segment.flags.contains(.syn) {
            challenge(front, at: now, into: &egress)
            return .dropped(.synInConnection)
        }
        let serverEdge = SequenceNumber(back.pointee.sender.farthestEdge.value &- splice.clientDelta)
        guard !segment.sequence.isAfter(SequenceNumber.later(serverEdge, front.pointee.toldEdge) + Self.tunnelSlack) else {
            challenge(front, at: now, into: &egress)
            return .dropped(.outOfWindow)
        }
        // Bytes from before the tunnel: the request, which we acknowledged ourselves.
        let skip = max(0, splice.clientStart.distance(from: segment.sequence))
        guard segment.flags.contains(.ack) || segment.flags.contains(.rst) else { return .dropped(.noAcknowledgement) }

        if segment.flags.contains(.ack) {
            guard !segment.acknowledgement.isAfter(front.pointee.sender.highest) else {
                challenge(front, at: now, into: &egress)
                return .dropped(.acknowledgesUnsent)
            }
        }
        // A RST says nothing of windows, and nothing is sent in answer to it.
        if !segment.flags.contains(.rst) {
            _ = front.pointee.sender.noteWindow(segment, bytes: front.pointee.options.bytes(segment.window))
            let blocks = segment.options.sackCount > 0 ? SACKBlocks(segment, in: frame) : SACKBlocks()
            let moved = front.pointee.sender.acknowledge(segment.acknowledgement, isBare: segment.length == 0, sack: blocks, at: now)
            if moved > 0 {
                front.pointee.progress = now
                front.pointee.bytesToClient &+= UInt64(moved)
                if front.pointee.sender.unacknowledged.isAtOrAfter(front.pointee.sender.end) {
                    giveOwn(front)
                    settle(front, back)
                }
            }
            back.pointee.splice.follow(serverNumber: splice.toServer(front.pointee.sender.unacknowledged))
            pump(front, at: now, into: &egress)
        }
        // While the 101's head is not acknowledged, a bare acknowledgement concerns us alone.
        let translated = splice.toServer(segment.acknowledgement)
        let acknowledgement = SequenceNumber.later(translated, splice.start)
        if segment.length == 0, !segment.flags.contains(.rst), translated.isBefore(splice.start) { return .consumed }
        if segment.length > 0, skip >= segment.length {
            acknowledge(front, into: &egress)
            return .consumed
        }

        var outgoing = OutgoingSegment(
            side: .server, source: back.pointee.local, destination: serverEndpoint(back),
            sequence: SequenceNumber((segment.sequence + cut(skip, segment)).value &+ splice.clientDelta), acknowledgement: acknowledgement,
            flags: segment.flags.intersection([.fin, .rst, .psh, .ack]),
            window: back.pointee.options.field(
                atMost: max(0, front.pointee.options.bytes(segment.window) - acknowledgement.distance(from: translated))),
            segmentSize: Int(back.pointee.sender.segmentSize))
        if !segment.flags.contains(.rst) { outgoing.sack = epochBlocks(segment, frame, back) }
        if segment.checksumState == .full, skip == 0 { outgoing.payloadSum = segment.payloadSum }
        forward(outgoing, segment, frame, skip: skip, into: &egress)

        let end = SequenceNumber(segment.end.value &+ splice.clientDelta)
        let isExact = segment.sequence == front.pointee.receiveNext
        // A RST that is not exact moves nothing: a second one with its number would be taken for exact.
        let moves = !segment.flags.contains(.rst)
        if moves, segment.end.isAfter(front.pointee.receiveNext) {
            front.pointee.bytesFromClient &+= UInt64(segment.end.distance(from: front.pointee.receiveNext))
            front.pointee.receiveNext = segment.end
        }
        if moves, end.isAfter(back.pointee.sender.highest) {
            back.pointee.sender.highest = end
            back.pointee.sender.next = end
        }
        if segment.flags.contains(.fin) { back.pointee.clientFin = end }
        if segment.flags.contains(.rst) {
            endAfterReset(exact: isExact, front, index, back, place, cause: .client, at: now, into: &egress)
        } else if back.pointee.serverFin == acknowledgement {
            tunnelHalfClosed(front, back, place, at: now, into: &egress)
        }
        return .forwarded
    }

    // MARK: Server to client

    mutating func receiveInTunnel(
        _ segment: Segment, _ frame: RawSpan, fromServer back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        let segment = segment.flags.contains(.rst) ? segment.withoutPayload : segment
        guard let (front, index) = front(of: back) else { preconditionFailure("a tunnel without a client") }
        let splice = back.pointee.splice
        if segment.flags.contains(.syn) {
            challenge(back, at: now, into: &egress)
            return .dropped(.synInConnection)
        }
        let clientEdge = splice.toServer(front.pointee.sender.farthestEdge)
        guard !segment.sequence.isAfter(SequenceNumber.later(clientEdge, back.pointee.shownEdge) + Self.tunnelSlack) else {
            challenge(back, at: now, into: &egress)
            return .dropped(.outOfWindow)
        }
        guard segment.flags.contains(.ack) || segment.flags.contains(.rst) else { return .dropped(.noAcknowledgement) }
        let skip = max(0, splice.start.distance(from: segment.sequence))
        if segment.length > 0, skip >= segment.length {
            acknowledge(back, into: &egress)
            return .dropped(.oldEpoch)
        }
        if segment.flags.contains(.ack) {
            guard !segment.acknowledgement.isAfter(back.pointee.sender.highest) else {
                challenge(back, at: now, into: &egress)
                return .dropped(.acknowledgesUnsent)
            }
        }
        if !segment.flags.contains(.rst) {
            _ = back.pointee.sender.noteWindow(segment, bytes: back.pointee.options.bytes(segment.window))
            if back.pointee.sender.acknowledge(segment.acknowledgement, isBare: false, at: now) > 0 { front.pointee.progress = now }
            back.pointee.splice.follow(clientNumber: SequenceNumber(back.pointee.sender.unacknowledged.value &- splice.clientDelta))
        }
        let translated = SequenceNumber(segment.acknowledgement.value &- splice.clientDelta)
        var outgoing = OutgoingSegment(
            side: .client, source: listeners[Int(front.pointee.listener)].endpoint, destination: front.pointee.client,
            sequence: splice.toClient(segment.sequence + cut(skip, segment)),
            acknowledgement: SequenceNumber.later(translated, splice.clientStart),
            flags: segment.flags.intersection([.fin, .rst, .psh, .ack]),
            window: front.pointee.options.field(atMost: back.pointee.options.bytes(segment.window)),
            segmentSize: Int(front.pointee.sender.segmentSize))
        if segment.options.sackCount > 0, front.pointee.options.sackPermitted, !segment.flags.contains(.rst) {
            outgoing.sack = SACKBlocks(segment, in: frame).translated(
                by: 0 &- splice.clientDelta, within: SACKBlocks.Block(start: splice.clientStart, end: front.pointee.receiveNext))
        }
        outgoing.nextHop = .neighbour(front.pointee.neighbour)
        if segment.checksumState == .full, skip == 0 { outgoing.payloadSum = segment.payloadSum }
        forward(outgoing, segment, frame, skip: skip, into: &egress)

        let end = splice.toClient(segment.end)
        let isExact = segment.sequence == back.pointee.receiveHighest || segment.sequence == back.pointee.receiveNext
        let moves = !segment.flags.contains(.rst)
        if moves, segment.end.isAfter(back.pointee.receiveHighest) {
            back.pointee.receiveHighest = segment.end
            back.pointee.receiveNext = segment.end
        }
        if moves, end.isAfter(front.pointee.sender.highest) { front.pointee.sender.noteForwarded(upTo: end, fin: false, at: now) }
        if segment.flags.contains(.fin) { back.pointee.serverFin = segment.end }
        if segment.flags.contains(.rst) {
            endAfterReset(exact: isExact, front, index, back, place, cause: .server, at: now, into: &egress)
        } else if back.pointee.clientFin == segment.acknowledgement {
            tunnelHalfClosed(front, back, place, at: now, into: &egress)
        }
        return .forwarded
    }

    /// How far the beginning of a segment moves on. A keep-alive or a probe names the number before the first, and must go on naming it.
    private func cut(_ skip: Int, _ segment: Segment) -> Int { segment.length == 0 && skip == 1 ? 0 : skip }

    private mutating func forward(
        _ outgoing: OutgoingSegment, _ segment: Segment, _ frame: RawSpan, skip: Int, into egress: inout Egress
    ) {
        let from = segment.payloadOffset + min(skip, segment.payloadLength)
        frame.extracting(from..<segment.payloadOffset + segment.payloadLength).withUnsafeBytes {
            send(outgoing, $0, .forwarded, into: &egress)
        }
    }

    /// Bytes that came in one segment with the 101's head. Of those that were kept beyond a gap no more than fit one packet: the server
    /// sends the rest again.
    mutating func forwardFirst(
        _ bytes: UnsafeRawBufferPointer, pushes: Bool, _ back: BackRef, _ front: FrontRef, at now: Instant, into egress: inout Egress
    ) {
        let bytes = UnsafeRawBufferPointer(rebasing: bytes.prefix(Egress.mostPayload))
        let sequence = back.pointee.splice.toClient(back.pointee.receiveNext)
        var outgoing = OutgoingSegment(
            side: .client, source: listeners[Int(front.pointee.listener)].endpoint, destination: front.pointee.client, sequence: sequence,
            acknowledgement: front.pointee.receiveNext, flags: pushes ? [.ack, .psh] : .ack,
            window: front.pointee.options.field(atMost: back.pointee.sender.window),
            segmentSize: Int(front.pointee.sender.segmentSize))
        outgoing.nextHop = .neighbour(front.pointee.neighbour)
        send(outgoing, bytes, .forwarded, into: &egress)
        front.pointee.sender.noteForwarded(upTo: sequence + bytes.count, fin: false, at: now)
        back.pointee.receiveNext += bytes.count
        back.pointee.receiveHighest = SequenceNumber.later(back.pointee.receiveHighest, back.pointee.receiveNext)
    }

    // MARK: The end

    /// One direction's FIN is acknowledged; with both, the tunnel is over after the server's TIME_WAIT.
    private mutating func tunnelHalfClosed(
        _ front: FrontRef, _ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) {
        guard let clientFin = back.pointee.clientFin, let serverFin = back.pointee.serverFin else { return }
        let clientHasAll = back.pointee.splice.toServer(front.pointee.sender.unacknowledged).isAtOrAfter(serverFin)
        let serverHasAll = back.pointee.sender.unacknowledged.isAtOrAfter(clientFin)
        guard clientHasAll, serverHasAll, back.pointee.phaseDeadline == .distantFuture else { return }
        back.pointee.phaseDeadline = now + configuration.tcp.serverTimeWait
        armBack(back, place)
    }

    /// A RST passed. When its number was exact both ends are gone; else the receiver will ask, and the tunnel stays until that is settled.
    private mutating func endAfterReset(
        exact: Bool, _ front: FrontRef, _ index: Int, _ back: BackRef, _ place: Int, cause: Termination.Cause, at now: Instant,
        into egress: inout Egress
    ) {
        guard exact else { return }
        endTunnel(front, index, back, place, cause: cause, resets: false, at: now, into: &egress)
    }

    /// Forgets a tunnel.
    /// - Parameter resets: whether both ends are told.
    mutating func endTunnel(
        _ front: FrontRef, _ index: Int, _ back: BackRef, _ place: Int, cause: Termination.Cause, resets: Bool, at now: Instant,
        into egress: inout Egress
    ) {
        finishRecord(front, kind: .tunnelClosed, cause: cause, phase: .tunnel, at: now)
        if resets {
            resetClient(front, into: &egress)
            resetServer(back, into: &egress)
        }
        services[Int(front.pointee.service)].tunnels -= 1
        closeBack(back, place, reset: false, at: now, into: &egress)
        removeFront(front, index, at: now)
    }
}
