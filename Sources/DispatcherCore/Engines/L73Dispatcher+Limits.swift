/// What one client may have (`limits.per-client-*`, `queue.per-client`), and how a table that is nearly full makes room.
extension L73Dispatcher {
    // MARK: One client

    func client(_ front: FrontRef) -> ClientTable.Client {
        ClientTable.Client(front.pointee.client.address, scope: Int(front.pointee.service))
    }

    /// A pool's queue has a number behind those of the services.
    func queueing(_ front: FrontRef, pool: Int) -> ClientTable.Client {
        ClientTable.Client(front.pointee.client.address, scope: configuration.services.count + pool)
    }

    /// Why a client may not have one more connection. Asked at its SYN, where an answer costs least, and again when the handshake is
    /// complete: only then is the address known to be its own, and only then anything is noted.
    func clientLimit(_ address: IPAddress, service: Int, at now: Instant) -> RefusalReason? {
        let connections = limits[service].perClientConnections
        let perSecond = limits[service].perClientNewConnections
        guard connections > 0 || perSecond > 0 else { return nil }
        let client = ClientTable.Client(address, scope: service)
        if connections > 0, clients.held(by: client) >= connections { return .clientConnections }
        if perSecond > 0, !clients.mayConnect(client, perSecond: perSecond, at: now) { return .clientConnectionRate }
        return nil
    }

    /// A client's connection begins.
    mutating func noteConnection(_ front: FrontRef, at now: Instant) {
        let limits = self.limits[Int(front.pointee.service)]
        if limits.perClientConnections > 0 { clients.hold(client(front), at: now) }
        if limits.perClientNewConnections > 0 { clients.connect(client(front), perSecond: limits.perClientNewConnections, at: now) }
    }

    /// A client's connection has ended.
    mutating func forgetConnection(_ front: FrontRef) {
        if limits[Int(front.pointee.service)].perClientConnections > 0 { clients.release(client(front)) }
    }

    /// Whether the client may make one more request now.
    mutating func mayRequest(_ front: FrontRef, at now: Instant) -> Bool {
        let perSecond = limits[Int(front.pointee.service)].perClientRequests
        return perSecond == 0 || clients.takeRequest(client(front), perSecond: perSecond, at: now)
    }

    /// Whether the client has room left in its part of the queue. A request that is repeated has waited its turn already.
    func hasQueueShare(_ front: FrontRef, pool: Int) -> Bool {
        guard let share = pools[pool].clientShare else { return true }
        return clients.held(by: queueing(front, pool: pool)) < share
    }

    mutating func noteQueued(_ front: FrontRef, pool: Int, at now: Instant) {
        if pools[pool].clientShare != nil { clients.hold(queueing(front, pool: pool), at: now) }
    }

    mutating func forgetQueued(_ front: FrontRef, pool: Int) {
        if pools[pool].clientShare != nil { clients.release(queueing(front, pool: pool)) }
    }

    // MARK: Room for new connections

    /// The connection has no request: the last in the order in which room is made.
    mutating func becameIdle(_ front: FrontRef, _ index: Int) {
        guard front.pointee.spare == .no else { return }
        idleLinks.append(index, to: &services[Int(front.pointee.service)].idle)
        front.pointee.spare = .idle
    }

    /// It has a request, or goes.
    mutating func isIdleNoMore(_ front: FrontRef, _ index: Int) {
        let service = Int(front.pointee.service)
        switch front.pointee.spare {
        case .no: return
        case .idle: idleLinks.remove(index, from: &services[service].idle)
        case .leaving: idleLinks.remove(index, from: &services[service].leaving)
        }
        front.pointee.spare = .no
    }

    func isFull(_ service: Int) -> Bool { services[service].frontConnections >= limits[service].connections }

    /// Whether a full table can take one more, because somebody has no request.
    func canMakeRoom(_ service: Int) -> Bool { !services[service].idle.isEmpty || !services[service].leaving.isEmpty }

    /// Before a connection begins: from 90 % on the one that is idle longest is closed. When there is no place left at all, which its FIN
    /// would not free in time, it is reset; so is one whose FIN is on its way already.
    mutating func makeRoom(_ service: Int, at now: Instant, into egress: inout Egress) {
        let limit = limits[service].connections
        guard services[service].frontConnections >= limit - limit / 10 else { return }
        if let index = services[service].idle.first {
            let front = fronts.pointer(index)
            counters.idleEvictions &+= 1
            if isFull(service) || front.pointee.sender.unacknowledged != front.pointee.sender.highest {
                resetClient(front, into: &egress)
                removeFront(front, index, at: now)
                return
            }
            isIdleNoMore(front, index)
            beginClosing(front, index, refusing: true, at: now, into: &egress)
            guard front.pointee.isOpen else { return }
            idleLinks.append(index, to: &services[service].leaving)
            front.pointee.spare = .leaving
            armFront(front, index)
        } else if isFull(service), let index = services[service].leaving.first {
            let front = fronts.pointer(index)
            resetClient(front, into: &egress)
            removeFront(front, index, at: now)
        }
    }
}
