extension L73Dispatcher {
    /// What a client acknowledges, and its window: for our own bytes it ends here, in an epoch it is translated and passed on
    /// ([0062] steps 5 and 6, [0063]).
    /// - Returns: whether something went on to the server.
    mutating func takeAcknowledgement(
        _ segment: Segment, _ frame: RawSpan, _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> Bool {
        let windowMoved = front.pointee.sender.noteWindow(segment, bytes: front.pointee.options.bytes(segment.window))
        let isBare = segment.length == 0 && !windowMoved
        let isDuplicate =
            isBare && segment.acknowledgement == front.pointee.sender.unacknowledged
            && (front.pointee.sender.highest.isAfter(segment.acknowledgement) || front.pointee.sender.window == 0)
        let flight = front.pointee.sender.flight
        let blocks = segment.options.sackCount > 0 ? SACKBlocks(segment, in: frame) : SACKBlocks()
        let moved = front.pointee.sender.acknowledge(segment.acknowledgement, isBare: isBare, sack: blocks, at: now)
        // Bytes that came twice are no loss (RFC 2883 section 4).
        let cameTwice = blocks.count > 0 && blocks[0].end.isAtOrBefore(segment.acknowledgement)
        let lost = cameTwice ? blocks.count > 1 : isDuplicate || blocks.count > 0
        front.pointee.sender.noteFlight(flight, lost: lost, moved: moved > 0, at: now)
        if moved > 0 {
            front.pointee.noteProgress(at: now)
            if front.pointee.sender.unacknowledged.isAtOrAfter(front.pointee.sender.end), !isStaging(front) { giveOwn(front) }
        }
        pump(front, at: now, into: &egress)

        if front.pointee.phase == .closing {
            if front.pointee.sender.finAcknowledged, moved > 0 {
                front.pointee.phaseDeadline = now + front.pointee.lingers
                closeIfDone(front, index, at: now)
            }
            return false
        }
        guard front.pointee.phase == .responding else { return false }
        guard front.pointee.hasSlot else {
            // The rest of the response is ours.
            front.pointee.bytesToClient &+= UInt64(moved)
            if front.pointee.sender.unacknowledged.isAtOrAfter(front.pointee.sender.end) {
                finishDelivery(front, index, at: now, into: &egress)
            }
            return false
        }
        let place = Int(front.pointee.back)
        let back = backs.pointer(place)
        if back.pointee.use == .staged { front.pointee.bytesToClient &+= UInt64(moved) }
        guard back.pointee.use == .body else { return false }
        front.pointee.bytesToClient &+= UInt64(moved)
        back.pointee.splice.acknowledged &+= UInt64(moved)

        let reached = back.pointee.splice.toServer(front.pointee.sender.unacknowledged)
        back.pointee.splice.follow(serverNumber: reached)
        // With a known length segments pass beyond gaps; where the client has them all, so have we.
        if back.pointee.splice.endKnown, reached.isAfter(back.pointee.receiveNext), reached.isAtOrBefore(back.pointee.receiveHighest) {
            back.pointee.splice.remaining -= min(
                back.pointee.splice.remaining, UInt64(reached.distance(from: back.pointee.receiveNext)))
            back.pointee.receiveNext = reached
        }
        if let end = back.pointee.splice.end(from: back.pointee.receiveNext), reached.isAtOrAfter(end) {
            finishResponse(front, index, back, place, at: now, into: &egress)
            return true
        }
        if takeCustody(front, index, back, place, at: now, into: &egress) { return true }
        // A segment of the client with data and nothing new to acknowledge would look like a duplicate acknowledgement: it stays here.
        let concernsServer = reached.isAtOrAfter(back.pointee.splice.floor)
        if moved > 0 || windowMoved || (isDuplicate && concernsServer) {
            // One a turn is enough, but what speaks of a loss passes as it is, and behind what came before it.
            if moved > 0, blocks.count == 0, back.pointee.gap.isNone {
                oweAcknowledgement(back, place, at: now, into: &egress)
                return false
            }
            if back.pointee.owesBy != .distantFuture { acknowledge(back, kind: .forwarded, into: &egress) }
            acknowledge(back, kind: .forwarded, sack: epochBlocks(segment, frame, back), into: &egress)
            // Now that the client has everything before the gap, the server hears what waits beyond it (RFC 5681 4.2): its kernel would
            // wait for its timer otherwise.
            if back.pointee.duplicatesOwed > 0, !back.pointee.gap.isNone, back.pointee.told == back.pointee.receiveNext {
                for _ in 0..<back.pointee.duplicatesOwed { acknowledge(back, into: &egress) }
                back.pointee.duplicatesOwed = 0
            }
            armBack(back, place)
            return true
        }
        return false
    }

    /// The client's SACK blocks in the server's numbers; what lies outside of the epoch is left out (I2), and all of an old acknowledgement.
    func epochBlocks(_ segment: Segment, _ frame: RawSpan, _ back: BackRef) -> SACKBlocks {
        guard segment.options.sackCount > 0, back.pointee.options.sackPermitted, let (front, _) = front(of: back),
            segment.acknowledgement == front.pointee.sender.unacknowledged
        else { return SACKBlocks() }
        return SACKBlocks(segment, in: frame).translated(
            by: 0 &- back.pointee.splice.delta,
            within: SACKBlocks.Block(start: back.pointee.splice.start, end: back.pointee.receiveHighest))
    }
}
