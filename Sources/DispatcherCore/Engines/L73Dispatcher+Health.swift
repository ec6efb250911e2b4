/// Health checks: requests that the dispatcher makes itself, over connections of the tunnel range that carry one each, from the address
/// that the servers know it by.
extension L73Dispatcher {
    /// The first checks: spread over the time between two, so that they do not all come at once.
    mutating func startChecks(at now: Instant) {
        for pool in 0..<poolCount {
            for server in pools[pool].servers { planCheck(server, at: now) }
        }
    }

    /// The first check of a server, where its pool is checked.
    mutating func planCheck(_ server: Int, at now: Instant) {
        let pool = pools[servers[server].pool]
        guard let health = pool.settings.health, configuration.shard.leads else { return }
        checks[server].next = now + health.every * Int64(servers[server].index) / Int64(pool.servers.count)
        armServer(server, at: now)
    }

    /// A check is due.
    mutating func check(_ server: Int, at now: Instant, into egress: inout Egress) {
        guard configuration.shard.leads, let health = pools[servers[server].pool].settings.health, checks[server].next <= now else {
            return
        }
        checks[server].next = now + health.every
        // One that is still under way has its own time; nobody is checked who was ordered down.
        guard checks[server].place == nil, !servers[server].condition.isShut, !isStopping else { return }
        guard let place = takeTunnelPort(server: server, at: now) else {
            finishCheck(server, .noPort, at: now, into: &egress)
            return
        }
        backs.pointer(place).pointee.use = .check
        checks[server].place = place
        open(place, at: now, into: &egress)
        backs.pointer(place).pointee.phaseDeadline = now + health.timeout
        armBack(backs.pointer(place), place)
    }

    /// The connection of a check is open: that is enough, or the request goes out.
    mutating func checkOpened(_ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress) {
        let server = Int(back.pointee.server)
        guard let request = checkRequests[server] else {
            acknowledge(back, kind: .handshake, into: &egress)
            endCheck(back, place, .good, at: now, into: &egress)
            return
        }
        back.pointee.scanner = HeadScanner(leadingEmptyLines: 0)
        guard back.pointee.sender.beginOwn() == 0 else { preconditionFailure("a check behind something else") }
        back.pointee.sender.appendOwn(request.count)
        pump(back, at: now, into: &egress)
        armBack(back, place)
    }

    /// What a server sends on a check's connection.
    mutating func receiveCheck(
        _ segment: Segment, _ frame: RawSpan, _ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        // In order only: what is missing comes again.
        let known = back.pointee.receiveNext.distance(from: segment.sequence)
        guard known >= 0 else {
            acknowledge(back, into: &egress)
            return .dropped(.gapNotKept)
        }
        if known < segment.payloadLength {
            let from = segment.payloadOffset + known
            // Most servers close right behind the answer: then our FIN acknowledges theirs.
            if segment.flags.contains(.fin) { back.pointee.finReceived = true }
            frame.extracting(from..<segment.payloadOffset + segment.payloadLength).withUnsafeBytes { bytes in
                back.pointee.receiveNext += bytes.count
                back.pointee.receiveHighest = SequenceNumber.later(back.pointee.receiveHighest, back.pointee.receiveNext)
                readCheck(bytes, back, place, at: now, into: &egress)
            }
            guard back.pointee.use == .check, back.pointee.state == .open else { return .consumed }
        }
        if segment.flags.contains(.fin), segment.payloadEnd == back.pointee.receiveNext {
            back.pointee.finReceived = true
            endCheck(back, place, .closed, at: now, into: &egress)
        } else {
            acknowledge(back, into: &egress)
        }
        return .consumed
    }

    private mutating func readCheck(
        _ bytes: UnsafeRawBufferPointer, _ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) {
        let server = Int(back.pointee.server)
        guard let health = pools[servers[server].pool].settings.health else { return }
        let held = Int(back.pointee.heldCount)
        let most = 16 << 10
        let taken = min(bytes.count, most - held)
        guard taken > 0, buffers.grow(&back.pointee.held, to: held + taken, keeping: held) else {
            endCheck(back, place, .malformed, at: now, into: &egress)
            return
        }
        (back.pointee.held.base! + held).copyMemory(from: bytes.baseAddress!, byteCount: taken)
        back.pointee.heldCount = UInt32(held + taken)
        let seen = back.pointee.held.bytes(0, count: held + taken)
        switch back.pointee.scanner.scan(seen, limit: most) {
        case .incomplete: return
        case .tooLong, .malformed: endCheck(back, place, .malformed, at: now, into: &egress)
        case .complete(let length):
            let text = UnsafeRawBufferPointer(rebasing: seen[0..<length])
            let judged = ResponseHead.parse(
                text, request: AnsweredRequest(isHead: false, upgraded: false, minorVersion: 1),
                limits: HeadLimits(head: UInt32(most), fields: 100, body: UInt64(Int64.max)))
            guard case .good(let head) = judged, !head.switchesProtocols else {
                endCheck(back, place, .malformed, at: now, into: &egress)
                return
            }
            if head.isInterim {
                // The one that counts comes behind it.
                let rest = seen.count - length
                if rest > 0 { back.pointee.held.base!.copyMemory(from: back.pointee.held.base! + length, byteCount: rest) }
                back.pointee.heldCount = 0
                back.pointee.scanner = HeadScanner(leadingEmptyLines: 0)
                if rest > 0 {
                    let kept = back.pointee.held.bytes(0, count: rest)
                    readCheck(kept, back, place, at: now, into: &egress)
                }
                return
            }
            let hasMoreRoom = takeReport(head, text, server, health, at: now)
            endCheck(back, place, health.expect.contains(head.status) ? .good : .status, at: now, into: &egress)
            if hasMoreRoom { serveQueue(servers[server].pool, at: now, into: &egress) }
        }
    }

