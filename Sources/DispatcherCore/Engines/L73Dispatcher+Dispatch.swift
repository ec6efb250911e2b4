extension L73Dispatcher {
    /// A whole request: to an idle server, else into the queue ([0036], [0047]).
    mutating func enqueue(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) {
        let pool = Int(front.pointee.pool)
        if queues[pool].count == 0, dispatch(front, index, at: now, into: &egress) { return }
        wait(front, index, atFront: false, at: now, into: &egress)
        // A head that waits for more than an idle server lets others pass.
        if let first = queues[pool].first, queues[pool][first].kind != .plain { serveQueue(pool, at: now, into: &egress) }
    }

    /// Puts the request into its pool's queue.
    private mutating func wait(_ front: FrontRef, _ index: Int, atFront: Bool, at now: Instant, into egress: inout Egress) {
        let pool = Int(front.pointee.pool)
        if front.pointee.answered.upgraded, !tunnelLimitsLeaveRoom(pool) {
            refuse(front, index, status: 503, .tunnelLimit, at: now, into: &egress)
            return
        }
        guard atFront || hasQueueShare(front, pool: pool) else {
            refuse(front, index, status: 503, .clientQueueShare, at: now, into: &egress)
            return
        }
        let kind: RequestQueue.Kind = front.pointee.answered.upgraded ? .upgrade : front.pointee.stream.isActive ? .streamed : .plain
        let position = atFront ? 0 : queues[pool].count
        guard
            let entry = queues[pool].insert(
                front: UInt32(index), bytes: Int(front.pointee.outputCount), kind: kind, at: now, atFront: atFront)
        else {
            refuse(front, index, status: 503, .queueFull, at: now, into: &egress)
            return
        }
        front.pointee.queueEntry = entry
        noteQueued(front, pool: pool, at: now)
        front.pointee.queuePosition = UInt32(position)
        front.pointee.phase = .queued
        front.pointee.phaseDeadline = now + pools[pool].settings.queue.wait
        pools[pool].noteQueueLength(queues[pool].count)
        armFront(front, index)
    }

    private func tunnelLimitsLeaveRoom(_ pool: Int) -> Bool {
        for server in pools[pool].servers where servers[server].tunnels < servers[server].tunnelLimit { return true }
        return false
    }

    /// Takes a request out of its queue.
    mutating func leaveQueue(_ front: FrontRef) {
        guard front.pointee.queueEntry != RequestQueue.none else { return }
        let pool = Int(front.pointee.pool)
        queues[pool].remove(front.pointee.queueEntry)
        front.pointee.queueEntry = RequestQueue.none
        forgetQueued(front, pool: pool)
        pools[pool].noteQueueLength(queues[pool].count)
    }

    /// Gives the queue's head to an idle server, as long as there are both. An upgrade that finds no room for its tunnel where a request
    /// would find a server lets the requests behind it pass; when no server has room for a tunnel any more it is refused. A request whose
    /// body is streamed lets others pass while the idle servers have as many of its kind as they may.
    mutating func serveQueue(_ pool: Int, at now: Instant, into egress: inout Egress) {
        var next = queues[pool].first
        var passesUpgrades = false
        var passesStreamed = false
        while let entry = next {
            let passed = (passesUpgrades ? queues[pool].count(.upgrade) : 0) + (passesStreamed ? queues[pool].count(.streamed) : 0)
            guard queues[pool].count > passed else { return }
            next = queues[pool].next(after: entry)
            let kind = queues[pool][entry].kind
            let index = Int(queues[pool][entry].front)
            let front = fronts.pointer(index)
            if kind == .upgrade && passesUpgrades || kind == .streamed && passesStreamed { continue }
            if !dispatch(front, index, at: now, into: &egress) {
                switch kind {
                case .plain: return
                case .streamed:
                    guard hasIdleServer(pool) else { return }
                    passesStreamed = true
                    continue
                case .upgrade:
                    guard mayTakeRequest(pool) else { return }
                    if tunnelLimitsLeaveRoom(pool) {
                        passesUpgrades = true
                        continue
                    }
                    leaveQueue(front)
                    refuse(front, index, status: 503, .tunnelLimit, at: now, into: &egress)
                }
            }
            armFront(front, index)
        }
    }

    private func hasIdleServer(_ pool: Int) -> Bool {
        for server in pools[pool].servers where servers[server].isIdle { return true }
        return false
    }

    private func mayTakeRequest(_ pool: Int) -> Bool {
        for server in pools[pool].servers where servers[server].mayTakeRequest { return true }
        return false
    }

    /// Finds the request an idle server and sends it there, or binds it to a connection that is being opened.
    /// - Returns: false when no server is idle; then nothing has changed.
    private mutating func dispatch(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) -> Bool {
        let pool = Int(front.pointee.pool)
        let failed = front.pointee.failedServer == .max ? nil : Int(front.pointee.failedServer)
        if front.pointee.answered.upgraded {
            guard let server = pools[pool].nextServerForUpgrade(servers, excluding: failed),
                let place = takeTunnelPort(server: server, at: now)
            else { return false }
            leaveQueue(front)
            bind(front, index, to: place, at: now)
            open(place, at: now, into: &egress)
            return true
        }
        guard let server = pools[pool].nextIdleServer(servers, excluding: failed, streams: front.pointee.stream.isActive) else {
            return false
        }
        leaveQueue(front)
        if let slot = slotLinks.popFirst(from: &servers[server].idle) {
            bind(front, index, to: slot, at: now)
            sendRequest(backs.pointer(slot), slot, at: now, into: &egress)
        } else if let slot = slotLinks.popFirst(from: &servers[server].opening) {
            bind(front, index, to: slot, at: now)
        } else if let slot = slotLinks.popFirst(from: &servers[server].notInUse) {
            bind(front, index, to: slot, at: now)
            open(slot, at: now, into: &egress)
        } else {
            preconditionFailure("an idle server without a slot")
        }
        return true
    }

    /// Takes a slot for a request.
    private mutating func bind(_ front: FrontRef, _ index: Int, to place: Int, at now: Instant) {
        let back = backs.pointer(place)
        let server = Int(back.pointee.server)
        if !servers[server].mayTakeRequest { counters.overLimit &+= 1 }
        servers[server].active += 1
        servers[server].requests &+= 1
        if front.pointee.stream.isActive {
            servers[server].streamed += 1
            back.pointee.isStreamed = true
        }
        back.pointee.use = .bound
        back.pointee.epoch &+= 1
        back.pointee.front = UInt32(index)
        back.pointee.splice = Splice()
        back.pointee.splice.frontGeneration = front.pointee.generation
        front.pointee.back = UInt32(place)
        front.pointee.lastServer = UInt16(server)
        front.pointee.phase = .connecting
        front.pointee.phaseDeadline = .distantFuture
        front.pointee.slotTaken = now
        front.pointee.connectTime = .zero
    }

    /// A request leaves its place at the server.
    func leaveSlot(_ back: BackRef) {
        let server = Int(back.pointee.server)
        servers[server].active -= 1
        if back.pointee.isStreamed {
            servers[server].streamed -= 1
            back.pointee.isStreamed = false
        }
    }

    /// Sends the bound request on an open connection: its epoch begins ([0062] step 1).
    mutating func sendRequest(_ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress) {
        guard let (front, index) = front(of: back) else { preconditionFailure("a bound connection without its request") }
        back.pointee.use = .awaitingHead
        back.pointee.scanner = HeadScanner(leadingEmptyLines: 0)
        back.pointee.interims = 0
        back.pointee.closesAfter = back.pointee.isOwn
        back.pointee.resetsAfter = false
        back.pointee.serverFin = nil
        back.pointee.custodyRefused = false
        back.pointee.framer = ResponseFramer(.none)
        back.pointee.splice.start = back.pointee.receiveNext
        back.pointee.splice.floor = back.pointee.receiveNext
        back.pointee.splice.firstWindow = max(tenSegments(back), front.pointee.trustedFlight(at: now))
        back.pointee.shownEdge = back.pointee.receiveNext
        front.pointee.connectTime =
            back.pointee.openedAt > front.pointee.slotTaken ? back.pointee.openedAt - front.pointee.slotTaken : .zero
        front.pointee.phase = .waiting
        front.pointee.sent = now
        back.pointee.phaseDeadline = now + pools[Int(front.pointee.pool)].settings.responseTimeout
        guard back.pointee.sender.beginOwn() == 0 else { preconditionFailure("a request behind one that is not acknowledged") }
        back.pointee.sender.appendOwn(Int(front.pointee.outputCount - front.pointee.stream.start))
        pump(back, at: now, into: &egress)
        if front.pointee.stream.isActive { bodyBegins(front, back, at: now) }
        armFront(front, index)
        armBack(back, place)
    }

    /// The request left its server without an answer: once more on another connection, at the queue's front, or `status` for the client.
    mutating func repeatOrAnswer(
        _ front: FrontRef, _ index: Int, mayRepeat: Bool, failed server: Int, status: Int, cause: Termination.Cause,
        phase: Termination.Phase, at now: Instant, into egress: inout Egress
    ) {
        let pool = Int(front.pointee.pool)
        if mayRepeat, Int(front.pointee.retries) < pools[pool].settings.retries {
            front.pointee.retries += 1
            front.pointee.failedServer = UInt16(server)
            counters.repeatedRequests &+= 1
            if !dispatch(front, index, at: now, into: &egress) { wait(front, index, atFront: true, at: now, into: &egress) }
            armFront(front, index)
            return
        }
        if phase == .connect { counters.refused(.serverUnavailable) }
        answer(front, index, status: status, cause: cause, phase: phase, at: now, into: &egress)
        armFront(front, index)
    }
}
