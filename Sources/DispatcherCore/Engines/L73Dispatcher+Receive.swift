extension L73Dispatcher {
    /// One captured frame, from its Ethernet header on.
    /// - Parameter side: the interface it came from; when both sides share one, either.
    public mutating func receive(_ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress) {
        receive(
            Frame.parse(frame, allowsLoopback: side == .client ? configuration.clientSideIsLoopback : configuration.serverSideIsLoopback),
            frame, on: side, at: now, into: &egress)
    }

    /// The same with what `Frame.parse` made of it.
    @inline(__always)
    mutating func receive(_ parsed: Frame, _ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress) {
        buffers.settle(egress)
        start(at: now, into: &egress)
        let side = configuration.sidesShareInterface ? self.side(of: parsed) ?? side : side
        counters.frameIn(side)
        let outcome: FrameOutcome
        switch parsed {
        case .segment(let segment): outcome = receive(segment, frame, on: side, at: now, into: &egress)
        case .icmp(let message): outcome = receive(message, frame, on: side, at: now, into: &egress)
        case .datagram(let source, let destination, let offset, let length):
            outcome = refuseDatagram(
                frame, on: side, source: source, destination: destination, offset: offset, length: length, at: now, into: &egress)
        case .arp, .neighbourDiscovery: outcome = .consumed
        case .bad(let reason): outcome = .dropped(reason)
        }
        counters.note(outcome, side)
    }

    private mutating func receive(
        _ segment: Segment, _ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if isOurOwn(segment) { return .dropped(.ownFrame) }
        if isToSource(segment.destination) {
            guard side == .server else { return .dropped(configuration.sourceIsKernels ? .leftToKernel : .wrongSide) }
            return receiveFromServer(segment, frame, at: now, into: &egress)
        }
        var knowsAddress = false
        var isKernels = false
        for index in 0..<listenerCount where listeners[index].endpoint.address == segment.destination.address {
            guard side == .client else { return .dropped(.wrongSide) }
            knowsAddress = true
            isKernels = listeners[index].isKernels
            if listeners[index].endpoint.port == segment.destination.port {
                return receiveFromClient(segment, frame, listener: index, at: now, into: &egress)
            }
        }
        guard knowsAddress else { return .dropped(.notOurAddress) }
        guard !isKernels else { return .dropped(.leftToKernel) }
        answerWithReset(segment, on: .client, at: now, into: &egress)
        return .dropped(.serviceUnknown)
    }

    private mutating func receiveFromClient(
        _ segment: Segment, _ frame: RawSpan, listener: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if let index = findFront(segment.source, listener: listener) {
            let front = fronts.pointer(index)
            front.pointee.neighbour = segment.sender
            let outcome = receive(segment, frame, front: front, index: index, at: now, into: &egress)
            armFront(front, index)
            return outcome
        }
        return receiveWithoutConnection(segment, frame, listener: listener, at: now, into: &egress)
    }

    private mutating func receiveFromServer(
        _ segment: Segment, _ frame: RawSpan, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        guard let index = findBack(local: segment.destination, server: segment.source) else {
            if configuration.sourceIsKernels, !isServer(segment.source) { return .dropped(.leftToKernel) }
            answerWithReset(segment, on: .server, at: now, into: &egress)
            return .dropped(.noConnection)
        }
        let back = backs.pointer(index)
        let outcome = receive(segment, frame, back: back, index: index, at: now, into: &egress)
        armBack(back, index)
        return outcome
    }

    // MARK: Finding connections

    func frontHash(_ client: Endpoint, listener: Int) -> UInt64 {
        hashKey.hash13(client.address.high, client.address.low, UInt64(client.port) << 16 | UInt64(listener))
    }

    func findFront(_ client: Endpoint, listener: Int) -> Int? {
        frontTable.find(frontHash(client, listener: listener)) { index in
            let front = fronts.pointer(index)
            return front.pointee.client == client && Int(front.pointee.listener) == listener
        }
    }

    func tunnelHash(server: Int, port: UInt16) -> UInt64 { hashKey.hash13(UInt64(server), UInt64(port), 1) }

    /// - Parameters:
    ///   - local: our address and port.
    ///   - peer: the server's address and port.
    func findBack(local: Endpoint, server peer: Endpoint) -> Int? {
        if let place = configuration.ports.slot(of: local.port) {
            let back = backs.pointer(place.slot)
            guard back.pointee.state != .closed, Int(back.pointee.layer) == place.layer, back.pointee.local == local,
                servers[Int(back.pointee.server)].endpoint == peer
            else { return nil }
            return place.slot
        }
        for server in 0..<serverCount where servers[server].endpoint == peer {
            let found = tunnelTable.find(tunnelHash(server: server, port: local.port)) { index in
                Int(backs.pointer(index).pointee.server) == server && backs.pointer(index).pointee.local == local
            }
            if let found { return found }
        }
        return nil
    }

    /// The front-end connection that a back-end connection works for.
    func front(of back: BackRef) -> (front: FrontRef, index: Int)? {
        guard back.pointee.hasFront else { return nil }
        let index = Int(back.pointee.front)
        let front = fronts.pointer(index)
        guard front.pointee.generation == back.pointee.splice.frontGeneration else { return nil }
        return (front, index)
    }
}
