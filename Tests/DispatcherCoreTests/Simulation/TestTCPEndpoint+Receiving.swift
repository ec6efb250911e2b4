import DispatcherCore

/// The receiving half: RFC 9293 3.10.7, with a complaint about everything that a correct peer would not send.
extension TestTCPEndpoint {
    var receiveSegmentSize: Int { min(options.maximumSegmentSize ?? host.assumedSegmentSize, host.mtu - host.headers) }

    func accept(_ segment: TestSegment, initialSequence: UInt32?) {
        if let initialSequence, options.initialSequence == nil { initialSend = initialSequence }
        state = .synReceived
        takeSYN(segment)
        transmit(position: 0, length: 0, flags: [.syn, .ack])
        sendNext = 1
        sendHighest = 1
        timed = (1, simulation.now)
        retransmissionTimer.arm(after: timeout)
    }

    private func takeSYN(_ segment: TestSegment) {
        initialReceive = segment.sequence
        synTakenAt = simulation.now
        receiveNext = 1
        advertisedEdge = 1 + min(65_535, options.receiveBuffer)
        let scale = segment.optionValue(of: 3)?.first
        if let scale, isClient, options.windowScale == nil { violation("a window scale of \(scale) that nobody offered") }
        peerOffersScale = scale != nil
        if let scale, let ours = options.windowScale { (peerShift, shift) = (min(Int(scale), 14), min(ours, 14)) }
        let permits = segment.optionValue(of: 4) != nil
        if permits, isClient, !options.sackPermitted { violation("SACK permitted, which nobody offered") }
        usesSACK = permits && options.sackPermitted
        if let size = segment.maximumSegmentSize { peerSegmentSize = size }
        if segment.maximumSegmentSize == nil { violation("a SYN without the option MSS") }
        peerWindow = Int(segment.window)
        largestPeerWindow = peerWindow
        congestionWindow = options.initialWindow * sendSegmentSize
    }

    func segmentArrived(_ segment: TestSegment) {
        switch state {
        case .closed: return
        case .synSent: return arrivedInSynSent(segment)
        default: break
        }
        let start = receiveNext + Int(Int32(bitPattern: segment.sequence &- (initialReceive &+ UInt32(truncatingIfNeeded: receiveNext))))
        if segment.flags.contains(.rst) { return arrivedReset(start) }
        if segment.flags.contains(.syn) {
            if state == .synReceived, segment.sequence == initialReceive { return transmit(position: 0, length: 0, flags: [.syn, .ack]) }
            if segment.flags.contains(.ack), segment.sequence == initialReceive { return challenge() }
            // Toward a server it is what follows a lost RST.
            if state != .timeWait, isClient { violation("SYN \(segment)") }
            return challenge()
        }
        let acknowledged =
            unacknowledged + Int(Int32(bitPattern: segment.acknowledgement &- (initialSend &+ UInt32(truncatingIfNeeded: unacknowledged))))
        if acknowledged > sendHighest {
            // What an earlier life of the port has left in the network (RFC 9293 3.10.7.4).
            if state == .synReceived, !isClient { return reset(for: segment) }
            violation("acknowledges \(acknowledged) of \(sendHighest) sent: \(segment)")
            return challenge()
        }
        checkRange(segment, start)
        guard isAcceptable(start, segment) else {
            // As Linux (tcp_invalid_ratelimit): what carries no data is answered at most twice a second.
            if !segment.payload.isEmpty || segment.flags.contains(.fin) || simulation.now - lastInvalidAnswer >= .milliseconds(500) {
                acknowledgeNow = true
                if segment.payload.isEmpty { lastInvalidAnswer = simulation.now }
            }
            duplicateSegments += 1
            if acknowledged > unacknowledged { takeAcknowledgement(acknowledged, segment, start) }
            if state == .timeWait { lingerTimer.arm(after: options.timeWait) }
            return settle()
        }
        if state == .synReceived {
            guard acknowledged == 1 || acknowledged > unacknowledged else { return violation("establishes with ack \(acknowledged)") }
        }
        takeAcknowledgement(acknowledged, segment, start)
        guard state != .closed else { return }
        takeData(start, segment)
        settle()
    }

    private func reset(for segment: TestSegment) {
        var reset = TestSegment(source: local, destination: remote)
        reset.flags = .rst
        reset.sequence = segment.acknowledgement
        host.send(reset)
    }

