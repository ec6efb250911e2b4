extension L73Dispatcher {
    func backTimer(_ place: Int) -> Int { fronts.capacity + place }

    mutating func armFront(_ front: FrontRef, _ index: Int) {
        guard front.pointee.isOpen else { return }
        let deadline = front.pointee.deadline
        if deadline != .distantFuture { timers.arm(index, by: deadline) }
    }

    mutating func armBack(_ back: BackRef, _ place: Int) {
        guard back.pointee.state != .closed else { return }
        let deadline = back.pointee.deadline
        if deadline != .distantFuture { timers.arm(backTimer(place), by: deadline) }
    }

    /// Lets time pass: every deadline up to `now` fires. Stops early when `egress` wants a flush, or when very
    /// many timers had to be sorted; then `nextDeadline` is not later than `now`.
    public mutating func advance(to now: Instant, into egress: inout Egress) {
        buffers.settle(egress)
        start(at: now, into: &egress)
        payAcknowledgements(at: now, into: &egress)
        while !egress.wantsFlush, let id = timers.next(at: now) {
            if id < fronts.capacity {
                let front = fronts.pointer(id)
                fire(front, id, at: now, into: &egress)
                armFront(front, id)
            } else if id == drainTimer {
                drainTunnels(at: now, into: &egress)
            } else if id >= fronts.capacity + backs.capacity {
                fire(server: id - fronts.capacity - backs.capacity, at: now, into: &egress)
            } else {
                let place = id - fronts.capacity
                let back = backs.pointer(place)
                fire(back, place, at: now, into: &egress)
                armBack(back, place)
            }
        }
    }

    // MARK: Front end

    private mutating func fire(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) {
        guard front.pointee.isOpen else { return }
        if front.pointee.acknowledgeBy <= now { acknowledge(front, into: &egress) }
        if front.pointee.sender.deadline <= now, let piece = front.pointee.sender.timedOut(at: now) {
            sendPiece(piece, front, into: &egress)
        }
        if front.pointee.phaseDeadline <= now { phaseEnded(front, index, at: now, into: &egress) }
    }

    private mutating func phaseEnded(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) {
        let limits = self.limits[Int(front.pointee.service)]
        switch front.pointee.phase {
        case .idle:
            beginClosing(front, index, at: now, into: &egress)
        case .reading:
            let isBody = front.pointee.request != nil
            if isBody, renewBodyTime(front, at: now) { return }
            refuse(front, index, status: 408, isBody ? .bodyRate : .headTime, at: now, into: &egress)
        case .queued:
            leaveQueue(front, at: now)
            refuse(front, index, status: 503, .queueWait, at: now, into: &egress)
        case .waiting where front.pointee.stream.state == .coming:
            if renewStreamTime(front, at: now) { return }
            counters.refused(.bodyRate)
            leaveServer(front, at: now, into: &egress)
            answer(front, index, status: 408, cause: .clientTimeout, phase: .headers, at: now, into: &egress)
        case .connecting, .waiting:
            front.pointee.phaseDeadline = .distantFuture
        case .responding:
            let due = front.pointee.progress + stallTime(front)
            guard due <= now else {
                front.pointee.phaseDeadline = min(due, now + shortestStall(front))
                return
            }
            let isServers = !front.pointee.isClientsTurn
            if isServers, front.pointee.hasSlot {
                noteFailure(Int(backs.pointer(Int(front.pointee.back)).pointee.server), inBody: true, at: now)
            }
            finishRecord(front, cause: isServers ? .serverTimeout : .clientTimeout, phase: .data, at: now)
            dropSlot(front, at: now, into: &egress)
            resetClient(front, into: &egress)
            removeFront(front, index, at: now)
        case .tunnel:
            let due = front.pointee.progress + limits.tunnelIdle
            guard due <= now else {
                front.pointee.phaseDeadline = due
                return
            }
            let place = Int(front.pointee.back)
            endTunnel(front, index, backs.pointer(place), place, cause: .clientTimeout, resets: true, at: now, into: &egress)
        case .closing:
            let due = front.pointee.progress + limits.sendIdle
            if !front.pointee.sender.finAcknowledged, due > now {
                front.pointee.phaseDeadline = due
                return
            }
            resetClient(front, into: &egress)
            removeFront(front, index, at: now)
        }
    }

    /// How long a response may make no progress: `send-idle` while it waits for the client, else the server's time.
    private func stallTime(_ front: FrontRef) -> Interval {
        if front.pointee.isClientsTurn { return limits[Int(front.pointee.service)].sendIdle }
        return pools[Int(front.pointee.pool)].settings.responseTimeout
    }

    /// When to look again whether a response makes progress: whose turn it is may change meanwhile.
    func shortestStall(_ front: FrontRef) -> Interval {
        min(limits[Int(front.pointee.service)].sendIdle, pools[Int(front.pointee.pool)].settings.responseTimeout)
    }

    /// Takes the slot from a request that goes no further; the server's connection is reset.
    private mutating func dropSlot(_ front: FrontRef, at now: Instant, into egress: inout Egress) {
        guard front.pointee.hasSlot else { return }
        let place = Int(front.pointee.back)
        closeBack(backs.pointer(place), place, reset: true, at: now, into: &egress)
        front.pointee.back = FrontConnection.noIndex
    }

    // MARK: Back end

    private mutating func fire(_ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress) {
        guard back.pointee.state != .closed else { return }
        if back.pointee.phaseDeadline <= now {
            phaseEnded(back, place, at: now, into: &egress)
            return
        }
        if back.pointee.acknowledgeBy <= now { acknowledge(back, into: &egress) }
        guard back.pointee.sender.deadline <= now else { return }
        if back.pointee.state == .opening {
            back.pointee.sender.timeout = back.pointee.sender.timeout * 2
            sendSYN(back, again: true, at: now, into: &egress)
        } else if let piece = back.pointee.sender.timedOut(at: now) {
            sendPiece(piece, back, into: &egress)
        }
    }

    private mutating func phaseEnded(_ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress) {
        switch (back.pointee.state, back.pointee.use) {
        case (.opening, _):
            connectFailed(back, place, at: now, into: &egress)
        case (.open, .check):
            endCheck(back, place, .timeout, at: now, into: &egress)
        case (.closing, _):
            closeBack(back, place, reset: true, at: now, into: &egress)
        case (.open, .awaitingHead):
            let working = front(of: back)
            noteFailure(Int(back.pointee.server), at: now)
            closeBack(back, place, reset: true, at: now, into: &egress)
            guard let (front, index) = working else { return }
            answer(front, index, status: 504, cause: .serverTimeout, phase: .headers, at: now, into: &egress)
            armFront(front, index)
        case (.open, .tunnel):
            // Both directions were closed in order, and TIME_WAIT is over.
            guard let (front, index) = front(of: back) else { return }
            endTunnel(front, index, back, place, cause: .normal, resets: false, at: now, into: &egress)
        default:
            back.pointee.phaseDeadline = .distantFuture
        }
    }
}
