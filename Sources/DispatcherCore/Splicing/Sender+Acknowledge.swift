extension Sender {
    /// Takes an acknowledgement that lies within what was sent. What it asks to be sent again, `nextPiece` says.
    /// - Parameters:
    ///   - isBare: no data, no FIN and an unchanged window: it may count as a duplicate (RFC 5681 section 2).
    ///   - sack: what the peer has beyond it.
    /// - Returns: bytes (and FIN) newly acknowledged.
    mutating func acknowledge(_ number: SequenceNumber, isBare: Bool, sack: SACKBlocks = SACKBlocks(), at now: Instant) -> Int {
        let moved = number.distance(from: unacknowledged)
        guard moved >= 0 else { return 0 }
        if onlyForwards {
            if moved > 0 { follow(number) }
            return moved
        }
        endProbe(number, isBare: isBare && moved == 0, sack)
        if moved > 0 {
            advance(to: number, by: moved, sack, at: now)
        } else if ownIsInFlight {
            let reported = report(sack)
            if isBare || reported { duplicates = min(duplicates + 1, 200) }
        }
        if !isRecovering, !recovery.isAfter(unacknowledged), ownIsInFlight { enterRecoveryIfLost() }
        return moved
    }

    /// What an acknowledgement says of a tail loss probe (RFC 8985 7.4.2): with more than it acknowledged, and no word that it came twice,
    /// it filled a hole that nobody had reported, and that was a loss.
    private mutating func endProbe(_ number: SequenceNumber, isBare: Bool, _ sack: SACKBlocks) {
        guard let probe, number.isAtOrAfter(probe.end) else { return }
        let cameTwice = sack.count > 0 ? sack[0].end.isAtOrBefore(number) : isBare
        if !probe.repeats || cameTwice {
            self.probe = nil
        } else if number.isAfter(probe.end) {
            self.probe = nil
            if !isRecovering { halve(flight) }
        }
    }

    private mutating func follow(_ number: SequenceNumber) {
        unacknowledged = number
        if next.isBefore(number) { next = number }
        // What lies behind goes along: half of the sequence space later it would count as being ahead.
        if end.isBefore(number) {
            base = number
            end = number
        }
    }

    private mutating func advance(to number: SequenceNumber, by moved: Int, _ sack: SACKBlocks, at now: Instant) {
        let flight = self.flight
        unacknowledged = number
        if next.isBefore(number) { next = number }
        duplicates = 0
        backoff = 0
        if finSent, number == highest { finAcknowledged = true }
        if isTiming, number.isAtOrAfter(timedEnd) {
            isTiming = false
            measure(now - timedAt)
        }
        scoreboard.acknowledge(number)
        if ownIsInFlight { _ = report(sack) }
        if isRecovering {
            if recovery.isAfter(number), number.isBefore(end) {
                if scoreboard.isEmpty { repairsAtOnce = true }
            } else {
                isRecovering = false
            }
        } else if Int(congestionWindow) <= 2 * flight {
            // Only a window that was used grows (RFC 7661).
            if congestionWindow < threshold {
                congestionWindow &+= UInt32(min(moved, 1 << 20))
            } else {
                let size = UInt64(segmentSize)
                congestionWindow &+= UInt32(max(1, size * UInt64(min(moved, 1 << 20)) / UInt64(max(congestionWindow, 1))))
            }
            congestionWindow = min(congestionWindow, 1 << 24)
        }
        // What lies behind goes along: half of the sequence space later it would count as being ahead.
        if end.isBefore(number) {
            base = number
            end = number
        }
        if recovery.isBefore(number) { recovery = number }
        if repaired.isBefore(number) { repaired = number }
        if hasUnacknowledgedOwn { armTimer(at: now) } else { disarmTimer() }
    }

    /// - Returns: whether the blocks say something new of own bytes.
    private mutating func report(_ sack: SACKBlocks) -> Bool {
        guard sackPermitted else { return false }
        var isNew = false
        let last = SequenceNumber.earlier(highest, end)
        for index in 0..<sack.count {
            var block = sack[index]
            guard block.start.isBefore(block.end), block.start.isAfter(unacknowledged), block.start.isBefore(last),
                block.end.isAtOrBefore(highest)
            else { continue }
            block.end = SequenceNumber.earlier(block.end, last)
            if scoreboard.insert(block) { isNew = true }
        }
        return isNew
    }

    /// RFC 6675 section 5, RFC 5681 3.2: three duplicates, or more than two segments beyond the first missing one.
    private mutating func enterRecoveryIfLost() {
        let isLost = scoreboard.lostEdge(segmentSize: Int(segmentSize)).map { $0.isAfter(unacknowledged) } ?? false
        guard duplicates >= 3 || isLost else { return }
        halve(flight)
        isRecovering = true
        repairsAtOnce = true
        isRescued = false
        repaired = unacknowledged
        recovery = highest
        probe = nil
    }

    mutating func halve(_ flight: Int) {
        threshold = max(UInt32(clamping: flight / 2), 2 * UInt32(segmentSize))
        congestionWindow = threshold
    }

    /// RFC 6298 section 2; never fed from a segment that was sent twice (Karn).
    private mutating func measure(_ sample: Interval) {
        if smoothed == .zero {
            smoothed = sample
            variation = sample / 2
        } else {
            let error = smoothed > sample ? smoothed - sample : sample - smoothed
            variation = (variation * 3 + error) / 4
            smoothed = (smoothed * 7 + sample) / 8
        }
        let wanted = smoothed + max(variation * 4, .milliseconds(1))
        timeout = min(max(wanted, Self.minimumTimeout), Self.maximumTimeout)
    }
}
