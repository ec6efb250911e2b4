/// What routers and hosts say of segments that were forwarded is for whoever sent them.
extension L43Dispatcher {
    /// An error about a segment. It counts only if it quotes a connection that there is and a number in flight: all else anyone could have
    /// made up (RFC 5927 section 4.1).
    /// - Returns: false when what it quotes is not of a service or a server in this mode.
    mutating func receive(
        _ error: ICMPError, _ message: ICMPMessage, _ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress
    ) -> Bool {
        if let listener = listener(at: error.source) {
            note(aboutDown(error, message, frame, listener: listener, on: side, at: now, into: &egress), .client, side)
            return true
        }
        guard server(at: error.destination) != nil else { return false }
        note(aboutUp(error, message, frame, on: side, at: now, into: &egress), .server, side)
        return true
    }

    /// About a segment to a client: the server has sent it.
    private mutating func aboutDown(
        _ error: ICMPError, _ message: ICMPMessage, _ frame: RawSpan, listener: Int, on side: Side, at now: Instant,
        into egress: inout Egress
    ) -> FrameOutcome {
        guard isSide(side, .client) else { return .dropped(.wrongSide) }
        guard error.source.address == message.destination, let index = findClients(error.destination, listener: listener) else {
            return .dropped(.icmpNotOurs)
        }
        let connection = connections.pointer(index)
        guard connection.pointee.hasServerNumbers else { return .dropped(.icmpNotInFlight) }
        let number = connection.pointee.toServer(error.sequence)
        guard connection.pointee.down.isInFlight(number) else { return .dropped(.icmpNotInFlight) }
        let server = servers[Int(connection.pointee.server)].endpoint
        var meaning = error.meaning
        if case .tooBig(let told) = error.meaning {
            let size = Int(connection.pointee.toClientSize)
            guard let mtu = narrowPath(told, error, on: .client, segmentSize: size, at: now) else { return .dropped(.icmpAbsorbed) }
            let headers = PathMTU.headers(to: error.destination.address)
            connection.pointee.toClientSize = UInt16(clamping: min(size, mtu - headers))
            meaning = .tooBig(mtu: mtu - headers + PathMTU.headers(to: server.address))
        }
        return sendError(
            meaning, about: number, from: server, to: connection.pointee.local,
            length: error.quotedLength - PathMTU.headers(to: error.destination.address) + PathMTU.headers(to: server.address),
            side: .server, nextHop: .route, source: servers[Int(connection.pointee.server)].source, into: &egress)
    }

    /// About a segment to a server: the client has sent it, unless it is still a SYN, which another server may take.
    private mutating func aboutUp(
        _ error: ICMPError, _ message: ICMPMessage, _ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        guard isSide(side, .server) else { return .dropped(.wrongSide) }
        guard error.source.address == message.destination, let index = findServers(local: error.source, server: error.destination) else {
            return .dropped(.icmpNotOurs)
        }
        let connection = connections.pointer(index)
        if !connection.pointee.hasServerNumbers {
            guard error.sequence == connection.pointee.syn.sequence else { return .dropped(.icmpNotInFlight) }
            // Nobody is there: waiting for the timer would only hold the client up (RFC 9293 3.9.2.2, SHLD-26).
            guard error.meaning == .refused else { return .dropped(.icmpSoft) }
            connectFailed(connection, index, at: now, into: &egress)
            return .consumed
        }
        guard connection.pointee.up.isInFlight(error.sequence) else { return .dropped(.icmpNotInFlight) }
        let client = connection.pointee.client
        var meaning = error.meaning
        if case .tooBig(let told) = error.meaning {
            let size = Int(connection.pointee.toServerSize)
            guard let mtu = narrowPath(told, error, on: .server, segmentSize: size, at: now) else { return .dropped(.icmpAbsorbed) }
            let headers = PathMTU.headers(to: error.destination.address)
            connection.pointee.toServerSize = UInt16(clamping: min(size, mtu - headers))
            meaning = .tooBig(mtu: mtu - headers + PathMTU.headers(to: client.address))
        }
        let listener = listeners[Int(connection.pointee.listener)].endpoint
        return sendError(
            meaning, about: error.sequence, from: client, to: listener,
            length: error.quotedLength - PathMTU.headers(to: error.destination.address) + PathMTU.headers(to: client.address),
            side: .client, nextHop: .neighbour(connection.pointee.neighbour), source: listener.address, into: &egress)
    }

