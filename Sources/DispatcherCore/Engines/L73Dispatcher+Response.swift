extension L73Dispatcher {
    /// Payload or FIN while a response is awaited or passes.
    mutating func receiveResponse(
        _ segment: Segment, _ frame: RawSpan, _ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        guard let (front, index) = front(of: back) else { preconditionFailure("a response without a request") }
        let start = back.pointee.splice.start
        if segment.end.isAtOrBefore(start) {
            acknowledge(back, into: &egress)
            return .dropped(.oldEpoch)
        }
        if segment.sequence.isAfter(back.pointee.shownEdge) {
            acknowledge(back, into: &egress)
            return .dropped(.outOfWindow)
        }
        let skip = max(0, start.distance(from: segment.sequence))
        let epoch = back.pointee.epoch
        var outcome = FrameOutcome.consumed
        // A response that is staged frees its slot with the last byte: the FIN must be known by then.
        if segment.flags.contains(.fin) { back.pointee.serverFin = segment.payloadEnd }
        if segment.payloadLength > skip {
            let sum = skip == 0 && segment.checksumState == .full ? segment.payloadSum : nil
            let from = segment.payloadOffset + skip
            outcome = frame.extracting(from..<segment.payloadOffset + segment.payloadLength).withUnsafeBytes { bytes in
                takeBytes(
                    bytes, at: segment.sequence + skip, sum: sum, pushes: segment.flags.contains(.psh), back, place, front, index, at: now,
                    into: &egress)
            }
        }
        guard isInEpoch(back, epoch) else { return outcome }
        // A FIN behind a 101 concerns the tunnel: not acknowledged, it comes again and passes.
        if segment.flags.contains(.fin), back.pointee.use != .tunnel {
            serverFinished(segment.payloadEnd, back, place, front, index, at: now, into: &egress)
        }
        guard isInEpoch(back, epoch) else { return outcome }
        armBack(back, place)
        return outcome
    }

    /// Whether a connection still serves the request that it served: its slot may have been freed, and given to the next one.
    private func isInEpoch(_ back: BackRef, _ epoch: UInt32) -> Bool {
        back.pointee.epoch == epoch && back.pointee.state == .open && back.pointee.hasFront
    }

    /// Bytes of a response that begin at `sequence`, which is not before B0.
    private mutating func takeBytes(
        _ bytes: UnsafeRawBufferPointer, at sequence: SequenceNumber, sum: UInt16?, pushes: Bool, _ back: BackRef, _ place: Int,
        _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        let end = sequence + bytes.count
        if back.pointee.use == .body, back.pointee.splice.toClient(end).isAtOrBefore(front.pointee.sender.unacknowledged) {
            // The client has it: our acknowledgement was lost on the way to the server.
            acknowledge(back, into: &egress)
            return .consumed
        }
        if end.isAfter(back.pointee.receiveHighest) { back.pointee.receiveHighest = end }
        if back.pointee.use == .staged {
            let known = back.pointee.receiveNext.distance(from: sequence)
            if known >= 0, known < bytes.count, back.pointee.gap.isNone {
                takeStaged(
                    UnsafeRawBufferPointer(rebasing: bytes[known...]), back, place, front, index, at: now, into: &egress)
                return .consumed
            }
            return takeBeyondGap(bytes, at: sequence, pushes: pushes, back, place, front, index, at: now, into: &egress)
        }
        // With a known end everything passes as it comes; else it must be read in order first.
        if back.pointee.use == .body, back.pointee.splice.endKnown {
            return pass(bytes, at: sequence, sum: sum, pushes: pushes, back, place, front, index, at: now, into: &egress)
        }
        if sequence.isAfter(back.pointee.receiveNext) || !back.pointee.gap.isNone {
            return takeBeyondGap(bytes, at: sequence, pushes: pushes, back, place, front, index, at: now, into: &egress)
        }
        if back.pointee.use == .body {
            return pass(bytes, at: sequence, sum: sum, pushes: pushes, back, place, front, index, at: now, into: &egress)
        }
        let known = back.pointee.receiveNext.distance(from: sequence)
        guard known < bytes.count else {
            acknowledge(back, into: &egress)
            return .consumed
        }
        return takeHead(
            UnsafeRawBufferPointer(rebasing: bytes[known...]), sum: known == 0 ? sum : nil, pushes: pushes, back, place, front, index,
            at: now, into: &egress)
    }

    /// Keeps bytes beyond a gap until it is closed; at most 64 KiB.
    private mutating func takeBeyondGap(
        _ bytes: UnsafeRawBufferPointer, at sequence: SequenceNumber, pushes: Bool, _ back: BackRef, _ place: Int, _ front: FrontRef,
        _ index: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if back.pointee.gap.isNone {
            back.pointee.gapBase = back.pointee.receiveNext
            back.pointee.beyondGap = Reassembly()
            back.pointee.duplicatesOwed = 0
        }
        let known = max(0, back.pointee.gapBase.distance(from: sequence))
        guard known < bytes.count else {
            if back.pointee.use == .body {
                // Repeated because the client has not acknowledged it: it goes there again.
                return pass(bytes, at: sequence, sum: nil, pushes: pushes, back, place, front, index, at: now, into: &egress)
            }
            acknowledge(back, into: &egress)
            return .consumed
        }
        let fresh = UnsafeRawBufferPointer(rebasing: bytes[known...])
        let offset = (sequence + known).distance(from: back.pointee.gapBase)
        guard offset + fresh.count <= 128 << 10,
            buffers.grow(&back.pointee.gap, to: offset + fresh.count, keeping: back.pointee.beyondGap.end),
            back.pointee.beyondGap.insert(fresh, at: offset, into: back.pointee.gap)
        else { return .dropped(.gapNotKept) }
        let contiguous = Int(back.pointee.beyondGap.contiguous)
        guard contiguous > 0 else {
            if back.pointee.told == back.pointee.receiveNext {
                acknowledge(back, into: &egress)
            } else {
                back.pointee.duplicatesOwed = UInt8(min(3, Int(back.pointee.duplicatesOwed) + max(1, fresh.count / serverMSS(back))))
            }
            return .consumed
        }
        // The gap is closed: what was kept goes on as if it came now.
        var kept = back.pointee.gap
        let hasMore = back.pointee.beyondGap.hasGap
        let epoch = back.pointee.epoch
        back.pointee.gap = .none
        let outcome = takeBytes(
            kept.bytes(0, count: contiguous), at: back.pointee.gapBase, sum: nil, pushes: pushes, back, place, front, index, at: now,
            into: &egress)
        let goesOn =
            isInEpoch(back, epoch) && back.pointee.gap.isNone && back.pointee.use != .tunnel
            && !(back.pointee.use == .body && back.pointee.splice.endKnown)
            && back.pointee.receiveNext == back.pointee.gapBase + contiguous
        if hasMore, goesOn {
            kept.base!.copyMemory(from: kept.base! + contiguous, byteCount: back.pointee.beyondGap.end - contiguous)
            back.pointee.beyondGap.consume(contiguous)
            back.pointee.gapBase += contiguous
            back.pointee.gap = kept
        } else {
            buffers.give(&kept)
        }
        return outcome
    }

    // MARK: The head

    /// Bytes at B while the head is awaited. A head that is whole in its segment passes with it; one that comes in pieces is held, and
    /// acknowledged to the server by us.
    private mutating func takeHead(
        _ bytes: UnsafeRawBufferPointer, sum: UInt16?, pushes: Bool, _ back: BackRef, _ place: Int, _ front: FrontRef, _ index: Int,
        at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        let limits = self.limits[Int(front.pointee.service)]
        let held = Int(back.pointee.heldCount)
        var seen = bytes
        if held > 0 {
            // A byte more than the limit is enough to know that the head is too long.
            let taken = min(bytes.count, max(limits.responseHead + 4 - held, 0))
            guard buffers.grow(&back.pointee.held, to: held + taken, keeping: held) else {
                failResponse(nil, back, place, front, index, at: now, into: &egress)
                return .consumed
            }
            (back.pointee.held.base! + held).copyMemory(from: bytes.baseAddress!, byteCount: taken)
            seen = back.pointee.held.bytes(0, count: held + taken)
        }
        switch back.pointee.scanner.scan(seen, limit: limits.responseHead) {
        case .malformed, .tooLong:
            failResponse(back.pointee.scanner.responseFault, back, place, front, index, at: now, into: &egress)
            return .consumed
        case .incomplete:
            if held == 0 {
                guard buffers.grow(&back.pointee.held, to: bytes.count, keeping: 0) else {
                    failResponse(nil, back, place, front, index, at: now, into: &egress)
                    return .consumed
                }
                back.pointee.held.base!.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
            }
            back.pointee.heldCount = UInt32(held + bytes.count)
            back.pointee.receiveNext += bytes.count
            back.pointee.splice.floor = back.pointee.receiveNext
            acknowledge(back, into: &egress)
            return .consumed
        case .complete(let length):
            let judged = ResponseHead.parse(
                UnsafeRawBufferPointer(rebasing: seen[0..<length]), request: front.pointee.answered,
                limits: HeadLimits(head: UInt32(limits.responseHead), fields: UInt16(limits.fields), body: UInt64(Int64.max)))
            guard case .good(let head) = judged else {
                if case .bad(let fault) = judged { failResponse(fault, back, place, front, index, at: now, into: &egress) }
                return .consumed
            }
            let part = length - held
            if !head.isInterim, !head.switchesProtocols {
                let isStaged = stage(
                    head, UnsafeRawBufferPointer(rebasing: seen[0..<length]), rest: UnsafeRawBufferPointer(rebasing: bytes[part...]),
                    part: part, back, place, front, index, at: now, into: &egress)
                if isStaged { return .consumed }
                counters.delivered(.endToEnd)
            }
            let fits = front.pointee.sender.edge.distance(from: front.pointee.sender.streamEnd) >= length
            if head.isInterim || head.switchesProtocols || held > 0 || !fits {
                return takeHeldHead(
                    head, UnsafeRawBufferPointer(rebasing: seen[0..<length]),
                    rest: UnsafeRawBufferPointer(rebasing: bytes[part...]), part: part, pushes: pushes, back, place, front, index, at: now,
                    into: &egress)
            }
            let known = back.pointee.receiveNext
            beginBody(head, headInEpoch: length, back, place, front, at: now)
            let epoch = back.pointee.epoch
            let outcome = pass(
                bytes, at: known, head: length, sum: sum, pushes: pushes, back, place, front, index, at: now, into: &egress)
            // What this client's path took lately is shown at once.
            if isInEpoch(back, epoch), back.pointee.splice.firstWindow > tenSegments(back) { acknowledge(back, into: &egress) }
            return outcome
        }
    }

    /// A head that becomes ours to deliver: one that came in pieces or that the client has no room for, an interim response, a 101.
    /// - Parameter part: how many of its bytes came just now.
    private mutating func takeHeldHead(
        _ head: ResponseHead, _ whole: UnsafeRawBufferPointer, rest: UnsafeRawBufferPointer, part: Int, pushes: Bool, _ back: BackRef,
        _ place: Int, _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if head.isInterim {
            back.pointee.interims += 1
            guard back.pointee.interims <= 16 else {
                failResponse(.headTooLong, back, place, front, index, at: now, into: &egress)
                return .consumed
            }
        }
        // An interim response is not for a client of HTTP/1.0 (RFC 9110 15.2).
        let isForClient = !head.isInterim || front.pointee.answered.minorVersion == 1
        if isForClient, !appendOwn(front, whole), !head.isInterim {
            failResponse(nil, back, place, front, index, at: now, into: &egress)
            return .consumed
        }
        buffers.give(&back.pointee.held)
        back.pointee.heldCount = 0
        back.pointee.scanner = HeadScanner(leadingEmptyLines: 0)
        back.pointee.receiveNext += part
        back.pointee.splice.start = back.pointee.receiveNext
        back.pointee.splice.floor = back.pointee.receiveNext
        if head.isInterim {
            pump(front, at: now, into: &egress)
            armFront(front, index)
            acknowledge(back, into: &egress)
            guard !rest.isEmpty else { return .consumed }
            return takeHead(rest, sum: nil, pushes: pushes, back, place, front, index, at: now, into: &egress)
        }
        if head.switchesProtocols {
            beginTunnel(head, back, place, front, index, at: now, into: &egress)
            if !rest.isEmpty, back.pointee.use == .tunnel {
                forwardFirst(rest, pushes: pushes, back, front, at: now, into: &egress)
                return .forwarded
            }
            return .consumed
        }
        beginBody(head, headInEpoch: 0, back, place, front, at: now)
        // The head goes first: what is passed behind it moves the stream on.
        pump(front, at: now, into: &egress)
        let epoch = back.pointee.epoch
        if !rest.isEmpty {
            _ = pass(rest, at: back.pointee.receiveNext, sum: nil, pushes: pushes, back, place, front, index, at: now, into: &egress)
        } else if back.pointee.splice.endKnown, back.pointee.splice.remaining == 0 {
            responseArrived(front, back)
        }
        if isInEpoch(back, epoch), back.pointee.use == .body {
            pump(front, at: now, into: &egress)
            acknowledge(back, into: &egress)
        }
        armFront(front, index)
        return .forwarded
    }

    /// The head is good: the epoch's delta and what is known of its end.
    /// - Parameter headInEpoch: bytes of the head that pass end to end.
    mutating func beginBody(
        _ head: ResponseHead, headInEpoch: Int, _ back: BackRef, _ place: Int, _ front: FrontRef, at now: Instant
    ) {
        back.pointee.use = .body
        back.pointee.phaseDeadline = .distantFuture
        back.pointee.splice.start = back.pointee.receiveNext
        back.pointee.splice.delta = front.pointee.sender.streamEnd.value &- back.pointee.receiveNext.value
        back.pointee.splice.acknowledged = 0
        back.pointee.framer = ResponseFramer(head.framing)
        switch head.framing {
        case .none:
            back.pointee.splice.endKnown = true
            back.pointee.splice.remaining = UInt64(headInEpoch)
        case .length(let length):
            back.pointee.splice.endKnown = true
            back.pointee.splice.remaining = length + UInt64(headInEpoch)
        case .chunked, .untilClose:
            back.pointee.splice.endKnown = false
            back.pointee.splice.remaining = 0
        }
        if !head.keepAlive { back.pointee.closesAfter = true }
        // What the server says of the connection the client has read too: after that it will not send another request.
        let clientMayStay =
            !head.saysClose && head.framing != .untilClose && (head.minorVersion == 1 || head.saysKeepAlive)
            && (front.pointee.answered.minorVersion == 1 || head.saysKeepAlive)
        if !clientMayStay || isStopping { front.pointee.keepAlive = false }
        if front.pointee.stream.isOpen {
            // An early answer: what the client still sends is no request, and what the server still reads no answer's.
            front.pointee.keepAlive = false
            back.pointee.closesAfter = true
        }
        front.pointee.status = head.status
        front.pointee.phase = .responding
        front.pointee.responded = now
        noteResponse(back, status: head.status, at: now)
        front.pointee.beginProgress(at: now)
        front.pointee.phaseDeadline = now + shortestStall(front)
    }

    /// The response cannot be understood, or there is no memory to hold its head: 502, or a reset when part of it is with the client.
    private mutating func failResponse(
        _ fault: ResponseFault?, _ back: BackRef, _ place: Int, _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) {
        let use = back.pointee.use
        if let fault {
            counters.fault(fault)
            noteFailure(Int(back.pointee.server), inBody: use != .awaitingHead, at: now)
        }
        closeBack(back, place, reset: true, at: now, into: &egress)
        if use == .awaitingHead {
            answer(front, index, status: 502, cause: .proxy, phase: .headers, at: now, into: &egress)
            armFront(front, index)
        } else {
            truncate(front, index, at: now, into: &egress)
        }
    }

    // MARK: The body

    /// Passes bytes of the epoch on ([0062] steps 4 and 8).
    /// - Parameter head: how many of the bytes at B are the head: judged already.
    private mutating func pass(
        _ bytes: UnsafeRawBufferPointer, at sequence: SequenceNumber, head: Int = 0, sum: UInt16?, pushes: Bool, _ back: BackRef,
        _ place: Int, _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        let offered = bytes.count
        if let end = back.pointee.splice.end(from: back.pointee.receiveNext), (sequence + offered).isAfter(end) {
            back.pointee.resetsAfter = true
        }
        // Beyond the client's window nothing goes, and what does not go has not come: the server, which did not know that window yet, sends
        // it again. A single byte at a closed window is a probe, and passes.
        var room = front.pointee.sender.farthestEdge.distance(from: back.pointee.splice.toClient(sequence))
        if room == 0, bytes.count == 1 { room = 1 }
        guard room > 0 else {
            acknowledge(back, into: &egress)
            // A server whose bytes did not pass sends them again rather than a probe: the client is asked all the same whether its window
            // is still closed (RFC 9293 3.8.6.1), for it may have told so in a segment that was lost.
            if back.pointee.splice.toClient(sequence).isAtOrBefore(front.pointee.sender.unacknowledged) {
                sendToClient(
                    front, sequence: front.pointee.sender.unacknowledged - 1, flags: .ack, kind: .probe, into: &egress)
            }
            return .dropped(.outOfWindow)
        }
        let sum = bytes.count <= room ? sum : nil
        let bytes = bytes.count <= room ? bytes : UnsafeRawBufferPointer(rebasing: bytes[0..<room])
        var count = bytes.count
        let known = back.pointee.receiveNext.distance(from: sequence)
        var fault: ResponseFault?
        if back.pointee.splice.endKnown {
            if let end = back.pointee.splice.end(from: back.pointee.receiveNext), (sequence + count).isAfter(end) {
                count = max(0, end.distance(from: sequence))
            }
            let new = count - known
            if known >= 0, new > 0 {
                back.pointee.receiveNext += new
                carried[Int(back.pointee.server)] += new
                back.pointee.splice.remaining -= min(back.pointee.splice.remaining, UInt64(new))
            }
        } else if known + head < count {
            let fresh = UnsafeRawBufferPointer(rebasing: bytes[(known + head)...])
            let progress = back.pointee.framer.advance(fresh)
            let belongs = head + progress.belongs
            back.pointee.receiveNext += belongs
            carried[Int(back.pointee.server)] += belongs
            count = known + belongs
            switch progress.state {
            case .more: break
            case .ended:
                back.pointee.splice.endKnown = true
                if count < offered { back.pointee.resetsAfter = true }
            case .bad(let reason): fault = reason
            }
        } else if head > 0 {
            back.pointee.receiveNext += head
        }
        if back.pointee.receiveNext.isAfter(back.pointee.receiveHighest) { back.pointee.receiveHighest = back.pointee.receiveNext }
        if let fault {
            failResponse(fault, back, place, front, index, at: now, into: &egress)
            return .consumed
        }
        guard count > 0 else { return .dropped(.beyondResponse) }

        let hasArrived = back.pointee.splice.endKnown && back.pointee.splice.remaining == 0
        if hasArrived { responseArrived(front, back) }
        let first = back.pointee.splice.toClient(sequence)
        let last = first + count
        // Our FIN rides on the last segment when nothing of ours is still to be sent before it.
        let fin =
            hasArrived && last == back.pointee.splice.toClient(back.pointee.receiveNext) && front.pointee.sender.finQueued
            && !front.pointee.sender.finSent
            && front.pointee.sender.next.isAtOrAfter(front.pointee.sender.end) && last.isAtOrAfter(front.pointee.sender.highest)
        var flags: TCPFlags = .ack
        if pushes || hasArrived { flags.insert(.psh) }
        if fin { flags.insert(.fin) }
        let isNew = last.isAfter(front.pointee.sender.highest)
        let wasServersTurn = !front.pointee.isClientsTurn
        front.pointee.sender.noteForwarded(upTo: last, fin: fin, at: now)
        if isNew, wasServersTurn { front.pointee.beginProgress(at: now) }
        sendToClient(
            front, sequence: first, flags: flags, payload: UnsafeRawBufferPointer(rebasing: bytes[0..<count]),
            payloadSum: count == bytes.count ? sum : nil, kind: .forwarded, into: &egress)
        if front.pointee.sender.finQueued, !front.pointee.sender.finSent { pump(front, at: now, into: &egress) }
        keepTail(UnsafeRawBufferPointer(rebasing: bytes[0..<count]), at: sequence, back)
        if hasArrived, takeCustody(front, index, back, place, at: now, into: &egress) { return .forwarded }
        armFront(front, index)
        return .forwarded
    }

    /// Everything up to Bend has come: a client that will not stay gets our FIN behind it.
    func responseArrived(_ front: FrontRef, _ back: BackRef) {
        servers[Int(back.pointee.server)].condition.completed()
        if !front.pointee.keepAlive { front.pointee.sender.finQueued = true }
    }

    // MARK: The server's FIN

    private mutating func serverFinished(
        _ number: SequenceNumber, _ back: BackRef, _ place: Int, _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) {
        if back.pointee.use == .body, back.pointee.splice.endKnown {
            guard let end = back.pointee.splice.end(from: back.pointee.receiveNext), number.isAtOrAfter(end) else {
                noteFailure(Int(back.pointee.server), inBody: true, at: now)
                closeBack(back, place, reset: true, at: now, into: &egress)
                truncate(front, index, at: now, into: &egress)
                return
            }
            back.pointee.serverFin = number
            return
        }
        // Without a known end it counts only in order.
        guard number == back.pointee.receiveNext, back.pointee.gap.isNone else { return }
        back.pointee.finReceived = true
        if back.pointee.use == .body, back.pointee.framer.endsByClose {
            back.pointee.serverFin = number
            back.pointee.splice.endKnown = true
            back.pointee.splice.remaining = 0
            responseArrived(front, back)
            pump(front, at: now, into: &egress)
            if front.pointee.sender.unacknowledged.isAtOrAfter(back.pointee.splice.toClient(number)) {
                finishResponse(front, index, back, place, at: now, into: &egress)
            } else {
                _ = takeCustody(front, index, back, place, at: now, into: &egress)
            }
            armFront(front, index)
            return
        }
        // It closes without having answered in full: we answer its FIN with a reset, which frees both ends.
        resetServer(back, into: &egress)
        serverLeft(back, place, requestReceived: false, at: now, into: &egress)
    }
}
