extension L73Dispatcher {
    /// Refuses a request that cannot be understood or is too large: our answer, then the connection closes.
    mutating func refuse(
        _ front: FrontRef, _ index: Int, _ fault: RequestFault, at now: Instant, into egress: inout Egress
    ) {
        counters.fault(fault)
        switch fault {
        case .bodyTooLong: counters.refused(.bodyTooLarge)
        case .headTooLong, .targetTooLong, .tooManyFields: counters.refused(.headTooLarge)
        default: counters.refused(.malformed)
        }
        answer(front, index, status: fault.status, cause: .proxy, phase: .request, at: now, into: &egress)
    }

    /// Refuses a request that is sound, for a reason of ours.
    mutating func refuse(
        _ front: FrontRef, _ index: Int, status: Int, _ reason: RefusalReason, at now: Instant, into egress: inout Egress
    ) {
        counters.refused(reason)
        let cause: Termination.Cause
        let phase: Termination.Phase
        switch reason {
        case .queueWait: (cause, phase) = (.serverTimeout, .queue)
        case .serverUnavailable, .noServer: (cause, phase) = (.server, .connect)
        case .headTime, .bodyRate: (cause, phase) = (.clientTimeout, .request)
        case .queueFull, .tunnelLimit, .clientQueueShare, .queueHopeless: (cause, phase) = (.resource, .queue)
        case .bodyMemory: (cause, phase) = (.resource, .request)
        default: (cause, phase) = (.proxy, .request)
        }
        answer(front, index, status: status, cause: cause, phase: phase, at: now, into: &egress)
    }

    /// Sends an answer of our own, closes our direction behind it and discards what still comes (tcp.md "Close"). The request, if there
    /// is one, must have left its server and its queue.
    mutating func answer(
        _ front: FrontRef, _ index: Int, status: Int, cause: Termination.Cause, phase: Termination.Phase, at now: Instant,
        into egress: inout Egress
    ) {
        precondition(!front.pointee.hasSlot)
        front.pointee.status = UInt16(status)
        if front.pointee.started == .distantPast { front.pointee.started = now }
        let answered = front.pointee.answered
        finishRecord(front, cause: cause, phase: phase, at: now)
        releaseRequest(front)
        let retryAfter: UInt32? = status == 503 || status == 429 ? 1 : nil
        if let page = configuration.services[Int(front.pointee.service)].errorPages.first(where: { $0.status == status }) {
            let room = OwnAnswer.capacity + OwnAnswer.longestType + (answered.isHead ? 0 : page.body.count)
            appendOwn(front, room: room) { room in
                page.type.withUnsafeBytes { type in
                    page.body.withUnsafeBytes { body in
                        OwnAnswer.write(
                            status: status, close: true, minorVersion: answered.minorVersion, isHead: answered.isHead,
                            retryAfter: retryAfter, page: (type, body), into: room)
                    }
                }
            }
        } else {
            appendOwn(front) { room in
                OwnAnswer.write(
                    status: status, close: true, minorVersion: answered.minorVersion, isHead: answered.isHead,
                    retryAfter: retryAfter, into: room)
            }
        }
        beginClosing(front, index, refusing: true, at: now, into: &egress)
    }

    /// `100 Continue`: the request may be read (RFC 9110 10.1.1).
    mutating func answerInterim(_ front: FrontRef, at now: Instant, into egress: inout Egress) {
        appendOwn(front) { room in OwnAnswer.write(status: 100, close: false, into: room) }
        pump(front, at: now, into: &egress)
    }

    /// Adds bytes of ours to the stream to the client. They are left out, and counted, when there is no memory or no place for them.
    /// - Parameter room: bytes that they may take.
    mutating func appendOwn(_ front: FrontRef, room size: Int = OwnAnswer.capacity, _ write: (UnsafeMutableRawBufferPointer) -> Int) {
        guard let offset = beginOwn(front),
            growOwn(front, to: offset + size, keeping: offset)
        else {
            counters.answersOmitted &+= 1
            return
        }
        let room = UnsafeMutableRawBufferPointer(rebasing: front.pointee.own.bytes[offset..<offset + size])
        front.pointee.sender.appendOwn(write(room))
    }

    /// The same with bytes that are there already.
    /// - Returns: false when there is no memory or no place for them.
    mutating func appendOwn(_ front: FrontRef, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let offset = beginOwn(front), growOwn(front, to: offset + bytes.count, keeping: offset) else { return false }
        if let base = bytes.baseAddress { (front.pointee.own.base! + offset).copyMemory(from: base, byteCount: bytes.count) }
        front.pointee.sender.appendOwn(bytes.count)
        return true
    }

    /// Gives back everything that a request held; bytes behind it stay.
    mutating func releaseRequest(_ front: FrontRef) {
        front.pointee.started = .distantPast
        front.pointee.bytesFromClient = 0
        front.pointee.pool = .max
        guard hasWork(front) else { return }
        guard front.pointee.received.end > 0 else { return giveWork(front) }
        var next = FrontWork()
        next.input = front.pointee.input
        next.received = front.pointee.received
        front.pointee.input = .none
        releaseWork(front)
        front.pointee.work.pointee = next
    }

    /// Our FIN goes behind our last byte.
    /// - Parameter refusing: after a refusal a client that does not close is given 2 s once it has our answer, else 10 s.
    mutating func beginClosing(
        _ front: FrontRef, _ index: Int, refusing: Bool = false, at now: Instant, into egress: inout Egress
    ) {
        isIdleNoMore(front, index)
        front.pointee.phase = .closing
        front.pointee.wasRefused = refusing
        front.pointee.discarded = 0
        giveWork(front)
        front.pointee.sender.finQueued = true
        front.pointee.beginProgress(at: now)
        front.pointee.phaseDeadline = now + limits[Int(front.pointee.service)].sendIdle
        pump(front, at: now, into: &egress)
        if front.pointee.sender.finAcknowledged { front.pointee.phaseDeadline = now + front.pointee.lingers }
        if front.pointee.acknowledgeBy != .distantFuture { acknowledge(front, into: &egress) }
        closeIfDone(front, index, at: now)
    }
}
