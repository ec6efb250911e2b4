extension L73Dispatcher {
    mutating func receive(
        _ message: ICMPMessage, _ frame: RawSpan, on side: Side, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        guard isOurs(message.destination) else { return .dropped(.notOurAddress) }
        switch message.kind {
        case .echoRequest(let offset, let length):
            guard !isKernels(message.destination) else { return .dropped(.leftToKernel) }
            guard echoLimit.allows(at: now) else { return .dropped(.rateLimited) }
            return echo(message, frame, offset: offset, length: length, on: side, into: &egress)
        case .aboutSegment(let error): return receive(error, message, on: side, at: now, into: &egress)
        case .other: return .dropped(.icmpAbsorbed)
        }
    }

    /// An echo reply: the request with another type (RFC 792, RFC 4443 4.2).
    private mutating func echo(
        _ message: ICMPMessage, _ frame: RawSpan, offset: Int, length: Int, on side: Side, into egress: inout Egress
    ) -> FrameOutcome {
        let mtu = side == .client ? configuration.clientSideMTU : configuration.serverSideMTU
        let header = IPHeader.length(for: message.source)
        guard header + length <= mtu else { return .dropped(.badICMP) }
        guard
            let packet = egress.reserve(
                header + length, side: side, nextHop: .neighbour(frame.hardwareAddress(6)), destination: message.source, segmentSize: 0)
        else { return .dropped(.egressFull) }
        frame.extracting(offset..<offset + length).withUnsafeBytes {
            (packet + header).copyMemory(from: $0.baseAddress!, byteCount: length)
        }
        finishICMP(
            packet, type: message.source.isIPv4 ? 0 : 129, code: 0, source: message.destination, destination: message.source,
            length: length)
        counters.emitted(.icmp, side)
        return .consumed
    }

    /// UDP to one of our addresses: port unreachable (RFC 1122 3.2.2.1, RFC 4443 3.1), ten a second.
    mutating func refuseDatagram(
        _ frame: RawSpan, on side: Side, source: IPAddress, destination: IPAddress, offset: Int, length: Int, at now: Instant,
        into egress: inout Egress
    ) -> FrameOutcome {
        guard isOurs(destination) else { return .dropped(.notOurAddress) }
        guard !isKernels(destination) else { return .dropped(.leftToKernel) }
        guard unreachableLimit.allows(at: now) else { return .dropped(.rateLimited) }
        let header = IPHeader.length(for: source)
        guard
            let packet = egress.reserve(
                header + 8 + length, side: side, nextHop: .neighbour(frame.hardwareAddress(6)), destination: source, segmentSize: 0)
        else { return .dropped(.egressFull) }
        packet.store(UInt32(0), at: header + 4)
        frame.extracting(offset..<offset + length).withUnsafeBytes {
            (packet + header + 8).copyMemory(from: $0.baseAddress!, byteCount: length)
        }
        let isIPv4 = source.isIPv4
        finishICMP(
            packet, type: isIPv4 ? 3 : 1, code: isIPv4 ? 3 : 4, source: destination, destination: source, length: 8 + length)
        counters.emitted(.icmp, side)
        return .dropped(.unsupportedProtocol)
    }

    /// Writes the IP header, type, code and checksum of a message whose other bytes lie there; that of ICMPv6 covers the pseudo-header too.
    /// - Parameter length: bytes of the message.
    private func finishICMP(
        _ packet: UnsafeMutableRawPointer, type: UInt8, code: UInt8, source: IPAddress, destination: IPAddress, length: Int
    ) {
        let isIPv4 = destination.isIPv4
        let header = IPHeader.length(for: destination)
        IPHeader.write(
            at: packet, source: source, destination: destination, protocolNumber: isIPv4 ? 1 : 58, length: header + length)
        packet.store(UInt32(type) << 24 | UInt32(code) << 16, at: header)
        var sum = Checksum()
        if !isIPv4 { sum.addPseudoHeader(source: source, destination: destination, protocolNumber: 58, length: length) }
        sum.add(UnsafeRawBufferPointer(start: packet + header, count: length))
        packet.store(sum.field, at: header + 2)
    }
}
