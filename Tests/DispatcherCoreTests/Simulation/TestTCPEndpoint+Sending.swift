import DispatcherCore

/// The sending half: windows, congestion control (RFC 5681, NewReno), timeouts (RFC 6298), probes.
extension TestTCPEndpoint {
    var dataEnd: Int { 1 + sendBuffer.count }
    var sendSegmentSize: Int { min(peerSegmentSize, host.mtu - 40) }
    private var inFlight: Int { sendNext - unacknowledged }

    /// Sends what the windows allow.
    func output() {
        switch state {
        case .established, .closeWait, .finWait1, .lastAck, .closing: break
        default: return
        }
        var sentAny = false
        while true {
            let window = min(peerWindow, congestionWindow) - inFlight
            let left = dataEnd - sendNext
            if left > 0 {
                var length = min(sendSegmentSize, left)
                if length > window {
                    // A silly window waits for acknowledgements; with nothing in flight what fits goes out.
                    if inFlight > 0 || window <= 0 { break }
                    length = window
                }
                let last = sendNext + length == dataEnd
                let finish = last && finishQueued
                send(length: length, flags: last ? [.ack, .psh] : .ack, finish: finish)
            } else if finishQueued, sendNext == dataEnd, window > 0 || peerWindow == 0 && inFlight == 0 {
                send(length: 0, flags: .ack, finish: true)
            } else {
                break
            }
            sentAny = true
        }
        if sentAny { retransmissionTimer.isArmed ? () : retransmissionTimer.arm(after: timeout) }
        let waits = sendNext < dataEnd
        if waits, inFlight == 0, peerWindow == 0 {
            if !persistTimer.isArmed {
                persistBackoff = 0
                persistTimer.arm(after: timeout)
            }
        } else {
            persistTimer.cancel()
        }
    }

    private func send(length: Int, flags: SegmentFlags, finish: Bool) {
        if sendNext < sendHighest { retransmitted += 1 } else if timed == nil { timed = (sendNext + length, simulation.now) }
        transmit(position: sendNext, length: length, flags: finish ? flags.union(.fin) : flags)
        sendNext += length + (finish ? 1 : 0)
        if finish {
            switch state {
            case .established: state = .finWait1
            case .closeWait: state = .lastAck
            default: break
            }
        }
        sendHighest = max(sendHighest, sendNext)
    }

    /// Writes one segment; everything but a bare SYN or RST carries the acknowledgement.
    func transmit(position: Int, length: Int, flags: SegmentFlags) {
        var segment = TestSegment(source: local, destination: remote)
        segment.sequence = initialSend &+ UInt32(truncatingIfNeeded: position)
        segment.flags = flags
        if length > 0 { segment.payload = Array(sendBuffer[position - 1..<position - 1 + length]) }
        if flags.contains(.syn) {
            if let size = options.maximumSegmentSize { segment.options = TestSegment.maximumSegmentSize(size) }
            // A SYN-ACK has what the SYN had too.
            if let scale = options.windowScale, isClient || shift > 0 || peerOffersScale { segment.options += [1, 3, 3, UInt8(scale)] }
            if options.sackPermitted, isClient || usesSACK { segment.options += [1, 1, 4, 2] }
        } else if usesSACK, !outOfOrder.isEmpty {
            segment.options = sackOption()
        }
        if flags.contains(.ack) {
            segment.acknowledgement = initialReceive &+ UInt32(truncatingIfNeeded: receiveNext)
            segment.window = flags.contains(.syn) ? UInt16(min(65_535, options.receiveBuffer)) : windowToAdvertise()
            acknowledgedSent = max(acknowledgedSent, receiveNext)
            acknowledgeNow = false
            unacknowledgedBytes = 0
            delayTimer.cancel()
        } else {
            segment.window = UInt16(min(65_535, options.receiveBuffer))
        }
        segmentsSent += 1
        host.send(segment)
    }

    // MARK: SACK (RFC 2018)

