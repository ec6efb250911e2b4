extension L73Dispatcher {
    /// A segment on an established front-end connection (RFC 9293 3.10.7.4, RFC 5961).
    mutating func receive(
        _ segment: Segment, _ frame: RawSpan, front: FrontRef, index: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if front.pointee.phase == .tunnel {
            return receiveInTunnel(segment, frame, fromClient: front, index: index, at: now, into: &egress)
        }
        if segment.flags.contains(.rst) { return receiveReset(segment, front, index, at: now, into: &egress) }
        if segment.flags.contains(.syn) {
            challenge(front, at: now, into: &egress)
            return .dropped(.synInConnection)
        }
        guard segment.flags.contains(.ack) else { return .dropped(.noAcknowledgement) }

        // Acceptability: at most the shown window ahead; what ends before RCV.NXT is an old segment or a keep-alive, answered here.
        let receiveNext = front.pointee.receiveNext
        if segment.sequence.isAfter(front.pointee.takenEdge) {
            answerMisfit(segment, front, at: now, into: &egress)
            return .dropped(.outOfWindow)
        }
        if segment.end.isBefore(receiveNext) || (segment.length > 0 && segment.end == receiveNext) {
            answerMisfit(segment, front, at: now, into: &egress)
            if segment.acknowledgement.isAfter(front.pointee.sender.highest) { return .dropped(.acknowledgesUnsent) }
            _ = takeAcknowledgement(segment, frame, front, index, at: now, into: &egress)
            return .consumed
        }
        if segment.acknowledgement.isAfter(front.pointee.sender.highest) {
            challenge(front, at: now, into: &egress)
            return .dropped(.acknowledgesUnsent)
        }
        if segment.acknowledgement.isBefore(front.pointee.sender.unacknowledged - front.pointee.sender.largestWindow) {
            challenge(front, at: now, into: &egress)
            return .dropped(.oldAcknowledgement)
        }

        let generation = front.pointee.generation
        let forwarded = takeAcknowledgement(segment, frame, front, index, at: now, into: &egress)
        // The acknowledgement may have ended the connection.
        guard isAlive(front, generation) else { return forwarded ? .forwarded : .consumed }
        var outcome: FrameOutcome = forwarded ? .forwarded : .consumed
        if segment.length > 0 {
            if let reason = takeData(segment, frame, front, index, at: now, into: &egress), !forwarded { outcome = .dropped(reason) }
        }
        return outcome
    }

    /// Whether a connection is still the one it was: its place may have been given back.
    func isAlive(_ front: FrontRef, _ generation: UInt32) -> Bool { front.pointee.isOpen && front.pointee.generation == generation }

    /// RFC 5961 3.2: only the exact number resets.
    private mutating func receiveReset(
        _ segment: Segment, _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if segment.sequence == front.pointee.receiveNext {
            clientLeft(front, index, at: now, into: &egress)
            return .consumed
        }
        guard segment.sequence.isAfter(front.pointee.receiveNext), segment.sequence.isBefore(front.pointee.takenEdge) else {
            return .dropped(.resetOutOfWindow)
        }
        challenge(front, at: now, into: &egress)
        return .dropped(.resetInexact)
    }

    /// An acknowledgement in answer to what does not fit, as far as the connection's budget goes.
    mutating func challenge(_ front: FrontRef, at now: Instant, into egress: inout Egress) {
        if front.pointee.challenges.allows(at: now) { acknowledge(front, kind: .challenge, into: &egress) }
    }

    /// An old or early segment: what carries data is always acknowledged again, else its sender would be stuck.
    private mutating func answerMisfit(_ segment: Segment, _ front: FrontRef, at now: Instant, into egress: inout Egress) {
        if segment.length > 0 { acknowledge(front, into: &egress) } else { challenge(front, at: now, into: &egress) }
    }

    /// Payload and FIN.
    /// - Returns: why nothing of it was taken; nil when it was.
    private mutating func takeData(
        _ segment: Segment, _ frame: RawSpan, _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> DropReason? {
        if front.pointee.finReceived {
            acknowledge(front, into: &egress)
            return .afterFin
        }
        if front.pointee.phase == .closing { return discard(segment, front, index, at: now, into: &egress) }
        if front.pointee.answered.upgraded, front.pointee.hasSlot || front.pointee.phase == .queued {
            // Nothing beyond an upgrade request is acknowledged: it comes again after the 101.
            return .whileUpgrading
        }
        let before = front.pointee.receiveNext
        if segment.payloadLength > 0 {
            let kept = frame.extracting(segment.payloadOffset..<segment.payloadOffset + segment.payloadLength).withUnsafeBytes {
                keep($0, at: segment.sequence, front)
            }
            guard kept else {
                acknowledge(front, into: &egress)
                return .receiveMemory
            }
        }
        let isInOrder = front.pointee.receiveNext != before
        let finishes = segment.flags.contains(.fin) && segment.payloadEnd == front.pointee.receiveNext
        if finishes {
            front.pointee.receiveNext += 1
            front.pointee.finReceived = true
            front.pointee.closedByClient = !front.pointee.sender.finSent
        }
        if isInOrder {
            front.pointee.bytesFromClient += UInt64(front.pointee.receiveNext.distance(from: before) - (finishes ? 1 : 0))
        } else if !finishes {
            // Behind a gap: said at once (RFC 5681 4.2), of a FIN too.
            acknowledge(front, into: &egress)
        }
        let phase = front.pointee.phase
        let generation = front.pointee.generation
        if isInOrder {
            if phase == .idle || phase == .reading {
                readRequests(front, index, at: now, into: &egress)
            } else if front.pointee.stream.state == .coming {
                takeBody(front, index, at: now, into: &egress)
            }
        }
        // Only now it is known what of it may be acknowledged: not what lies behind an upgrade.
        if isInOrder, isAlive(front, generation), front.pointee.told != front.pointee.receiveNext {
            oweAcknowledgement(front, segment, at: now, into: &egress)
        }
        if finishes, isAlive(front, generation) { clientFinished(front, index, wasQueued: phase == .queued, at: now, into: &egress) }
        return nil
    }

    /// Puts payload into the request buffer, where its sequence number says.
    private mutating func keep(_ payload: UnsafeRawBufferPointer, at sequence: SequenceNumber, _ front: FrontRef) -> Bool {
        var bytes = payload
        var offset = sequence.distance(from: front.pointee.inputStart)
        if offset < 0 {
            // Its beginning was used up long ago.
            guard -offset < bytes.count else { return true }
            bytes = UnsafeRawBufferPointer(rebasing: bytes[(-offset)...])
            offset = 0
        }
        let room = front.pointee.takenEdge.distance(from: front.pointee.inputStart)
        let end = min(offset + bytes.count, room)
        guard end > offset else { return true }
        bytes = UnsafeRawBufferPointer(rebasing: bytes[0..<end - offset])
        if !hasWork(front) { takeWork(front) }
        guard buffers.grow(&front.pointee.input, to: end, keeping: front.pointee.received.end) else { return false }
        let before = front.pointee.received.contiguous
        guard front.pointee.received.insert(bytes, at: offset, into: front.pointee.input) else { return false }
        front.pointee.receiveNext += Int(front.pointee.received.contiguous - before)
        return true
    }

    /// While a request comes in: every second full segment is acknowledged at once, what fills half of the window too, else after 40 ms.
    private mutating func oweAcknowledgement(_ front: FrontRef, _ segment: Segment, at now: Instant, into egress: inout Egress) {
        front.pointee.unacknowledgedSegments &+= segment.payloadLength >= Int(front.pointee.sender.segmentSize) ? 1 : 0
        let isDue =
            front.pointee.unacknowledgedSegments >= 2 || front.pointee.received.hasGap
            || segment.payloadLength >= 2 * clientMSS(front)
            || front.pointee.shownEdge.distance(from: front.pointee.receiveNext) < 32_768
        if isDue {
            acknowledge(front, into: &egress)
        } else if front.pointee.acknowledgeBy == .distantFuture {
            front.pointee.acknowledgeBy = now + .milliseconds(40)
        }
    }

    /// After our last answer: what comes is taken and thrown away, up to 64 KiB.
    private mutating func discard(
        _ segment: Segment, _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> DropReason? {
        guard segment.sequence.isAtOrBefore(front.pointee.receiveNext) else {
            acknowledge(front, into: &egress)
            return .outOfWindow
        }
        let new = max(0, segment.payloadEnd.distance(from: front.pointee.receiveNext))
        front.pointee.receiveNext += new
        front.pointee.discarded += UInt32(new)
        if segment.flags.contains(.fin) {
            front.pointee.receiveNext += 1
            front.pointee.finReceived = true
            front.pointee.closedByClient = !front.pointee.sender.finSent
        }
        if front.pointee.discarded > 64 << 10 {
            resetClient(front, into: &egress)
            removeFront(front, index, at: now)
            return nil
        }
        acknowledge(front, into: &egress)
        if front.pointee.finReceived { closeIfDone(front, index, at: now) }
        return new > 0 ? .afterLastRequest : nil
    }
}
