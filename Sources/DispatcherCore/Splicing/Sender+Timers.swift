extension Sender {
    /// Starts the retransmission timer anew, and before it the tail loss probe where one may be sent.
    mutating func armTimer(at now: Instant) {
        retransmitAt = now + timeout
        deadline = retransmitAt
        isProbeNext = false
        scheduleProbe(at: now)
    }

    mutating func disarmTimer() {
        retransmitAt = .distantFuture
        deadline = .distantFuture
        isProbeNext = false
    }

    /// A piece goes out: the retransmission timer runs from the oldest one, the probe's from the last new one.
    mutating func noteSent(isNew: Bool, at now: Instant) {
        if retransmitAt == .distantFuture {
            armTimer(at: now)
        } else if isNew {
            scheduleProbe(at: now)
        }
    }

    /// The tail loss probe comes two round trips after the last new piece, unless the retransmission timer is earlier (RFC 8985 7.2).
    private mutating func scheduleProbe(at now: Instant) {
        guard sackPermitted, smoothed != .zero, probe == nil, !isRecovering, scoreboard.isEmpty, backoff == 0, ownIsInFlight,
            edge.isAfter(unacknowledged)
        else { return }
        var wait = max(smoothed * 2, Self.shortestProbe)
        if flight <= Int(segmentSize) { wait = wait + Self.longestDelay }
        let at = now + wait
        guard at < retransmitAt else {
            deadline = retransmitAt
            isProbeNext = false
            return
        }
        deadline = at
        isProbeNext = true
    }

    /// The timer ran out.
    /// - Returns: what to send, a probe or what is missing; nil when everything missing is somebody else's.
    mutating func timedOut(at now: Instant) -> Piece? {
        if isProbeNext {
            isProbeNext = false
            deadline = retransmitAt
            if ownIsInFlight { return tailProbe(at: now) }
            if deadline > now { return nil }
        }
        isTiming = false
        guard hasUnacknowledgedOwn || end.isAfter(next) else {
            disarmTimer()
            return nil
        }
        backoff = min(backoff + 1, 60)
        timeout = min(timeout * 2, Self.maximumTimeout)
        probe = nil
        isRecovering = false
        armTimer(at: now)
        if unacknowledged.isBefore(end) {
            guard unacknowledged.isAtOrAfter(base) else { return nil }
            if edge.isAtOrBefore(unacknowledged) {
                var probe = Piece(
                    sequence: unacknowledged, offset: unacknowledged.distance(from: base), length: 1, fin: false,
                    isRetransmission: highest.isAfter(unacknowledged))
                probe.isProbe = true
                if highest == unacknowledged { highest += 1 }
                next = unacknowledged
                return probe
            }
            if backoff == 1 { halve(flight) }
            congestionWindow = UInt32(segmentSize)
            // The peer may have thrown away what it reported (RFC 2018 section 8).
            scoreboard.removeAll()
            duplicates = 0
            recovery = highest
            next = unacknowledged
            return nextPiece(at: now, most: Int(segmentSize))
        }
        // Only the FIN is missing, or forwarded bytes before it.
        guard finSent, unacknowledged == finSequence else { return nil }
        return Piece(sequence: finSequence, offset: 0, length: 0, fin: true, isRetransmission: true)
    }

    /// A new segment if there is one and the window takes it, else the last one again: so that the peer says what it lacks.
    private mutating func tailProbe(at now: Instant) -> Piece? {
        let size = Int(segmentSize)
        let room = min(end.distance(from: next), edge.distance(from: next), size)
        var piece: Piece
        if room > 0, next == highest {
            piece = Piece(sequence: next, offset: next.distance(from: base), length: room, fin: false, isRetransmission: false)
            next += room
            highest = next
        } else {
            let last = SequenceNumber.earlier(highest, end)
            let start = SequenceNumber.later(unacknowledged, last - size)
            piece = Piece(
                sequence: start, offset: start.distance(from: base), length: last.distance(from: start), fin: false, isRetransmission: true)
            isTiming = false
        }
        piece.isTailProbe = true
        lastSent = now
        probe = Transmission.TailProbe(end: highest, repeats: piece.isRetransmission)
        retransmitAt = now + timeout
        deadline = retransmitAt
        return piece
    }
}