    private func arrivedInSynSent(_ segment: TestSegment) {
        if segment.flags.contains(.ack), segment.acknowledgement != initialSend &+ 1 {
            if segment.flags.contains(.rst) { return }
            if !options.reusesPort || segment.flags.contains(.syn) { violation("answers the SYN with \(segment)") }
            return reset(for: segment)
        }
        if segment.flags.contains(.rst) {
            if segment.flags.contains(.ack) { finish(with: .refused) }
            return
        }
        guard segment.flags == [.syn, .ack] else { return violation("answers the SYN with \(segment)") }
        takeSYN(segment)
        advance(to: 1)
        windowSequence = 0
        windowAcknowledgement = 1
        state = .established
        sendAcknowledgement()
        onConnected()
        output()
    }

    /// RFC 5961 3.2: only the exact number resets.
    private func arrivedReset(_ start: Int) {
        if start == receiveNext {
            if state == .timeWait { return leave() }
            finish(with: state == .synReceived ? .refused : .resetByPeer)
        } else if start > receiveNext, start <= advertisedEdge {
            challenge()
        }
    }

    func challenge() {
        guard simulation.now - lastInvalidAnswer >= .milliseconds(500) else { return }
        lastInvalidAnswer = simulation.now
        challenges += 1
        sendAcknowledgement()
    }

    /// What a correct sender never does.
    private func checkRange(_ segment: TestSegment, _ start: Int) {
        let end = start + segment.payload.count
        // A probe of one byte beyond a closed window is the one exception (RFC 9293 3.8.6.1).
        if end > advertisedEdge, !segment.payload.isEmpty, !(segment.payload.count == 1 && start == advertisedEdge) {
            violation("data up to \(end), but the window ended at \(advertisedEdge): \(segment)")
        }
        // What an earlier connection from the same port acknowledged may come late, behind the SYN of this one, whose number lies above
        // (RFC 9293 3.10.7.4).
        let isLate =
            !isClient && start < -1 && segment.flags == .ack && segment.payload.isEmpty && simulation.now - synTakenAt < .seconds(2)
        if !isLate, start < -1 || start > advertisedEdge + 1 {
            violation("sequence out of range (\(start), window \(receiveNext)...\(advertisedEdge)): \(segment)")
        }
        if let peerFinish {
            if end > peerFinish, !segment.payload.isEmpty { violation("data after its FIN: \(segment)") }
            if segment.flags.contains(.fin), end != peerFinish { violation("a FIN at \(end) after one at \(peerFinish)") }
        } else if segment.flags.contains(.fin), end < receiveNext {
            violation("a FIN at \(end), before data that came")
        }
        // What comes again must be what came before.
        let known = max(start, 1)..<max(start, 1, min(end, receiveNext, received.count + 1))
        guard !known.isEmpty,
            segment.payload[(known.lowerBound - start)..<(known.upperBound - start)]
                != received[(known.lowerBound - 1)..<(known.upperBound - 1)]
        else { return }
        violation("bytes \(known) of the stream are now others: \(segment)")
    }

    private func isAcceptable(_ start: Int, _ segment: TestSegment) -> Bool {
        let length = segment.payload.count + (segment.flags.contains(.fin) ? 1 : 0)
        if length == 0 { return start >= receiveNext && start <= max(receiveNext, advertisedEdge) }
        return start + length > receiveNext && start < max(advertisedEdge, receiveNext + (segment.flags.contains(.fin) ? 1 : 0))
    }

    private func takeAcknowledgement(_ acknowledged: Int, _ segment: TestSegment, _ start: Int) {
        if state == .synReceived {
            state = .established
            peerWindow = Int(segment.window) << peerShift
            largestPeerWindow = max(largestPeerWindow, peerWindow)
            advance(to: 1)
            onConnected()
        }
        let windowBefore = peerWindow
        let hasNews = takeSACK(segment)
        if acknowledged >= unacknowledged,
            start > windowSequence || (start == windowSequence && acknowledged >= windowAcknowledgement)
                || acknowledged > windowAcknowledgement
        {
            peerWindow = Int(segment.window) << peerShift
            largestPeerWindow = max(largestPeerWindow, peerWindow)
            windowSequence = start
            windowAcknowledgement = acknowledged
            onAcknowledgement?(acknowledged, acknowledged + peerWindow)
        }
        if acknowledged > unacknowledged {
            advance(to: acknowledged)
            finishAcknowledged()
        } else if acknowledged == unacknowledged, segment.payload.isEmpty, !segment.flags.contains(.fin), unacknowledged < sendHighest,
            peerWindow == windowBefore || hasNews, start == receiveNext
        {
            duplicateAcknowledgement()
        }
    }