    /// Remembers the MTU of the path that an error names: segments that were merged on their way are cut accordingly.
    /// - Returns: the MTU to go by; nil when the error cannot be true.
    private mutating func narrowPath(_ told: Int, _ error: ICMPError, on side: Side, segmentSize: Int, at now: Instant) -> Int? {
        let peer = error.destination.address
        guard let mtu = PathMTU.heeded(told: told, length: error.quotedLength, present: segmentSize + PathMTU.headers(to: peer), to: peer)
        else { return nil }
        paths.note(mtu, to: peer, on: side, at: now)
        return mtu
    }

    /// Writes the error anew, in the words and numbers of whoever sent the segment (RFC 5508 section 4; between the families RFC 7915 4.2, 5.2).
    /// - Parameters:
    ///   - from, to: of the quoted segment, as its sender knows them.
    ///   - length: of the quoted packet, bytes.
    ///   - source: who says it: an address of ours.
    private mutating func sendError(
        _ meaning: ICMPError.Meaning, about number: SequenceNumber, from: Endpoint, to: Endpoint, length: Int, side: Side,
        nextHop: NextHop, source: IPAddress, into egress: inout Egress
    ) -> FrameOutcome {
        let isIPv4 = from.address.isIPv4
        let header = IPHeader.length(for: from.address)
        // The quoted header and the first eight bytes behind it (RFC 792): ports and number.
        let message = 8 + header + 8
        guard
            let packet = egress.reserve(header + message, side: side, nextHop: nextHop, destination: from.address, segmentSize: 0)
        else { return .dropped(.egressFull) }
        IPHeader.write(
            at: packet, source: source, destination: from.address, protocolNumber: isIPv4 ? 1 : 58, length: header + message)
        let icmp = packet + header
        let (kind, word) = Self.words(meaning, isIPv4: isIPv4)
        icmp.store(kind, at: 0)
        icmp.store(word, at: 4)
        let quoted = icmp + 8
        IPHeader.write(
            at: quoted, source: from.address, destination: to.address, protocolNumber: 6, length: min(max(length, header + 20), 65_535))
        quoted.store(from.port, at: header)
        quoted.store(to.port, at: header + 2)
        quoted.store(number.value, at: header + 4)
        var sum = Checksum()
        if !isIPv4 { sum.addPseudoHeader(source: source, destination: from.address, protocolNumber: 58, length: message) }
        sum.add(UnsafeRawBufferPointer(start: icmp, count: message))
        icmp.store(sum.field, at: 2)
        counters.emitted(.icmp, side)
        return .forwarded
    }

    /// Type and code, and the second word of a message.
    private static func words(_ meaning: ICMPError.Meaning, isIPv4: Bool) -> (UInt32, UInt32) {
        func kind(_ type: UInt32, _ code: UInt32) -> UInt32 { type << 24 | code << 16 }
        return switch (meaning, isIPv4) {
        case (.tooBig(let mtu), true): (kind(3, 4), UInt32(clamping: min(mtu, 65_535)))
        case (.tooBig(let mtu), false): (kind(2, 0), UInt32(clamping: max(mtu, IPHeader.leastMTUIPv6)))
        case (.refused, true): (kind(3, 3), 0)
        case (.refused, false): (kind(1, 4), 0)
        case (.soft, true): (kind(3, 1), 0)
        case (.soft, false): (kind(1, 0), 0)
        }
    }
}