    private func sackOption() -> [UInt8] {
        var ranges: [Range<Int>] = []
        for piece in outOfOrder where piece.position + piece.bytes.count > receiveNext {
            let range = max(piece.position, receiveNext)..<piece.position + piece.bytes.count
            if let last = ranges.last, range.lowerBound <= last.upperBound {
                ranges[ranges.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                ranges.append(range)
            }
        }
        guard !ranges.isEmpty else { return [] }
        if let latest = ranges.firstIndex(where: { $0.contains(latestOutOfOrder) }) { ranges.swapAt(0, latest) }
        let edges = ranges.prefix(4).flatMap { [$0.lowerBound, $0.upperBound] }.map { initialReceive &+ UInt32(truncatingIfNeeded: $0) }
        return [1, 1, 5, UInt8(2 + 4 * edges.count)]
            + edges.flatMap { [UInt8($0 >> 24), UInt8($0 >> 16 & 255), UInt8($0 >> 8 & 255), UInt8($0 & 255)] }
    }

    /// Notes the peer's blocks; complains about those that no correct peer would send.
    /// - Returns: whether they say anything new.
    func takeSACK(_ segment: TestSegment) -> Bool {
        guard let option = segment.optionValue(of: 5) else { return false }
        if !usesSACK { violation("SACK was not agreed upon: \(segment)") }
        if option.isEmpty || option.count % 8 != 0 { violation("a SACK option of \(option.count + 2) bytes") }
        var news = false
        for (index, at) in stride(from: 0, to: option.count - 7, by: 8).enumerated() {
            func edge(_ at: Int) -> Int {
                let number = option[at..<at + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                return unacknowledged + Int(Int32(bitPattern: number &- (initialSend &+ UInt32(truncatingIfNeeded: unacknowledged))))
            }
            let (start, end) = (edge(at), edge(at + 4))
            sackBlocksReceived += 1
            guard start < end, end <= sendHighest else {
                violation("SACK \(start)..<\(end) of \(sendHighest) sent: \(segment)")
                continue
            }
            let acknowledged =
                Int(Int32(bitPattern: segment.acknowledgement &- (initialSend &+ UInt32(truncatingIfNeeded: unacknowledged))))
                + unacknowledged
            if start <= acknowledged, index > 0 || end > acknowledged {
                violation("SACK \(start)..<\(end) at acknowledgement \(acknowledged): \(segment)")
            }
            guard start >= unacknowledged else { continue }
            if !sacked.contains(where: { $0.lowerBound <= start && end <= $0.upperBound }) { news = true }
            var range = start..<end
            sacked.removeAll { other in
                guard other.lowerBound <= range.upperBound, range.lowerBound <= other.upperBound else { return false }
                range = min(range.lowerBound, other.lowerBound)..<max(range.upperBound, other.upperBound)
                return true
            }
            sacked.append(range)
            sacked.sort { $0.lowerBound < $1.lowerBound }
        }
        return news
    }

    /// Sends the next hole below what the peer has, once in a recovery (RFC 6675, its rule 1).
    private func retransmitHole() {
        guard recoveryPoint != nil, let top = sacked.last?.lowerBound else { return }
        var at = max(unacknowledged, holesSentThrough)
        for range in sacked where range.contains(at) { at = range.upperBound }
        guard at < top, at < dataEnd, at > 0 else { return }
        let next = sacked.first { $0.lowerBound > at }?.lowerBound ?? top
        let length = min(sendSegmentSize, min(next, dataEnd) - at)
        retransmitted += 1
        timed = nil
        holesSentThrough = at + length
        transmit(position: at, length: length, flags: [.ack, .psh])
    }

    // MARK: Acknowledgements of the peer

    /// New data was acknowledged up to `position`.
    func advance(to position: Int) {
        let newly = position - unacknowledged
        unacknowledged = position
        sendNext = max(sendNext, position)
        retransmissions = 0
        sacked = sacked.compactMap { $0.upperBound <= position ? nil : max($0.lowerBound, position)..<$0.upperBound }
        if let timed, position >= timed.position {
            sample((simulation.now - timed.at).nanoseconds)
            self.timed = nil
        }
        if let point = recoveryPoint {
            if position >= point {
                recoveryPoint = nil
                congestionWindow = max(slowStartThreshold, sendSegmentSize)
            } else {
                congestionWindow = max(congestionWindow - newly + sendSegmentSize, sendSegmentSize)
                if usesSACK, holesSentThrough > unacknowledged { retransmitHole() } else { retransmitFirst() }
            }
        } else if congestionWindow < slowStartThreshold {
            congestionWindow += min(newly, 2 * sendSegmentSize)
        } else {
            congestionWindow += max(1, sendSegmentSize * sendSegmentSize / congestionWindow)
        }
        duplicateAcknowledgements = 0
        if unacknowledged < sendHighest { retransmissionTimer.arm(after: timeout) } else { retransmissionTimer.cancel() }
        if unacknowledged >= dataEnd { onDrained() }
    }

    func duplicateAcknowledgement() {
        duplicateAcknowledgements += 1
        if duplicateAcknowledgements == 3, recoveryPoint == nil {
            fastRetransmissions += 1
            recoveryPoint = sendHighest
            slowStartThreshold = max((sendHighest - unacknowledged) / 2, 2 * sendSegmentSize)
            congestionWindow = slowStartThreshold + 3 * sendSegmentSize
            timed = nil
            retransmitFirst()
            holesSentThrough = unacknowledged + sendSegmentSize
            retransmissionTimer.arm(after: timeout)
        } else if duplicateAcknowledgements > 3, recoveryPoint != nil {
            congestionWindow += sendSegmentSize
            if usesSACK { retransmitHole() }
        }
    }

    private func retransmitFirst() {
        guard unacknowledged < sendHighest else { return }
        retransmitted += 1
        timed = nil
        if unacknowledged == 0 {
            transmit(position: 0, length: 0, flags: state == .synSent ? .syn : [.syn, .ack])
            return
        }
        var length = min(sendSegmentSize, min(dataEnd, sendHighest) - unacknowledged)
        if let first = sacked.first, first.lowerBound > unacknowledged { length = min(length, first.lowerBound - unacknowledged) }
        let finish = finishQueued && sendHighest > dataEnd && unacknowledged + length == dataEnd
        transmit(position: unacknowledged, length: length, flags: finish ? [.ack, .fin] : length > 0 ? [.ack, .psh] : .ack)
    }

    private func sample(_ time: Int64) {
        if let smoothed {
            variance += (abs(smoothed - time) - variance) / 4
            self.smoothed = smoothed + (time - smoothed) / 8
        } else {
            smoothed = time
            variance = time / 2
        }
        timeout = max(options.minimumTimeout, Interval(nanoseconds: smoothed! + 4 * variance))
        timeout = min(timeout, options.maximumTimeout)
    }

    // MARK: Timers

    func retransmissionTimeout() {
        guard unacknowledged < sendHighest else { return }
        retransmissions += 1
        timeouts += 1
        if retransmissions > options.retransmissionLimit {
            finish(with: .timedOut)
            return
        }
        timeout = min(timeout * 2, options.maximumTimeout)
        slowStartThreshold = max((sendHighest - unacknowledged) / 2, 2 * sendSegmentSize)
        congestionWindow = sendSegmentSize
        recoveryPoint = nil
        duplicateAcknowledgements = 0
        // What it was told may have been thrown away since (RFC 2018 section 8).
        sacked = []
        retransmitFirst()
        // The rest is sent again as the window opens.
        if unacknowledged > 0 {
            sendNext = min(sendHighest, unacknowledged + min(sendSegmentSize, max(0, dataEnd - unacknowledged)))
            if sendNext == dataEnd, sendHighest > dataEnd { sendNext = sendHighest }
        }
        retransmissionTimer.arm(after: timeout)
    }

    /// A probe as Linux sends it: no data, the sequence number before the first unacknowledged.
    func persistTimeout() {
        guard peerWindow == 0, sendNext < dataEnd else { return output() }
        probesSent += 1
        persistBackoff += 1
        transmit(position: unacknowledged - 1, length: 0, flags: .ack)
        let wait = Interval(nanoseconds: timeout.nanoseconds << Int64(min(persistBackoff, 8)))
        persistTimer.arm(after: min(wait, options.maximumTimeout))
    }

    /// A keep-alive probe.
    func keepAlive() { transmit(position: unacknowledged - 1, length: 0, flags: .ack) }
}
