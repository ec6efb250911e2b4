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

    private func send(length: Int, flags: TCPFlags, finish: Bool) {
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
    func transmit(position: Int, length: Int, flags: TCPFlags) {
        var segment = TestSegment(source: local, destination: remote)
        segment.sequence = initialSend &+ UInt32(truncatingIfNeeded: position)
        segment.flags = flags
        if length > 0 { segment.payload = Array(sendBuffer[position - 1..<position - 1 + length]) }
        if flags.contains(.syn), let size = options.maximumSegmentSize { segment.options = TestSegment.maximumSegmentSize(size) }
        if flags.contains(.ack) {
            segment.acknowledgement = initialReceive &+ UInt32(truncatingIfNeeded: receiveNext)
            segment.window = UInt16(windowToAdvertise())
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

    // MARK: Acknowledgements of the peer

    /// New data was acknowledged up to `position`.
    func advance(to position: Int) {
        let newly = position - unacknowledged
        unacknowledged = position
        sendNext = max(sendNext, position)
        retransmissions = 0
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
                retransmitFirst()
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
            retransmissionTimer.arm(after: timeout)
        } else if duplicateAcknowledgements > 3, recoveryPoint != nil {
            congestionWindow += sendSegmentSize
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
        let length = min(sendSegmentSize, min(dataEnd, sendHighest) - unacknowledged)
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
