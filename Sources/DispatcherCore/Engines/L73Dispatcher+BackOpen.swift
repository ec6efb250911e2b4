extension L73Dispatcher {
    /// Before the first frame: connections that are wanted at the start ([0032]).
    mutating func start(at now: Instant, into egress: inout Egress) {
        guard wantsStart else { return }
        wantsStart = false
        startChecks(at: now)
        for pool in 0..<poolCount {
            for server in pools[pool].servers { openAtStart(server, at: now, into: &egress) }
        }
    }

    /// The connections that a server's pool wants at the start, if it wants any.
    mutating func openAtStart(_ server: Int, at now: Instant, into egress: inout Egress) {
        let settings = pools[servers[server].pool].settings
        guard settings.open == .atStart, !settings.usesProxyProtocol else { return }
        let most = (servers[server].limit + configuration.shard.count - 1) / configuration.shard.count
        while servers[server].mayOpen, servers[server].connections < most, let slot = slotLinks.popFirst(from: &servers[server].notInUse) {
            slotLinks.append(slot, to: &servers[server].opening)
            open(slot, at: now, into: &egress)
        }
    }

    /// A client connected: one more back-end connection, when none is idle or being opened and the limit allows it ([0060]).
    mutating func openInAdvance(pool: Int, at now: Instant, into egress: inout Egress) {
        guard !pools[pool].settings.usesProxyProtocol else { return }
        for server in pools[pool].servers where !servers[server].idle.isEmpty || !servers[server].opening.isEmpty { return }
        // The turn stays whose it is: the request takes it.
        let next = pools[pool].chooser.choose(servers, hash: 0, excluding: nil, now: now, isTurn: false) { $0.pointee.isIdle }
        guard let server = next, servers[server].mayOpen,
            let slot = slotLinks.popFirst(from: &servers[server].notInUse)
        else { return }
        slotLinks.append(slot, to: &servers[server].opening)
        open(slot, at: now, into: &egress)
    }

    /// Sends the SYN of a slot, from the port of a layer that is not in TIME_WAIT ([0059]).
    mutating func open(_ place: Int, at now: Instant, into egress: inout Egress) {
        let back = backs.pointer(place)
        let server = Int(back.pointee.server)
        var floor: SequenceNumber?
        if !back.pointee.isOwn {
            let layer = freshLayer(of: place, at: now)
            back.pointee.layer = UInt8(layer)
            let ports = configuration.ports
            back.pointee.local = Endpoint(
                address: servers[server].source,
                port: ports.port(layer: layer, server: place / ports.connections, connection: place % ports.connections))
            let last = portFloor[layer * ports.slots + place]
            if last.closed != 0 { floor = SequenceNumber(last.number) }
        }
        generation &+= 1
        back.pointee.generation = generation
        back.pointee.state = .opening
        let initial = initialSequence.make(source: back.pointee.local, destination: serverEndpoint(back), floor: floor, at: now)
        let connectTimeout = pools[servers[server].pool].settings.connectTimeout
        // A SYN is repeated after a second (RFC 6298 2.1), or sooner when there is less time than three of those.
        let transmission = hasWork(back) ? back.pointee.sender.transmission : transmissions.claim()
        if !hasWork(back) { back.pointee.work = backWork.place(BackWork()) }
        back.pointee.sender = Sender(
            initial: initial, segmentSize: UInt16(servers[server].segmentSize), timeout: min(Sender.initialTimeout, connectTimeout / 3),
            transmission: transmission)
        back.pointee.receiveNext = SequenceNumber(0)
        back.pointee.receiveHighest = SequenceNumber(0)
        back.pointee.told = SequenceNumber(0)
        back.pointee.finReceived = false
        back.pointee.opensAgain = false
        back.pointee.closesAfter = false
        back.pointee.acknowledgeBy = .distantFuture
        back.pointee.phaseDeadline = now + connectTimeout
        back.pointee.openedAt = .distantPast
        if back.pointee.use != .check { servers[server].connects &+= 1 }
        sendSYN(back, again: false, at: now, into: &egress)
        armBack(back, place)
    }

    mutating func sendSYN(_ back: BackRef, again: Bool, at now: Instant, into egress: inout Egress) {
        var segment = OutgoingSegment(
            side: .server, source: back.pointee.local, destination: serverEndpoint(back), sequence: back.pointee.sender.unacknowledged,
            acknowledgement: SequenceNumber(0), flags: .syn, window: 65_535,
            segmentSize: servers[Int(back.pointee.server)].segmentSize)
        segment.maximumSegmentSize = UInt16(serverMSS(back))
        if configuration.tcp.options == .all {
            segment.windowScale = NegotiatedOptions.ourShift
            segment.sackPermitted = true
        }
        back.pointee.sender.armTimer(at: now)
        send(segment, .empty, .connect, again: again, into: &egress)
    }

    /// The next layer of a slot whose port was closed long enough ago; when there is none, the one closed first: its new sequence
    /// numbers lie above the old ones, so that the server accepts it all the same.
    private func freshLayer(of slot: Int, at now: Instant) -> Int {
        let ports = configuration.ports
        let current = Int(backs.pointer(slot).pointee.layer)
        var oldest = current
        for step in 0..<ports.layers {
            let layer = (current + step) % ports.layers
            let closed = portFloor[layer * ports.slots + slot].closed
            if closed == 0 || now.nanoseconds - closed >= configuration.tcp.serverTimeWait.nanoseconds { return layer }
            if closed < portFloor[oldest * ports.slots + slot].closed { oldest = layer }
        }
        return oldest
    }

    /// A connection of the tunnel range for an upgrade; nil when the server has no free port there or the table is full.
    mutating func takeTunnelPort(server: Int, at now: Instant) -> Int? {
        let ports = configuration.ports
        let last = isForwarded(server) ? ports.firstForwardedPort - 1 : ports.last
        let count = last - ports.firstTunnelPort + 1
        guard count > 0 else { return nil }
        var connection = BackConnection(
            server: UInt16(server), work: blankBackWork.pointer, transmission: blankTransmission.pointer)
        connection.isOwn = true
        for _ in 0..<min(count, 64 * configuration.shard.count) {
            let port = nextTunnelPort[server]
            nextTunnelPort[server] = port >= last ? ports.firstTunnelPort : port + 1
            guard configuration.shard.has(port: port) else { continue }
            let hash = tunnelHash(server: server, port: UInt16(port))
            let isTaken =
                tunnelTable.find(hash) { index in
                    Int(backs.pointer(index).pointee.server) == server && Int(backs.pointer(index).pointee.local.port) == port
                } != nil
            if isTaken { continue }
            connection.local = Endpoint(address: servers[server].source, port: UInt16(port))
            guard let place = backs.insert(connection) else { return nil }
            tunnelTable.insert(hash, place)
            return place
        }
        return nil
    }

    /// A segment while our SYN is on its way (RFC 9293 3.10.7.3).
    mutating func receiveWhileOpening(
        _ segment: Segment, back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        let initial = back.pointee.sender.unacknowledged
        let acknowledgesSYN = segment.flags.contains(.ack) && segment.acknowledgement == initial + 1
        if segment.flags.contains(.rst) {
            guard acknowledgesSYN else { return .dropped(.resetOutOfWindow) }
            connectFailed(back, place, wasRefused: true, at: now, into: &egress)
            return .consumed
        }
        guard acknowledgesSYN else {
            if segment.flags.contains(.ack) {
                // From an earlier life of this port: the server forgets it, and our next SYN is taken. That one goes out behind the RST, once:
                // a second of waiting is what the first request after a restart would pay, and forged segments must not make a storm.
                answerWithReset(segment, on: .server, at: now, into: &egress)
                if !back.pointee.opensAgain {
                    back.pointee.opensAgain = true
                    sendSYN(back, again: true, at: now, into: &egress)
                }
                return .dropped(.acknowledgesUnsent)
            }
            guard segment.flags.contains(.syn) else { return .dropped(.noAcknowledgement) }
            // A SYN without ACK would be a simultaneous open ([0057] d).
            answerWithReset(segment, on: .server, at: now, into: &egress)
            return .dropped(.synInConnection)
        }
        guard segment.flags.contains(.syn) else { return .dropped(.noConnection) }
        let absent: UInt16 = segment.source.address.isIPv4 ? 536 : 1_220
        let offered = segment.options.maximumSegmentSize == 0 ? absent : segment.options.maximumSegmentSize
        let path = paths.segmentSize(to: segment.source.address, on: .server, at: now)
        let size = UInt16(min(max(Int(offered), 48), servers[Int(back.pointee.server)].segmentSize, path))
        back.pointee.state = .open
        back.pointee.sender = Sender(initial: initial + 1, segmentSize: size, transmission: back.pointee.sender.transmission)
        let offers = configuration.tcp.options == .all
        back.pointee.options = NegotiatedOptions(
            peerScale: offers && segment.options.windowScale != 255 ? segment.options.windowScale : nil,
            sackPermitted: offers && segment.options.sackPermitted)
        back.pointee.sender.setWindow(segment, bytes: Int(segment.window))
        back.pointee.sender.sackPermitted = back.pointee.options.sackPermitted
        back.pointee.receiveNext = segment.sequence + 1
        back.pointee.receiveHighest = segment.sequence + 1
        back.pointee.told = segment.sequence + 1
        back.pointee.shownEdge = segment.sequence + 1
        back.pointee.openedAt = now
        if back.pointee.use == .check {
            checkOpened(back, place, at: now, into: &egress)
            return .consumed
        }
        back.pointee.phaseDeadline = .distantFuture
        let server = Int(back.pointee.server)
        servers[server].isReachable = true
        if back.pointee.use == .bound {
            sendRequest(back, place, at: now, into: &egress)
        } else {
            acknowledge(back, kind: .handshake, into: &egress)
            slotLinks.remove(place, from: &servers[server].opening)
            becomeIdle(back, place, at: now, into: &egress)
        }
        return .consumed
    }

    /// No connection came about: refused, or no answer in time.
    mutating func connectFailed(_ back: BackRef, _ place: Int, wasRefused: Bool = false, at now: Instant, into egress: inout Egress) {
        if back.pointee.use == .check { return endCheck(back, place, wasRefused ? .refused : .noConnection, at: now, into: &egress) }
        let server = Int(back.pointee.server)
        servers[server].connectFailures &+= 1
        servers[server].isReachable = false
        noteFailure(server, at: now)
        let bound = back.pointee.use == .bound ? front(of: back) : nil
        closeBack(back, place, reset: false, at: now, into: &egress)
        if let (front, index) = bound {
            repeatOrAnswer(
                front, index, mayRepeat: true, failed: server, status: 503, cause: .server, phase: .connect, at: now, into: &egress)
        }
    }

    /// An open connection without request: to the idle queue, and the request queue's head may go ([0036]).
    mutating func becomeIdle(_ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress) {
        let server = Int(back.pointee.server)
        back.pointee.use = .none
        back.pointee.front = BackConnection.noIndex
        back.pointee.phaseDeadline = .distantFuture
        if isStopping || servers[server].condition.isShut {
            closeIdle(back, place, at: now, into: &egress)
        } else {
            slotLinks.append(place, to: &servers[server].idle)
            armBack(back, place)
            noteExcess(server, at: now)
        }
        serveQueue(servers[server].pool, at: now, into: &egress)
    }
}