    /// A figure that the server reports of itself ([0039]).
    /// - Returns: whether it may have more tunnels by that.
    private mutating func takeReport(
        _ head: ResponseHead, _ text: UnsafeRawBufferPointer, _ server: Int, _ health: HealthConfiguration, at now: Instant
    ) -> Bool {
        guard !health.reportHeader.isEmpty else { return false }
        let reported = health.reportHeader.withUnsafeBytes { head.value(ofField: $0, of: text).flatMap(HealthCheck.number) }
        guard let reported else {
            checks[server].reportsInvalid &+= 1
            return false
        }
        if isForwarded(server) {
            findings.append(CheckFinding(pool: servers[server].pool, server: servers[server].endpoint, isHealthy: nil, report: reported))
            return false
        }
        withControl(server) { $0.report(reported) }
        guard pools[servers[server].pool].settings.tunnelControl != .fixed else { return false }
        var figures = Performance()
        figures.length = health.every
        figures.limit = servers[server].tunnelLimit
        let tunnels = servers[server].shared.pointee.openTunnels.load(ordering: .relaxed)
        figures.meanOutstanding = Double(tunnels)
        figures.mostOutstanding = tunnels
        figures.reported = reported
        let before = servers[server].tunnelLimit
        servers[server].tunnelLimit = tunnelControls[server].take(figures)
        if servers[server].tunnelLimit != before {
            note(server, .tunnelLimit(from: before, to: servers[server].tunnelLimit, reason: tunnelControls[server].reason), at: now)
        }
        return servers[server].tunnelLimit > before
    }

    /// A check is over; its connection closes in order where that can be, or is reset.
    /// - Parameter wasReset: the server has reset it.
    mutating func endCheck(
        _ back: BackRef, _ place: Int, _ result: CheckResult, wasReset: Bool = false, at now: Instant, into egress: inout Egress
    ) {
        let server = Int(back.pointee.server)
        checks[server].place = nil
        let isWell = back.pointee.state == .open && (result == .good || result == .status) && !back.pointee.sender.hasUnacknowledgedOwn
        if isWell {
            releaseBuffers(back)
            back.pointee.use = .none
            back.pointee.discards = true
            closeIdle(back, place, at: now, into: &egress)
        } else {
            closeBack(back, place, reset: back.pointee.state == .open && !wasReset, at: now, into: &egress)
        }
        finishCheck(server, result, at: now, into: &egress)
    }

    private mutating func finishCheck(_ server: Int, _ result: CheckResult, at now: Instant, into egress: inout Egress) {
        guard let health = pools[servers[server].pool].settings.health else { return }
        let change = checks[server].take(result, isHealthy: servers[server].condition.isHealthy, health)
        if let change {
            changeState(of: server, because: .healthCheck, at: now) { $0.isHealthy = change }
            if !configuration.shard.isAlone {
                announcements.append(.setHealth(pool: servers[server].pool, server: servers[server].endpoint, isHealthy: change))
            }
            reorderQueue(servers[server].pool, at: now, into: &egress)
        }
        armServer(server, at: now)
    }

    /// The request of a server's HTTP checks; nil = opening a connection is enough, or there are none.
    static func checkRequest(to server: Endpoint, _ pool: PoolConfiguration) -> UnsafeRawBufferPointer? {
        guard let health = pool.health, !health.path.isEmpty else { return nil }
        let head = "HTTP/1.1\r\nHost: \(server)\r\nUser-Agent: sluice\r\nAccept: */*\r\nConnection: close\r\n\r\n"
        let lead = pool.usesProxyProtocol ? ProxyHeader.own : []
        let request = lead + Array("GET ".utf8) + health.path + Array(" ".utf8) + Array(head.utf8)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: request.count, alignment: 1)
        memory.copyBytes(from: request)
        return UnsafeRawBufferPointer(memory)
    }
}
