/// Segments of an open connection pass on with other addresses; everything else in them is as it came, but for numbers and windows where we
/// answered the client's SYN ourselves.
extension L43Dispatcher {
    // MARK: Client to server

    /// How a client's segment goes on.
    func toServer(_ segment: Segment, _ connection: Ref) -> ForwardedSegment {
        let server = Int(connection.pointee.server)
        var outgoing = ForwardedSegment(
            side: .server, source: connection.pointee.local, destination: servers[server].endpoint, sequence: segment.sequence,
            acknowledgement: connection.pointee.toServer(segment.acknowledgement),
            window: connection.pointee.windowToServer(segment.window),
            segmentSize: connection.pointee.toServerSize == 0 ? 536 : Int(connection.pointee.toServerSize))
        outgoing.sackDelta = 0 &- connection.pointee.delta
        outgoing.dropsSACK = connection.pointee.isAnswered && !connection.pointee.usesSACK
        return outgoing
    }

    mutating func forwardToServer(
        _ segment: Segment, _ frame: RawSpan, _ connection: Ref, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        let isReset = segment.flags.contains(.rst)
        guard isReset || segment.flags.contains(.ack) else { return .dropped(.noAcknowledgement) }
        guard connection.pointee.up.isPlausible(segment.sequence) else { return .dropped(isReset ? .resetOutOfWindow : .outOfWindow) }
        let acknowledgement = connection.pointee.toServer(segment.acknowledgement)
        if segment.flags.contains(.ack), acknowledgement.isAfter(connection.pointee.down.next) { return .dropped(.acknowledgesUnsent) }
        if isReset {
            guard connection.pointee.up.isInWindow(segment.sequence) else { return .dropped(.resetOutOfWindow) }
            pass(segment.withoutPayload, frame, toServer(segment, connection), into: &egress)
            if connection.pointee.counts { close(connection, index, cause: .client, phase: .data, reset: true, at: now, into: &egress) }
            return .forwarded
        }
        pass(segment, frame, toServer(segment, connection), into: &egress)
        let hasNews = segment.payloadLength > 0 && segment.payloadEnd.isAfter(connection.pointee.up.next)
        connection.pointee.up.sent(segment)
        connection.pointee.down.acknowledge(acknowledgement, window: Int(segment.window) << Int(connection.pointee.up.shift))
        connection.pointee.progress = now
        if connection.pointee.state == .opening { connection.pointee.state = .open }
        // The response time runs from the last of what the client says ([0051]).
        if hasNews {
            connection.pointee.asked = now
            connection.pointee.askedEra = servers[Int(connection.pointee.server)].shared.pointee.era.load(ordering: .relaxed)
        }
        closeIfOver(connection, index, at: now, into: &egress)
        return .forwarded
    }

    // MARK: Server to client

    /// How a server's segment goes on.
    func toClient(_ segment: Segment, _ connection: Ref) -> ForwardedSegment {
        var outgoing = ForwardedSegment(
            side: .client, source: listeners[Int(connection.pointee.listener)].endpoint, destination: connection.pointee.client,
            sequence: connection.pointee.toClient(segment.sequence), acknowledgement: segment.acknowledgement,
            // The window of a SYN is not scaled.
            window: segment.flags.contains(.syn) ? segment.window : connection.pointee.windowToClient(segment.window),
            segmentSize: Int(connection.pointee.toClientSize))
        outgoing.nextHop = .neighbour(connection.pointee.neighbour)
        return outgoing
    }

