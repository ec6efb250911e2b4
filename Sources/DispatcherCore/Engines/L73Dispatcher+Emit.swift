extension L73Dispatcher {
    mutating func send(
        _ segment: OutgoingSegment, _ payload: UnsafeRawBufferPointer, _ kind: EmissionKind, again: Bool = false, stays: Bool = false,
        into egress: inout Egress
    ) {
        if payload.count > Egress.alwaysFits, payload.count > segment.mostPayload {
            return sendInPieces(segment, payload, kind, again: again, stays: stays, into: &egress)
        }
        // A full egress is a full link: the segment is lost, and whoever cares sends it again.
        guard egress.append(segment, payload: payload, stays: stays) else { return counters.lostInEgress(segment.side) }
        if again { counters.retransmitted(kind, segment.side) } else { counters.emitted(kind, segment.side) }
    }

    /// More than one packet takes: what came in one of IPv4 is too long for one of IPv6 with as many options, and what waited beyond a gap
    /// for any. It is cut where whoever transmits would cut it.
    private mutating func sendInPieces(
        _ segment: OutgoingSegment, _ payload: UnsafeRawBufferPointer, _ kind: EmissionKind, again: Bool, stays: Bool,
        into egress: inout Egress
    ) {
        let size = max(segment.segmentSize - segment.optionLength, 1)
        let whole = segment.mostPayload / size * size
        let most = whole > 0 ? whole : segment.mostPayload
        var piece = segment
        piece.payloadSum = nil
        for start in stride(from: 0, to: payload.count, by: most) {
            let end = min(start + most, payload.count)
            piece.sequence = segment.sequence + start
            piece.flags = end == payload.count ? segment.flags : segment.flags.subtracting([.psh, .fin])
            send(piece, UnsafeRawBufferPointer(rebasing: payload[start..<end]), kind, again: again, stays: stays, into: &egress)
        }
    }

    // MARK: Toward clients

    /// The MSS that the client was told; bytes.
    func clientMSS(_ front: FrontRef) -> Int { listeners[Int(front.pointee.listener)].segmentSize }

    /// The window to show a client: the room for its request, never taking it back ([0057] a). What the field cannot say exactly is
    /// shown up to a step too large rather than taken back (RFC 7323 section 2.4).
    private func clientWindow(_ front: FrontRef) -> UInt16 {
        let room: Int
        switch front.pointee.phase {
        case .closing, .tunnel: room = 65_535
        default:
            room = requestRoom(front)
        }
        let edge = front.pointee.receiveNext + min(max(room, 0), front.pointee.options.largestWindow)
        if edge.distance(from: front.pointee.shownEdge) >= leastStep(front) { front.pointee.shownEdge = edge }
        // Rounded up each time, the steps add up; what they come to is taken, and bounded.
        let most = front.pointee.shownEdge + FrontConnection.mostBeyond
        let told = SequenceNumber.later(front.pointee.shownEdge, SequenceNumber.earlier(front.pointee.toldEdge, most))
        let field = front.pointee.options.field(atLeast: told.distance(from: front.pointee.receiveNext))
        front.pointee.toldEdge = front.pointee.receiveNext + Int(field) << Int(front.pointee.options.shift)
        return field
    }

    /// What to acknowledge to a client, and the window to show it. In a tunnel both are the server's: nothing is ours to acknowledge.
    private func clientAcknowledgement(_ front: FrontRef) -> (number: SequenceNumber, window: UInt16) {
        let options = front.pointee.options
        guard front.pointee.phase == .tunnel, front.pointee.hasSlot else {
            return (front.pointee.receiveNext, clientWindow(front))
        }
        let back = backs.pointer(Int(front.pointee.back))
        let splice = back.pointee.splice
        let translated = SequenceNumber(back.pointee.sender.unacknowledged.value &- splice.clientDelta)
        return (SequenceNumber.later(translated, splice.clientStart), options.field(atMost: back.pointee.sender.window))
    }

    /// A segment to a client; it carries our acknowledgement, so none is owed afterwards.
    /// - Parameter stays: whether the payload lies in a buffer that was lent to the egress.
    mutating func sendToClient(
        _ front: FrontRef, sequence: SequenceNumber, flags: TCPFlags, payload: UnsafeRawBufferPointer = .empty,
        payloadSum: UInt16? = nil,
        kind: EmissionKind, again: Bool = false, stays: Bool = false, into egress: inout Egress
    ) {
        let acknowledgement = clientAcknowledgement(front)
        var segment = OutgoingSegment(
            side: .client, source: listeners[Int(front.pointee.listener)].endpoint, destination: front.pointee.client, sequence: sequence,
            acknowledgement: acknowledgement.number, flags: flags, window: acknowledgement.window,
            segmentSize: Int(front.pointee.sender.segmentSize))
        segment.nextHop = .neighbour(front.pointee.neighbour)
        segment.payloadSum = payloadSum
        if front.pointee.options.sackPermitted, front.pointee.received.hasGap, !flags.contains(.rst) {
            segment.sack = front.pointee.received.blocks(from: front.pointee.inputStart)
        }
        front.pointee.told = acknowledgement.number
        front.pointee.acknowledgeBy = .distantFuture
        front.pointee.unacknowledgedSegments = 0
        send(segment, payload, kind, again: again, stays: stays, into: &egress)
    }

    mutating func acknowledge(_ front: FrontRef, kind: EmissionKind = .acknowledgement, into egress: inout Egress) {
        sendToClient(front, sequence: front.pointee.sender.highest, flags: .ack, kind: kind, into: &egress)
    }

    /// Sends what is ours to send to a client and may be sent now.
    mutating func pump(_ front: FrontRef, at now: Instant, into egress: inout Egress) {
        while let piece = front.pointee.sender.nextPiece(at: now) { sendPiece(piece, front, into: &egress) }
    }

    mutating func sendPiece(_ piece: Sender.Piece, _ front: FrontRef, into egress: inout Egress) {
        var flags: TCPFlags = .ack
        if piece.length > 0, piece.sequence + piece.length == front.pointee.sender.end { flags.insert(.psh) }
        if piece.fin { flags.insert(.fin) }
        let kind: EmissionKind = piece.isTailProbe ? .tailProbe : piece.isProbe ? .probe : piece.length > 0 ? .answer : .fin
        var payload = UnsafeRawBufferPointer.empty
        if piece.length > 0 {
            if egress.wouldGather(piece.length) { buffers.lend(&front.pointee.own, to: egress) }
            payload = front.pointee.own.bytes(piece.offset, count: piece.length)
        }
        sendToClient(
            front, sequence: piece.sequence, flags: flags, payload: payload, kind: kind, again: piece.isRetransmission, stays: true,
            into: &egress)
    }

    // MARK: Toward servers

    func serverEndpoint(_ back: BackRef) -> Endpoint { servers[Int(back.pointee.server)].endpoint }
    /// The MSS that the server was told; bytes.
    func serverMSS(_ back: BackRef) -> Int { servers[Int(back.pointee.server)].toldMSS }

    /// What to acknowledge to a server now, and the window to show it ([0062], [0063]; tcp.md "Window shown to the server").
    private func serverAcknowledgement(_ back: BackRef) -> (number: SequenceNumber, window: Int) {
        let connection = back.pointee
        if connection.use == .tunnel, let (front, _) = front(of: back) {
            // In a tunnel the client acknowledges.
            let translated = connection.splice.toServer(front.pointee.sender.unacknowledged)
            let number = SequenceNumber.later(translated, connection.splice.start)
            // The edge is the client's, also while its acknowledgement still lies within the 101's head.
            return (number, max(0, connection.splice.toServer(front.pointee.sender.edge).distance(from: number)))
        }
        if connection.use == .staged {
            // The free room of the buffer, and as much beyond it that a scaled field never rounds the last bytes away; an edge that was
            // shown is not taken back.
            let room = max(
                Int(clamping: connection.splice.remaining) + 2 * serverMSS(back),
                connection.shownEdge.distance(from: connection.receiveNext))
            return (connection.receiveNext, max(room, 0))
        }
        guard connection.use == .body || connection.use == .awaitingHead, let (front, _) = front(of: back) else {
            return (connection.receiveNext, tenSegments(back))
        }
        if connection.use == .awaitingHead {
            return (connection.splice.floor, initialWindow(front, back))
        }
        // The client's own acknowledgement, translated; not before the head that we hold, not beyond what came or the response's end.
        var number = connection.splice.toServer(front.pointee.sender.unacknowledged)
        number = SequenceNumber.later(number, connection.splice.floor)
        number = SequenceNumber.earlier(number, connection.receiveHighest)
        if let end = connection.splice.end(from: connection.receiveNext) { number = SequenceNumber.earlier(number, end) }
        var edge = connection.splice.toServer(front.pointee.sender.edge)
        if configuration.tcp.initialWindow == .clamped {
            let clamp = number + connection.splice.firstWindow + Int(min(connection.splice.acknowledged, 1 << 24))
            edge = SequenceNumber.earlier(edge, clamp)
        }
        return (number, edge.distance(from: number))
    }

    /// Ten segments (RFC 6928), up to what a scaled field can say: the last of them shall not be cut short.
    func tenSegments(_ back: BackRef) -> Int {
        let step = 1 << Int(back.pointee.options.shift)
        return (10 * serverMSS(back) + step - 1) / step * step
    }

    /// The window while the head is awaited: what the client has room for, at most ten segments or what its path took lately, but always
    /// room for a piece of a head, which is ours to hold.
    private func initialWindow(_ front: FrontRef, _ back: BackRef) -> Int {
        let room = front.pointee.sender.edge.distance(from: front.pointee.sender.streamEnd)
        let most = configuration.tcp.initialWindow == .clamped ? back.pointee.splice.firstWindow : .max
        return min(max(room, 2 * serverMSS(back)), most)
    }

    /// A segment to a server; it carries our acknowledgement.
    /// - Parameter sack: the client's blocks, in the server's numbers.
    mutating func sendToServer(
        _ back: BackRef, sequence: SequenceNumber, flags: TCPFlags, payload: UnsafeRawBufferPointer = .empty, kind: EmissionKind,
        again: Bool = false, sack: SACKBlocks = SACKBlocks(), into egress: inout Egress
    ) {
        let (number, room) = serverAcknowledgement(back)
        // Rounded down: a client whose scale is smaller than ours sees its edge shown up to a step too near, never too far (RFC 7323 2.4).
        // A client that takes back what it offered is obeyed (RFC 9293 3.8.6, SHLD-14 binds the client); our clamp only grows.
        let window = back.pointee.options.field(atMost: room)
        let edge = number + Int(window) << Int(back.pointee.options.shift)
        back.pointee.shownEdge = SequenceNumber.later(back.pointee.shownEdge, edge)
        back.pointee.told = number
        var acknowledgement = number
        if back.pointee.finReceived, number == back.pointee.receiveNext { acknowledgement += 1 }
        var segment = OutgoingSegment(
            side: .server, source: back.pointee.local, destination: serverEndpoint(back), sequence: sequence,
            acknowledgement: acknowledgement, flags: flags, window: window,
            segmentSize: Int(back.pointee.sender.segmentSize))
        if back.pointee.options.sackPermitted, !flags.contains(.rst) {
            if back.pointee.gap.isNone {
                segment.sack = sack.beyond(number)
            } else if number == back.pointee.receiveNext {
                // Not before: what the client has not acknowledged yet would look lost beside it.
                segment.sack = back.pointee.beyondGap.blocks(from: back.pointee.gapBase)
            }
        }
        back.pointee.acknowledgeBy = .distantFuture
        back.pointee.owesBy = .distantFuture
        send(segment, payload, kind, again: again, into: &egress)
    }

    mutating func acknowledge(
        _ back: BackRef, kind: EmissionKind = .acknowledgement, sack: SACKBlocks = SACKBlocks(), into egress: inout Egress
    ) {
        sendToServer(back, sequence: back.pointee.sender.highest, flags: .ack, kind: kind, sack: sack, into: &egress)
    }

    /// Acknowledges at the end of the turn, or a little later: one acknowledgement for all that came until then, and none if a request
    /// goes out before.
    mutating func oweAcknowledgement(
        _ back: BackRef, _ place: Int, after wait: Interval = .zero, at now: Instant, into egress: inout Egress
    ) {
        let due = now + wait
        guard due < back.pointee.owesBy else { return }
        let isKept = wait == .zero ? owing.append(place, due: due) : owingLater.append(place, due: due)
        guard isKept else { return acknowledge(back, into: &egress) }
        back.pointee.owesBy = due
    }

    /// What is owed by now leaves.
    mutating func payAcknowledgements(at now: Instant, into egress: inout Egress) {
        while !egress.wantsFlush, let place = owing.removeFirst(by: now) { pay(place, at: now, into: &egress) }
        while !egress.wantsFlush, let place = owingLater.removeFirst(by: now) { pay(place, at: now, into: &egress) }
    }

    private mutating func pay(_ place: Int, at now: Instant, into egress: inout Egress) {
        let back = backs.pointer(place)
        // It left with something else, or is owed for something later.
        guard back.pointee.owesBy <= now else { return }
        acknowledge(back, kind: back.pointee.use == .body ? .forwarded : .acknowledgement, into: &egress)
        armBack(back, place)
    }

    /// Sends what of the request may be sent now.
    mutating func pump(_ back: BackRef, at now: Instant, into egress: inout Egress) {
        while let piece = back.pointee.sender.nextPiece(at: now) { sendPiece(piece, back, into: &egress) }
    }

    mutating func sendPiece(_ piece: Sender.Piece, _ back: BackRef, into egress: inout Egress) {
        var flags: TCPFlags = .ack
        if piece.length > 0, piece.sequence + piece.length == back.pointee.sender.end { flags.insert(.psh) }
        if piece.fin { flags.insert(.fin) }
        var payload = UnsafeRawBufferPointer.empty
        if piece.length > 0 {
            if back.pointee.use == .check, let request = checkRequests[Int(back.pointee.server)] {
                payload = UnsafeRawBufferPointer(rebasing: request[piece.offset..<piece.offset + piece.length])
            } else if let (front, _) = front(of: back) {
                payload = front.pointee.output.bytes(Int(front.pointee.stream.start) + piece.offset, count: piece.length)
            } else {
                return
            }
        }
        let kind: EmissionKind = piece.isTailProbe ? .tailProbe : piece.isProbe ? .probe : piece.length > 0 ? .request : .fin
        sendToServer(
            back, sequence: piece.sequence, flags: flags, payload: payload, kind: kind, again: piece.isRetransmission, into: &egress)
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
        send(answer, .empty, .reset, into: &egress)
    }

    mutating func resetClient(_ front: FrontRef, into egress: inout Egress) {
        sendToClient(front, sequence: front.pointee.sender.highest, flags: [.rst, .ack], kind: .reset, into: &egress)
    }

    mutating func resetServer(_ back: BackRef, into egress: inout Egress) {
        sendToServer(back, sequence: back.pointee.sender.highest, flags: [.rst, .ack], kind: .reset, into: &egress)
    }
}
