extension Sender {
    /// A piece to be sent.
    struct Piece {
        var sequence: SequenceNumber
        /// Where it lies in the own bytes.
        var offset: Int
        var length: Int
        var fin: Bool
        var isRetransmission: Bool
        /// A byte into a closed window (RFC 9293 3.8.6.1).
        var isProbe = false
        /// A tail loss probe (RFC 8985 section 7).
        var isTailProbe = false
    }

    /// The next piece that window and congestion window allow; nil when there is none. Up to `most` bytes in one piece: who
    /// transmits splits it. Call it until it says nil after own bytes were added and after each acknowledgement.
    mutating func nextPiece(at now: Instant, most: Int = Egress.alwaysFits) -> Piece? {
        if onlyForwards { return nil }
        if next.isBefore(base) {
            // What lies before the own bytes is acknowledged or somebody else's to repeat.
            next = base
        }
        if isRecovering, let piece = nextRepair(at: now) { return piece }
        restartAfterIdle(at: now)
        let known = next.isBefore(highest) ? scoreboard.hole(from: next) : (start: next, end: nil)
        next = known.start
        let left = end.distance(from: next)
        if left > 0 {
            let allowed = min(edge.distance(from: next), Int(min(congestionWindow, 1 << 30)) - pipe)
            let size = Int(segmentSize)
            let run = known.end.map { min(left, $0.distance(from: next)) } ?? left
            var length = min(run, allowed, most)
            if length < run, length >= size { length -= length % size }
            // Silly window avoidance (RFC 9293 3.8.6.2.1): whole segments, or all that is left, or nothing is on its way.
            guard length > 0, length == run || length >= size || next == unacknowledged else {
                if isRecovering, let piece = fillWhatMayBeLost(at: now) { return piece }
                if deadline == .distantFuture { armTimer(at: now) }
                return nil
            }
            return take(length, fin: finQueued && length == left && streamEnd == end, at: now)
        }
        if isRecovering, let piece = fillWhatMayBeLost(at: now) { return piece }
        guard finQueued else { return nil }
        if !finSent {
            next = streamEnd
        } else if next != finSequence {
            return nil
        }
        return take(0, fin: true, at: now)
    }

    private mutating func take(_ length: Int, fin: Bool, at now: Instant) -> Piece {
        let piece = Piece(
            sequence: next, offset: next.distance(from: base), length: length, fin: fin, isRetransmission: next.isBefore(highest))
        next += length + (fin ? 1 : 0)
        if fin { finSent = true }
        if next.isAfter(highest) {
            highest = next
            if !isTiming, !piece.isRetransmission {
                isTiming = true
                timedEnd = next
                timedAt = now
            }
        }
        lastSent = now
        noteSent(isNew: !piece.isRetransmission, at: now)
        return piece
    }

    /// Own bytes that are believed to be on the path (RFC 6675 section 4, SetPipe; without SACK each duplicate stands for a segment that
    /// has left it).
    var pipe: Int {
        let sent = next.distance(from: unacknowledged)
        guard !scoreboard.isEmpty else { return sent - Int(duplicates) * Int(segmentSize) }
        var bytes = scoreboard.unreported(from: unacknowledged, to: next)
        if let lost = scoreboard.lostEdge(segmentSize: Int(segmentSize)) {
            let from = isRecovering ? SequenceNumber.later(unacknowledged, repaired) : unacknowledged
            bytes -= scoreboard.unreported(from: from, to: SequenceNumber.earlier(lost, next))
        }
        return bytes
    }

    /// What must be sent again, while recovering (RFC 6675 section 4, NextSeg rule 1; RFC 6582).
    private mutating func nextRepair(at now: Instant) -> Piece? {
        guard ownIsInFlight else { return nil }
        if repairsAtOnce {
            repairsAtOnce = false
            return repair(from: unacknowledged, to: scoreboard.hole(from: unacknowledged).end, at: now)
        }
        guard let lost = scoreboard.lostEdge(segmentSize: Int(segmentSize)), hasCongestionRoom else { return nil }
        let hole = scoreboard.hole(from: SequenceNumber.later(unacknowledged, repaired))
        guard hole.start.isBefore(lost) else { return nil }
        return repair(from: hole.start, to: hole.end, at: now)
    }

    /// Nothing else may be sent, and the window has room: a hole that is not surely lost, then once the end of what was sent (NextSeg
    /// rules 3 and 4).
    private mutating func fillWhatMayBeLost(at now: Instant) -> Piece? {
        guard ownIsInFlight, !scoreboard.isEmpty, hasCongestionRoom else { return nil }
        let hole = scoreboard.hole(from: SequenceNumber.later(unacknowledged, repaired))
        if let end = hole.end { return repair(from: hole.start, to: end, at: now) }
        let last = SequenceNumber.earlier(next, end)
        guard !isRescued, last.isAfter(hole.start) else { return nil }
        isRescued = true
        let kept = repaired
        defer { repaired = kept }
        return repair(from: SequenceNumber.later(hole.start, last - Int(segmentSize)), to: last, at: now)
    }

    private var hasCongestionRoom: Bool { Int(min(congestionWindow, 1 << 30)) - pipe >= Int(segmentSize) }

    private mutating func repair(from start: SequenceNumber, to end: SequenceNumber?, at now: Instant) -> Piece? {
        let limit = SequenceNumber.earlier(end ?? self.end, SequenceNumber.earlier(self.end, highest))
        let length = min(Int(segmentSize), limit.distance(from: start))
        guard length > 0, start.isAtOrAfter(base) else { return nil }
        repaired = SequenceNumber.later(repaired, start + length)
        // Karn: what is timed may be sent twice now.
        isTiming = false
        lastSent = now
        armTimer(at: now)
        return Piece(sequence: start, offset: start.distance(from: base), length: length, fin: false, isRetransmission: true)
    }

    /// After a pause of a timeout the path may have changed: it begins with the initial window again (RFC 5681 4.1).
    private mutating func restartAfterIdle(at now: Instant) {
        guard unacknowledged == highest, next == highest, now - lastSent > timeout, lastSent != .distantPast else { return }
        congestionWindow = min(congestionWindow, UInt32(segmentSize) * Self.initialSegments)
    }

    /// Notes that bytes up to `end` were forwarded, with our FIN behind them if `fin`. Whoever sent them repeats them; their round trip
    /// is that of our own bytes too.
    mutating func noteForwarded(upTo end: SequenceNumber, fin: Bool, at now: Instant) {
        if onlyForwards {
            precondition(!fin)
            highest = SequenceNumber.later(highest, end)
            next = SequenceNumber.later(next, end)
            return
        }
        if end.isAfter(highest) {
            highest = end
            if !isTiming {
                isTiming = true
                timedEnd = end
                timedAt = now
            }
        } else {
            isTiming = false
        }
        // Own bytes that wait for the window are still to be sent.
        if end.isAfter(next), !next.isBefore(self.end) { next = end }
        if fin {
            highest = end + 1
            next = highest
            finSent = true
            armTimer(at: now)
        }
    }
}
