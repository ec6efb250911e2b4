extension L73Dispatcher {
    /// A whole request: to an idle server, else into the queue ([0036], [0047]).
    mutating func enqueue(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) {
        let pool = Int(front.pointee.pool)
        let lane = lane(of: front)
        if queues[pool].count(in: lane) == 0, oldestElsewhere(pool) == nil, dispatch(front, index, at: now, into: &egress) { return }
        wait(front, index, lane: lane, atFront: false, at: now, into: &egress)
        // A head that waits for more than an idle server lets others pass.
        if let first = queues[pool].first(in: lane), queues[pool][first].kind != .plain { serveQueue(pool, at: now, into: &egress) }
    }

    /// With a hashed balance the lane of the server that the request belongs to; behind those is the lane of what has nothing to be
    /// hashed by. Else there is one lane.
    func lane(of front: FrontRef) -> Int {
        let pool = Int(front.pointee.pool)
        guard queues[pool].laneCount > 1 else { return 0 }
        let failed = front.pointee.failedServer == .max ? nil : Int(front.pointee.failedServer)
        guard front.pointee.balanceHash != 0,
            let owner = pools[pool].chooser.owner(servers, hash: front.pointee.balanceHash, excluding: failed)
        else {
            return pools[pool].servers.count
        }
        return servers[owner].index
    }

    /// Puts the request into its pool's queue.
    private mutating func wait(
        _ front: FrontRef, _ index: Int, lane: Int, atFront: Bool, at now: Instant, into egress: inout Egress
    ) {
        let pool = Int(front.pointee.pool)
        guard pools[pool].chooser.takesNew(servers) else {
            refuse(front, index, status: 503, .noServer, at: now, into: &egress)
            return
        }
        if front.pointee.answered.upgraded, !tunnelLimitsLeaveRoom(pool) {
            refuse(front, index, status: 503, .tunnelLimit, at: now, into: &egress)
            return
        }
        guard atFront || hasQueueShare(front, pool: pool) else {
            refuse(front, index, status: 503, .clientQueueShare, at: now, into: &egress)
            return
        }
        let others =
            configuration.shard.isAlone || queues[pool].laneCount > 1
            ? queues[pool].count(in: lane) : sharedPools[pool].pointee.waitingCount
        guard atFront || mayBeServedInTime(pool, behind: others, lane: lane) else {
            refuse(front, index, status: 503, .queueHopeless, at: now, into: &egress)
            return
        }
        let kind: RequestQueue.Kind = front.pointee.answered.upgraded ? .upgrade : front.pointee.stream.isActive ? .streamed : .plain
        let position = atFront ? 0 : queues[pool].count
        guard
            let entry = queues[pool].insert(
                front: UInt32(index), bytes: Int(front.pointee.outputCount), kind: kind, lane: lane,
                ticket: atFront ? SharedPool.repeated : sharedPools[pool].pointee.takeTicket(), at: now,
                since: atFront ? front.pointee.queued : nil, atFront: atFront)
        else {
            refuse(front, index, status: 503, .queueFull, at: now, into: &egress)
            return
        }
        front.pointee.queueEntry = entry
        queueEntered(pool, at: now)
        noteQueued(front, pool: pool, at: now)
        front.pointee.queuePosition = UInt32(position)
        front.pointee.phase = .queued
        front.pointee.phaseDeadline = now + pools[pool].settings.queue.wait
        pools[pool].noteQueueLength(queues[pool].count)
        armFront(front, index)
        if !configuration.shard.isAlone { serveQueue(pool, at: now, into: &egress) }
    }

    /// Whether a request behind so many others has a chance: at the rate at which the servers answered lately it would be dispatched
    /// within one and a half of the time that it may wait. What has none is refused at once instead of after that time.
    private func mayBeServedInTime(_ pool: Int, behind others: Int, lane: Int) -> Bool {
        guard others > 0 else { return true }
        var rate = 0.0
        let isOne = queues[pool].laneCount > 1 && lane < pools[pool].servers.count
        let backups = pools[pool].chooser.usesBackups(servers)
        for server in pools[pool].servers where servers[server].takesNew && servers[server].isBackup == backups {
            if isOne, servers[server].index != lane { continue }
            // Of a server that has not been measured under load nothing is known.
            guard let last = withControl(server, { $0.last }), last.isSaturated, last.responses > 0 else { return true }
            rate += last.requestRate
        }
        let wait = Double(pools[pool].settings.queue.wait.nanoseconds) / 1e9
        return Double(others) <= 1.5 * wait * rate
    }

    private func tunnelLimitsLeaveRoom(_ pool: Int) -> Bool {
        for server in pools[pool].servers {
            if servers[server].shared.pointee.openTunnels.load(ordering: .relaxed) < servers[server].tunnelLimit { return true }
        }
        return false
    }

    /// Takes a request out of its queue.
    mutating func leaveQueue(_ front: FrontRef, at now: Instant) {
        guard front.pointee.queueEntry != RequestQueue.none else { return }
        let pool = Int(front.pointee.pool)
        queues[pool].remove(front.pointee.queueEntry, at: now)
        queueLeft(pool, at: now)
        front.pointee.queueEntry = RequestQueue.none
        forgetQueued(front, pool: pool)
        pools[pool].noteQueueLength(queues[pool].count)
    }

    /// Gives each lane's head to an idle server, as long as there are both. An upgrade that finds no room for its tunnel where a request
    /// would find a server lets the requests behind it pass; when no server has room for a tunnel any more it is refused. A request whose
    /// body is streamed lets others pass while the idle servers have as many of its kind as they may.
    mutating func serveQueue(_ pool: Int, at now: Instant, into egress: inout Egress) {
        if configuration.shard.isAlone {
            serveLanes(pool, at: now, into: &egress)
        } else {
            serveBesideOthers(pool, at: now, into: &egress)
        }
    }

    /// The same, whatever other shards do.
    mutating func serveLanes(_ pool: Int, at now: Instant, into egress: inout Egress) {
        let last = queues[pool].laneCount - 1
        for lane in 0..<last {
            guard queues[pool].count > 0 else { return }
            // What may go to any server must not wait until no other waits for its own.
            if let any = queues[pool].first(in: last), let own = queues[pool].first(in: lane),
                queues[pool][any].since < queues[pool][own].since
            {
                serve(last, of: pool, at: now, into: &egress)
            }
            serve(lane, of: pool, at: now, into: &egress)
        }
        if queues[pool].count > 0 { serve(last, of: pool, at: now, into: &egress) }
    }

    private mutating func serve(_ lane: Int, of pool: Int, at now: Instant, into egress: inout Egress) {
        var next = queues[pool].first(in: lane)
        var passesUpgrades = false
        var passesStreamed = false
        while let entry = next {
            let passed =
                (passesUpgrades ? queues[pool].count(.upgrade, in: lane) : 0)
                + (passesStreamed ? queues[pool].count(.streamed, in: lane) : 0)
            guard queues[pool].count(in: lane) > passed else { return }
            next = queues[pool].next(after: entry)
            let kind = queues[pool][entry].kind
            let index = Int(queues[pool][entry].front)
            let front = fronts.pointer(index)
            if let other = oldestElsewhere(pool), other < queues[pool][entry].ticket { return }
            if kind == .upgrade && passesUpgrades || kind == .streamed && passesStreamed { continue }
            if !dispatch(front, index, at: now, into: &egress) {
                switch kind {
                case .plain: return
                case .streamed:
                    guard hasIdleServer(pool) else { return }
                    passesStreamed = true
                    continue
                case .upgrade:
                    guard hasRoom(pool) else { return }
                    if tunnelLimitsLeaveRoom(pool) {
                        passesUpgrades = true
                        continue
                    }
                    leaveQueue(front, at: now)
                    refuse(front, index, status: 503, .tunnelLimit, at: now, into: &egress)
                }
            }
            armFront(front, index)
        }
    }

    /// A server takes requests, or takes none any more: each that waits goes to the lane where it belongs now, and is answered when no
    /// server is left for it.
    mutating func reorderQueue(_ pool: Int, at now: Instant, into egress: inout Egress) {
        guard queues[pool].count > 0 else { return }
        guard pools[pool].chooser.takesNew(servers) else {
            for lane in 0..<queues[pool].laneCount {
                while let entry = queues[pool].first(in: lane) {
                    let index = Int(queues[pool][entry].front)
                    let front = fronts.pointer(index)
                    leaveQueue(front, at: now)
                    refuse(front, index, status: 503, .noServer, at: now, into: &egress)
                    armFront(front, index)
                }
            }
            return
        }
        if queues[pool].laneCount > 1 { refillQueue(pool, with: emptyQueue(pool, at: now), at: now) }
        serveQueue(pool, at: now, into: &egress)
    }

    /// Takes everything out of a queue for a moment.
    /// - Returns: what was in it, in the order in which it came.
    mutating func emptyQueue(_ pool: Int, at now: Instant) -> [RequestQueue.Entry] {
        var waiting: [RequestQueue.Entry] = []
        for lane in 0..<queues[pool].laneCount {
            while let entry = queues[pool].first(in: lane) {
                waiting.append(queues[pool][entry])
                queues[pool].remove(entry, at: now)
            }
        }
        guard queues[pool].laneCount > 1 else { return waiting }
        // Of one lane those that came at the same instant stay in their order.
        return waiting.enumerated().sorted { ($0.element.since, $0.offset) < ($1.element.since, $1.offset) }.map(\.element)
    }

    /// Puts back what was in a queue, each in the lane where it belongs now.
    mutating func refillQueue(_ pool: Int, with waiting: [RequestQueue.Entry], at now: Instant) {
        for entry in waiting {
            let front = fronts.pointer(Int(entry.front))
            let place = queues[pool].insert(
                front: entry.front, bytes: Int(entry.bytes), kind: entry.kind, lane: lane(of: front), ticket: entry.ticket, at: now,
                since: entry.since, isKept: true)
            guard let place else { preconditionFailure("no room in a queue for what was in it") }
            front.pointee.queueEntry = place
        }
    }

    private func hasIdleServer(_ pool: Int) -> Bool {
        for server in pools[pool].servers where servers[server].isIdle { return true }
        return false
    }

    /// Whether a server that gets requests now may take one more.
    func hasRoom(_ pool: Int) -> Bool {
        let backups = pools[pool].chooser.usesBackups(servers)
        for server in pools[pool].servers where servers[server].isBackup == backups && servers[server].mayTakeRequest { return true }
        return false
    }

    /// Finds the request an idle server and sends it there, or binds it to a connection that is being opened.
    /// - Returns: false when no server is idle; then nothing has changed.
    private mutating func dispatch(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) -> Bool {
        let pool = Int(front.pointee.pool)
        let failed = front.pointee.failedServer == .max ? nil : Int(front.pointee.failedServer)
        let hash = front.pointee.balanceHash
        let upgrades = front.pointee.answered.upgraded
        let streams = front.pointee.stream.isActive
        let opensOwn = upgrades || pools[pool].settings.usesProxyProtocol
        while true {
            let chosen = pools[pool].chooser.choose(servers, hash: hash, excluding: failed, now: now) { load in
                (opensOwn ? load.pointee.mayTakeRequest : load.pointee.isIdle) && (!upgrades || load.pointee.mayTunnel)
                    && (upgrades || !streams || load.pointee.mayStream)
            }
            guard let server = chosen else { return false }
            // Another shard may have been faster; then the next one, until there is none.
            guard takeTokens(server, upgrades: upgrades, streams: streams) else { continue }
            guard opensOwn else {
                leaveQueue(front, at: now)
                dispatch(front, index, to: server, at: now, into: &egress)
                return true
            }
            guard let place = takeTunnelPort(server: server, at: now) else {
                giveTokens(server, upgrades: upgrades, streams: streams)
                return false
            }
            leaveQueue(front, at: now)
            bind(front, index, to: place, at: now)
            open(place, at: now, into: &egress)
            return true
        }
    }

    /// Sends a request on a pooled connection of a server of which a token was taken.
    private mutating func dispatch(_ front: FrontRef, _ index: Int, to server: Int, at now: Instant, into egress: inout Egress) {
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
    }

    /// Takes a slot for a request.
    private mutating func bind(_ front: FrontRef, _ index: Int, to place: Int, at now: Instant) {
        let back = backs.pointer(place)
        let server = Int(back.pointee.server)
        servers[server].active += 1
        if servers[server].active > servers[server].limit { counters.overLimit &+= 1 }
        noteDispatch(back, at: now)
        servers[server].requests &+= 1
        back.pointee.isUpgrade = front.pointee.answered.upgraded
        if back.pointee.isUpgrade { servers[server].upgrades += 1 }
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
    /// - Parameter becomesTunnel: whether it keeps its token among the tunnels.
    mutating func leaveSlot(_ back: BackRef, becomesTunnel: Bool = false, at now: Instant) {
        let server = Int(back.pointee.server)
        servers[server].active -= 1
        let upgrades = back.pointee.isUpgrade
        if upgrades { servers[server].upgrades -= 1 }
        noteDeparture(back, at: now)
        let streams = back.pointee.isStreamed
        if streams {
            servers[server].streamed -= 1
            back.pointee.isStreamed = false
        }
        giveTokens(server, upgrades: upgrades && !becomesTunnel, streams: streams)
        // With a hashed balance no head tells who waits for this server.
        if queues[servers[server].pool].laneCount > 1 { wakeAllThatWait(servers[server].pool) }
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
        back.pointee.splice.firstWindow = max(tenSegments(back), front.pointee.sender.trustedFlight(at: now))
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
            if !dispatch(front, index, at: now, into: &egress) {
                wait(front, index, lane: lane(of: front), atFront: true, at: now, into: &egress)
            }
            armFront(front, index)
            return
        }
        if phase == .connect { counters.refused(.serverUnavailable) }
        answer(front, index, status: status, cause: cause, phase: phase, at: now, into: &egress)
        armFront(front, index)
    }
}
