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

    /// An echo reply: the request with another type (RFC 792); the checksum moves by as much (RFC 1624).
    private mutating func echo(
        _ message: ICMPMessage, _ frame: RawSpan, offset: Int, length: Int, on side: Side, into egress: inout Egress
    ) -> FrameOutcome {
        let mtu = side == .client ? configuration.clientSideMTU : configuration.serverSideMTU
        guard length + 20 <= mtu else { return .dropped(.badICMP) }
        guard
            let packet = egress.reserve(
                20 + length, side: side, nextHop: .neighbour(frame.hardwareAddress(6)), destination: message.source, segmentSize: 0)
        else { return .dropped(.egressFull) }
        IPv4Header.write(at: packet, source: message.destination, destination: message.source, protocolNumber: 1, length: 20 + length)
        frame.extracting(offset..<offset + length).withUnsafeBytes { (packet + 20).copyMemory(from: $0.baseAddress!, byteCount: length) }
        packet.store(UInt32(0), at: 20)
        var sum = Checksum()
        sum.add(UnsafeRawBufferPointer(start: packet + 20, count: length))
        packet.store(sum.field, at: 22)
        counters.emitted(.icmp, side)
        return .consumed
    }

    /// UDP to one of our addresses: port unreachable (RFC 1122 3.2.2.1), ten a second.
    mutating func refuseDatagram(
        _ frame: RawSpan, on side: Side, source: IPAddress, destination: IPAddress, offset: Int, length: Int, at now: Instant,
        into egress: inout Egress
    ) -> FrameOutcome {
        guard isOurs(destination) else { return .dropped(.notOurAddress) }
        guard !isKernels(destination) else { return .dropped(.leftToKernel) }
        guard unreachableLimit.allows(at: now) else { return .dropped(.rateLimited) }
        guard
            let packet = egress.reserve(
                28 + length, side: side, nextHop: .neighbour(frame.hardwareAddress(6)), destination: source, segmentSize: 0)
        else { return .dropped(.egressFull) }
        IPv4Header.write(at: packet, source: destination, destination: source, protocolNumber: 1, length: 28 + length)
        packet.store(UInt32(0x0303_0000), at: 20)
        packet.store(UInt32(0), at: 24)
        frame.extracting(offset..<offset + length).withUnsafeBytes { (packet + 28).copyMemory(from: $0.baseAddress!, byteCount: length) }
        var sum = Checksum()
        sum.add(UnsafeRawBufferPointer(start: packet + 20, count: 8 + length))
        packet.store(sum.field, at: 22)
        counters.emitted(.icmp, side)
        return .dropped(.unsupportedProtocol)
    }
}
