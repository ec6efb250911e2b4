extension L73Dispatcher {
    // MARK: Back end

    /// Closes an idle connection in order: our FIN, then theirs. It is in no queue.
    mutating func closeIdle(_ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress) {
        servers[Int(back.pointee.server)].closing += 1
        back.pointee.state = .closing
        back.pointee.use = .none
        back.pointee.front = BackConnection.noIndex
        back.pointee.sender.finQueued = true
        back.pointee.phaseDeadline = now + .seconds(5)
        pump(back, at: now, into: &egress)
        armBack(back, place)
    }

    /// Ends a back-end connection at once, whatever it does: its port goes to the not-in-use queue. A request on it is left alone: the
    /// caller takes care of it.
    mutating func closeBack(_ back: BackRef, _ place: Int, reset: Bool, at now: Instant, into egress: inout Egress) {
        guard back.pointee.state != .closed else { return }
        if reset, back.pointee.state != .opening { resetServer(back, into: &egress) }
        let server = Int(back.pointee.server)
        switch (back.pointee.state, back.pointee.use) {
        case (.closing, _): servers[server].closing -= 1
        case (_, .tunnel):
            servers[server].tunnels -= 1
            servers[server].shared.pointee.openTunnels.wrappingSubtract(1, ordering: .relaxed)
            servers[server].shared.pointee.tunnels.give()
            wakeAllThatWait(servers[server].pool)
            if servers[server].tunnels == 0, isStopping || servers[server].tunnelsEndAfter != .distantFuture { planDrain(at: now) }
        case (_, .check): if checks[server].place == place { checks[server].place = nil }
        case (_, .bound), (_, .awaitingHead), (_, .body), (_, .staged): leaveSlot(back, at: now)
        case (.opening, .none): slotLinks.remove(place, from: &servers[server].opening)
        case (_, .none): slotLinks.remove(place, from: &servers[server].idle)
        }
        if let (front, _) = front(of: back) { front.pointee.back = FrontConnection.noIndex }
        releaseBuffers(back)
        timers.disarm(backTimer(place))
        back.pointee.state = .closed
        back.pointee.use = .none
        back.pointee.front = BackConnection.noIndex
        back.pointee.acknowledgeBy = .distantFuture
        back.pointee.owesBy = .distantFuture
        back.pointee.phaseDeadline = .distantFuture
        back.pointee.sender.deadline = .distantFuture
        if back.pointee.isOwn {
            let slab = backs.pointer(0)
            let key = hashKey
            tunnelTable.remove(tunnelHash(server: server, port: back.pointee.local.port), place) {
                L73Dispatcher.tunnelHash(slab + $0, key)
            }
            giveWork(back)
            if !back.pointee.sender.onlyForwards { transmissions.remove(back.pointee.sender.transmission) }
            backs.remove(place)
        } else {
            portFloor[Int(back.pointee.layer) * configuration.ports.slots + place] = (
                SequenceNumber.later(back.pointee.sender.highest, back.pointee.sender.streamEnd).value, max(now.nanoseconds, 1)
            )
            slotLinks.append(place, to: &servers[server].notInUse)
        }
        serveQueue(servers[server].pool, at: now, into: &egress)
    }

    mutating func releaseBuffers(_ back: BackRef) {
        guard hasWork(back) else { return }
        buffers.give(&back.pointee.held)
        buffers.give(&back.pointee.gap)
        giveCustody(back)
        back.pointee.heldCount = 0
        back.pointee.beyondGap = Reassembly()
    }

    // MARK: Front end

    mutating func releaseBuffers(_ front: FrontRef) {
        giveOwn(front)
        giveWork(front)
    }

    /// The client has reset its connection, or is given up.
    mutating func clientLeft(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) {
        abandon(front, index, cause: .client, at: now, into: &egress)
        removeFront(front, index, at: now)
    }

    /// Takes a request off its queue or server because its client is gone; a record says where it was.
    mutating func abandon(_ front: FrontRef, _ index: Int, cause: Termination.Cause, at now: Instant, into egress: inout Egress) {
        let phase = front.pointee.phase
        leaveQueue(front, at: now)
        switch phase {
        case .idle, .closing: return
        case .reading: finishRecord(front, cause: cause, phase: .request, at: now)
        case .queued: finishRecord(front, cause: cause, phase: .queue, at: now)
        case .connecting: finishRecord(front, cause: cause, phase: .connect, at: now)
        case .waiting: finishRecord(front, cause: cause, phase: .headers, at: now)
        case .responding: finishRecord(front, cause: cause, phase: .data, at: now)
        case .tunnel: finishRecord(front, kind: .tunnelClosed, cause: cause, phase: .tunnel, at: now)
        }
        leaveServer(front, at: now, into: &egress)
    }

    /// Takes a request off the server that it was given to, if any.
    mutating func leaveServer(_ front: FrontRef, at now: Instant, into egress: inout Egress) {
        guard front.pointee.hasSlot else { return }
        let place = Int(front.pointee.back)
        front.pointee.back = FrontConnection.noIndex
        // A connection that is still being opened serves somebody else; one with half a response on it cannot.
        let back = backs.pointer(place)
        if back.pointee.use == .bound, !back.pointee.isOwn {
            let server = Int(back.pointee.server)
            leaveSlot(back, at: now)
            back.pointee.use = .none
            back.pointee.front = BackConnection.noIndex
            slotLinks.append(place, to: &servers[server].opening)
            serveQueue(servers[server].pool, at: now, into: &egress)
        } else {
            back.pointee.front = BackConnection.noIndex
            closeBack(back, place, reset: true, at: now, into: &egress)
        }
    }

    /// Whether nothing more will happen on a closing connection; then its place is given back.
    mutating func closeIfDone(_ front: FrontRef, _ index: Int, at now: Instant) {
        guard front.pointee.phase == .closing, front.pointee.sender.finAcknowledged else { return }
        // We closed first, or both at once: TIME_WAIT. When the client closed first it has the last word (LAST_ACK).
        if front.pointee.finReceived { removeFront(front, index, at: now, inTimeWait: !front.pointee.closedByClient) }
    }

    /// Gives a front-end connection's place back. Nothing of it may be on a server or in a queue.
    mutating func removeFront(_ front: FrontRef, _ index: Int, at now: Instant, inTimeWait: Bool = false) {
        leaveQueue(front, at: now)
        isIdleNoMore(front, index)
        forgetConnection(front)
        timeWait.insert(
            TimeWait.Record(
                client: front.pointee.client, listener: front.pointee.listener, receiveNext: front.pointee.receiveNext,
                isMemory: !inTimeWait),
            at: now)
        releaseBuffers(front)
        timers.disarm(index)
        services[Int(front.pointee.service)].frontConnections -= 1
        let slab = fronts.pointer(0)
        let key = hashKey
        frontTable.remove(Self.hash(front, key), index) { L73Dispatcher.hash(slab + $0, key) }
        generation &+= 1
        front.pointee.generation = generation
        front.pointee.isOpen = false
        front.pointee.back = FrontConnection.noIndex
        if !front.pointee.sender.onlyForwards { transmissions.remove(front.pointee.sender.transmission) }
        fronts.remove(index)
    }
}
