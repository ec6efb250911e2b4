extension L43Dispatcher {
    /// One captured frame, from its Ethernet header on. What belongs to no connection or service of this mode is dropped.
    /// - Parameter side: the interface it came from; when both sides share one, either.
    public mutating func receive(_ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress) {
        let parsed = Frame.parse(
            frame, allowsLoopback: side == .client ? configuration.clientSideIsLoopback : configuration.serverSideIsLoopback)
        if receiveIfOurs(parsed, frame, on: side, at: now, into: &egress) { return }
        counters.frameIn(side)
        if case .bad(let reason) = parsed {
            counters.note(.dropped(reason), side)
        } else {
            counters.note(.dropped(.notOurAddress), side)
        }
    }

    /// The same with what `Frame.parse` made of it, if it belongs to a service or a server in this mode.
    /// - Returns: false when it does not: nothing was done, and nothing counted.
    @inline(__always)
    mutating func receiveIfOurs(
        _ parsed: Frame, _ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress
    ) -> Bool {
        switch parsed {
        case .segment(let segment): return receive(segment, frame, on: side, at: now, into: &egress)
        case .icmp(let message):
            guard case .aboutSegment(let error) = message.kind else { return false }
            return receive(error, message, frame, on: side, at: now, into: &egress)
        case .datagram, .arp, .neighbourDiscovery, .bad: return false
        }
    }

    private mutating func receive(
        _ segment: Segment, _ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress
    ) -> Bool {
        if let listener = listener(at: segment.destination) {
            note(receiveFromClient(segment, frame, listener: listener, on: side, at: now, into: &egress), .client, side)
            return true
        }
        if let index = findServers(local: segment.destination, server: segment.source) {
            let connection = connections.pointer(index)
            var outcome = FrameOutcome.dropped(.wrongSide)
            if isSide(side, .server) {
                outcome = receiveFromServer(segment, frame, connection, index, at: now, into: &egress)
                arm(connection, index)
            }
            note(outcome, .server, side)
            return true
        }
        guard let server = server(at: segment.source) else { return false }
        // Health checks are the other engine's.
        let ports = configuration.ports
        if (ports.firstTunnelPort..<ports.firstForwardedPort).contains(Int(segment.destination.port)), isSource(segment.destination.address)
        {
            return false
        }
        note(receiveStray(segment, fromServer: server, on: side, at: now, into: &egress), .server, side)
        return true
    }

    /// A segment from a server about a connection that is not there any more, or never was.
    private mutating func receiveStray(
        _ segment: Segment, fromServer server: Int, on side: Side, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        guard isSide(side, .server) else { return .dropped(.wrongSide) }
        // To an address that is not ours nothing is answered in that one's name: it may be another conversation.
        guard isSource(segment.destination.address) else { return .dropped(.noConnection) }
        let port = Int(segment.destination.port)
        let ports = configuration.ports
        if configuration.sourceIsKernels, port < ports.first || port > ports.last { return .dropped(.leftToKernel) }
        answerWithReset(segment, on: .server, at: now, into: &egress)
        return .dropped(.noConnection)
    }

    /// Whether a frame of one interface may be of a side.
    func isSide(_ actual: Side, _ wanted: Side) -> Bool { actual == wanted || configuration.sidesShareInterface }

    /// Counts a frame at the side that it belongs to, where both share an interface.
    @inline(__always) func note(_ outcome: FrameOutcome, _ wanted: Side, _ actual: Side) {
        let side = configuration.sidesShareInterface ? wanted : actual
        counters.frameIn(side)
        counters.note(outcome, side)
    }

    private mutating func receiveFromClient(
        _ segment: Segment, _ frame: RawSpan, listener: Int, on side: Side, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        guard isSide(side, .client) else { return .dropped(.wrongSide) }
        if isOurOwn(segment.source) { return .dropped(.ownFrame) }
        if let index = findClients(segment.source, listener: listener) {
            let connection = connections.pointer(index)
            connection.pointee.neighbour = segment.sender
            let outcome = receive(segment, frame, connection, index, fromClientOf: listener, at: now, into: &egress)
            arm(connection, index)
            return outcome
        }
        return receiveWithoutConnection(segment, frame, listener: listener, at: now, into: &egress)
    }

    // MARK: Whose

    func listener(at endpoint: Endpoint) -> Int? {
        for index in 0..<listenerCount where listeners[index].endpoint == endpoint { return index }
        return nil
    }

    func server(at endpoint: Endpoint) -> Int? {
        for index in 0..<serverCount where servers[index].endpoint == endpoint { return index }
        return nil
    }

    func isSource(_ address: IPAddress) -> Bool {
        for index in 0..<sourceCount where sources[index] == address { return true }
        return false
    }

    /// Whether nobody but us sends from there.
    private func isOurOwn(_ source: Endpoint) -> Bool {
        if isSource(source.address) { return !configuration.sourceIsKernels || listener(at: source) != nil }
        for index in 0..<listenerCount where listeners[index].endpoint.address == source.address {
            return !listeners[index].isKernels || listener(at: source) != nil
        }
        return false
    }

    // MARK: Finding connections

    func clientHash(_ client: Endpoint, listener: Int) -> UInt64 {
        hashKey.hash13(client.address.high, client.address.low, UInt64(client.port) << 16 | UInt64(listener))
    }

    /// Servers are few and not chosen by a peer: mixing the two addresses lets nobody make more than a few flows collide.
    static func serverHash(local: Endpoint, server: Endpoint, _ key: SipKey) -> UInt64 {
        let high = server.address.high &* 0x9E37_79B9_7F4A_7C15
        let low = server.address.low &* 0xC2B2_AE3D_27D4_EB4F
        return key.hash13(local.address.high ^ high, local.address.low ^ low, UInt64(local.port) << 16 | UInt64(server.port))
    }

    func findClients(_ client: Endpoint, listener: Int) -> Int? {
        clientTable.find(clientHash(client, listener: listener)) { index in
            let connection = connections.pointer(index)
            return connection.pointee.client == client && Int(connection.pointee.listener) == listener
        }
    }

    /// - Parameters:
    ///   - local: the end of the connection that the server talks to.
    func findServers(local: Endpoint, server: Endpoint) -> Int? {
        serverTable.find(Self.serverHash(local: local, server: server, hashKey)) { index in
            let connection = connections.pointer(index)
            return connection.pointee.local == local && servers[Int(connection.pointee.server)].endpoint == server
        }
    }

    mutating func insertAtClients(_ index: Int) {
        let slab = connections.pointer(index) - index
        let key = hashKey
        let hash = { (index: Int) in
            key.hash13(
                slab[index].client.address.high, slab[index].client.address.low,
                UInt64(slab[index].client.port) << 16 | UInt64(slab[index].listener))
        }
        clientTable.insert(hash(index), index)
    }

    mutating func removeAtClients(_ index: Int) {
        let slab = connections.pointer(index) - index
        let key = hashKey
        let hash = { (index: Int) in
            key.hash13(
                slab[index].client.address.high, slab[index].client.address.low,
                UInt64(slab[index].client.port) << 16 | UInt64(slab[index].listener))
        }
        clientTable.remove(hash(index), index, rehash: hash)
    }

    mutating func insertAtServers(_ index: Int) {
        let slab = connections.pointer(index) - index
        let (key, servers) = (hashKey, servers)
        let hash = { (index: Int) in Self.serverHash(local: slab[index].local, server: servers[Int(slab[index].server)].endpoint, key) }
        serverTable.insert(hash(index), index)
    }

    mutating func removeAtServers(_ index: Int) {
        let slab = connections.pointer(index) - index
        let (key, servers) = (hashKey, servers)
        let hash = { (index: Int) in Self.serverHash(local: slab[index].local, server: servers[Int(slab[index].server)].endpoint, key) }
        serverTable.remove(hash(index), index, rehash: hash)
    }
}