    private func finishAcknowledged() {
        guard finishQueued, unacknowledged == dataEnd + 1 else { return }
        switch state {
        case .finWait1:
            state = .finWait2
            if isOrphan { lingerTimer.arm(after: options.timeWait) }
        case .closing: enterTimeWait()
        case .lastAck: finish(with: .finished)
        default: break
        }
    }

    private func takeData(_ start: Int, _ segment: TestSegment) {
        let edge = max(advertisedEdge, receiveNext)
        let limit = min(segment.payload.count, max(0, edge - start))
        if limit > 0 {
            if isOrphan, start + limit > receiveNext { return abort() }
            insert(start, Array(segment.payload[..<limit]))
        }
        if segment.flags.contains(.fin), limit == segment.payload.count, peerFinish == nil { peerFinish = start + limit }
        drainOutOfOrder(segment.payload.count)
    }

    private func insert(_ start: Int, _ bytes: [UInt8]) {
        var start = start
        var bytes = bytes
        if start < receiveNext {
            guard start + bytes.count > receiveNext else {
                acknowledgeNow = true
                return
            }
            bytes.removeFirst(receiveNext - start)
            start = receiveNext
        }
        if start > receiveNext || !outOfOrder.isEmpty { acknowledgeNow = true }
        if start > receiveNext { latestOutOfOrder = start }
        let at = outOfOrder.firstIndex { $0.position >= start } ?? outOfOrder.count
        outOfOrder.insert((start, bytes), at: at)
    }

    private func drainOutOfOrder(_ length: Int) {
        let before = receiveNext
        while let first = outOfOrder.first, first.position <= receiveNext {
            outOfOrder.removeFirst()
            let skip = receiveNext - first.position
            guard skip < first.bytes.count else { continue }
            received += first.bytes[skip...]
            receiveNext += first.bytes.count - skip
        }
        let gained = receiveNext - before
        if gained > 0 {
            unacknowledgedBytes += gained
            if quickLeft > 0 {
                quickLeft -= 1
                acknowledgeNow = true
            }
            if unacknowledgedBytes > receiveSegmentSize { acknowledgeNow = true }
            if !acknowledgeNow, !delayTimer.isArmed { delayTimer.arm(after: options.delayedAcknowledgement) }
            readArrived()
        }
        takeFinish()
    }

    private func takeFinish() {
        guard let peerFinish, receiveNext == peerFinish else { return }
        receiveNext += 1
        acknowledgeNow = true
        switch state {
        case .established: state = .closeWait
        case .finWait1: state = .closing
        case .finWait2:
            tellFinish()
            enterTimeWait()
        default: break
        }
        tellFinish()
    }

    func tellFinish() {
        guard let peerFinish, receiveNext > peerFinish, consumed == received.count, !peerFinishTold else { return }
        peerFinishTold = true
        onPeerFinished()
    }

    // MARK: Reading

    private func readArrived() {
        switch options.reader {
        case .immediate: read(.max - consumed)
        case .paced(_, let interval): if !readTimer.isArmed { readTimer.arm(after: interval) }
        case .stopped: break
        }
    }

    func pacedRead() {
        guard case .paced(let bytes, let interval) = options.reader else { return }
        read(bytes)
        if consumed < received.count { readTimer.arm(after: interval) }
    }

    // MARK: Acknowledging

    private var freeBuffer: Int { max(0, options.receiveBuffer - (received.count - consumed)) }
    /// The right edge that may be told: it never moves left, and right only in steps that are worth it (RFC 9293 3.8.6.2.2).
    private var edgeToAdvertise: Int {
        let edge = receiveNext + min(65_535 << shift, freeBuffer)
        return edge - advertisedEdge >= min(receiveSegmentSize, options.receiveBuffer / 2) ? edge : max(advertisedEdge, receiveNext)
    }
    var windowIncrease: Int { edgeToAdvertise - advertisedEdge }

    /// The window field: rounded down, but never so that the right edge moves left (as Linux does).
    func windowToAdvertise() -> UInt16 {
        let bytes = edgeToAdvertise - receiveNext
        var field = bytes >> shift
        if receiveNext + field << shift < advertisedEdge { field = (bytes + (1 << shift) - 1) >> shift }
        field = min(65_535, field)
        advertisedEdge = max(advertisedEdge, receiveNext + field << shift)
        return UInt16(field)
    }

    func sendAcknowledgement() {
        guard state != .closed, state != .synSent else { return }
        acknowledgementsSent += 1
        transmit(position: sendHighest, length: 0, flags: .ack)
    }

    /// After everything in a segment was looked at: send what may go, acknowledge what must be.
    private func settle() {
        guard state != .closed else { return }
        output()
        if acknowledgeNow { sendAcknowledgement() }
    }
}