    mutating func forwardToClient(
        _ segment: Segment, _ frame: RawSpan, _ connection: Ref, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        let isReset = segment.flags.contains(.rst)
        guard isReset || segment.flags.contains(.ack) else { return .dropped(.noAcknowledgement) }
        guard connection.pointee.down.isPlausible(segment.sequence) else { return .dropped(isReset ? .resetOutOfWindow : .outOfWindow) }
        if segment.flags.contains(.ack), segment.acknowledgement.isAfter(connection.pointee.up.next) {
            return .dropped(.acknowledgesUnsent)
        }
        if isReset {
            guard connection.pointee.down.isInWindow(segment.sequence) else { return .dropped(.resetOutOfWindow) }
            pass(segment.withoutPayload, frame, toClient(segment, connection), into: &egress)
            if connection.pointee.counts { close(connection, index, cause: .server, phase: .data, reset: true, at: now, into: &egress) }
            return .forwarded
        }
        pass(segment, frame, toClient(segment, connection), into: &egress)
        let server = Int(connection.pointee.server)
        let before = connection.pointee.down.bytes
        connection.pointee.down.sent(segment)
        connection.pointee.up.acknowledge(segment.acknowledgement, window: Int(segment.window) << Int(connection.pointee.down.shift))
        connection.pointee.progress = now
        let news = connection.pointee.down.bytes &- before
        servers[server].traffic.pointee.carried(Int(news))
        if news > 0, connection.pointee.asked != .distantFuture {
            let (time, era) = (now - connection.pointee.asked, connection.pointee.askedEra)
            if servers[server].shared.pointee.withControl({ $0.responded(after: time, era: era, at: now) }) {
                if shard.leads { timers.arm(serverTimer(server), by: now) } else { tellLeader(of: server) }
            }
            servers[server].exchanges &+= 1
            connection.pointee.asked = .distantFuture
        }
        closeIfOver(connection, index, at: now, into: &egress)
        return .forwarded
    }

    @inline(__always)
    private mutating func closeIfOver(_ connection: Ref, _ index: Int, at now: Instant, into egress: inout Egress) {
        guard connection.pointee.up.hasFin, connection.pointee.state == .open, connection.pointee.up.isOver, connection.pointee.down.isOver
        else { return }
        close(connection, index, cause: .normal, phase: .normal, reset: false, at: now, into: &egress)
    }

    // MARK: Out

    /// Sends a captured segment on.
    mutating func pass(_ segment: Segment, _ frame: RawSpan, _ outgoing: ForwardedSegment, into egress: inout Egress) {
        let most = 65_535 - IPHeader.length(for: outgoing.destination.address) - segment.headerLength
        if segment.payloadLength > most { return passInPieces(segment, frame, outgoing, most: most, into: &egress) }
        let isSent = frame.extracting(segment.payloadOffset..<segment.payloadOffset + segment.payloadLength).withUnsafeBytes {
            egress.forward(
                segment, frame, payload: $0, flags: segment.flags, as: outgoing,
                payloadSum: segment.checksumState == .full ? segment.payloadSum : nil)
        }
        // A full egress is a full link: the segment is lost, and its sender sends it again.
        if isSent { counters.emitted(.forwarded, outgoing.side) } else { counters.lostInEgress(outgoing.side) }
    }

    /// What came in one packet of IPv4 may be too long for one of IPv6. It is cut where whoever transmits would cut it.
    private mutating func passInPieces(
        _ segment: Segment, _ frame: RawSpan, _ outgoing: ForwardedSegment, most: Int, into egress: inout Egress
    ) {
        let size = max(outgoing.segmentSize - (segment.headerLength - 20), 1)
        let step = most / size > 0 ? most / size * size : most
        var piece = outgoing
        for start in stride(from: 0, to: segment.payloadLength, by: step) {
            let end = min(start + step, segment.payloadLength)
            piece.sequence = outgoing.sequence + start
            let flags = end == segment.payloadLength ? segment.flags : segment.flags.subtracting([.psh, .fin])
            let from = segment.payloadOffset
            let isSent = frame.extracting(from + start..<from + end).withUnsafeBytes {
                egress.forward(segment, frame, payload: $0, flags: flags, as: piece, payloadSum: nil)
            }
            if isSent { counters.emitted(.forwarded, outgoing.side) } else { counters.lostInEgress(outgoing.side) }
        }
    }

    mutating func send(_ segment: OutgoingSegment, _ kind: EmissionKind, again: Bool = false, into egress: inout Egress) {
        guard egress.append(segment, payload: .empty) else {
            return counters.lostInEgress(segment.side)
        }
        if again { counters.retransmitted(kind, segment.side) } else { counters.emitted(kind, segment.side) }
    }
}
