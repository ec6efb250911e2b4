extension L73Dispatcher {
    /// An error about a segment of ours. It counts only if it quotes a connection that there is and a number in flight: all else anyone
    /// could have made up (RFC 5927 section 4.1). None ends a connection that is open (RFC 9293 3.9.2.2).
    mutating func receive(
        _ error: ICMPError, _ message: ICMPMessage, on side: Side, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        guard error.source.address == message.destination else { return .dropped(.icmpNotOurs) }
        if isToSource(error.source) {
            guard side == .server else { return .dropped(.wrongSide) }
            guard let place = findBack(port: error.source.port, server: error.destination) else { return .dropped(.icmpNotOurs) }
            let back = backs.pointer(place)
            let outcome = receive(error, back, place, at: now, into: &egress)
            armBack(back, place)
            return outcome
        }
        guard side == .client else { return .dropped(.wrongSide) }
        for listener in 0..<listenerCount where listeners[listener].endpoint == error.source {
            guard let index = findFront(error.destination, listener: listener) else { break }
            let front = fronts.pointer(index)
            guard front.pointee.sender.isInFlight(error.sequence) else { return .dropped(.icmpNotInFlight) }
            guard case .tooBig(let told) = error.meaning else { return .dropped(.icmpSoft) }
            let size = Int(front.pointee.sender.segmentSize)
            guard let narrow = narrowPath(told, error, on: .client, segmentSize: size, at: now) else { return .dropped(.icmpAbsorbed) }
            if front.pointee.sender.narrow(to: narrow, at: now) { pump(front, at: now, into: &egress) }
            armFront(front, index)
            return .consumed
        }
        return .dropped(.icmpNotOurs)
    }

    private mutating func receive(
        _ error: ICMPError, _ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) -> FrameOutcome {
        if back.pointee.state == .opening {
            guard error.sequence == back.pointee.sender.unacknowledged else { return .dropped(.icmpNotInFlight) }
            // Nobody is there: waiting for the timer would only hold the request up (RFC 9293 3.9.2.2, SHLD-26).
            guard error.meaning == .refused else { return .dropped(.icmpSoft) }
            connectFailed(back, place, at: now, into: &egress)
            return .consumed
        }
        guard back.pointee.sender.isInFlight(error.sequence) else { return .dropped(.icmpNotInFlight) }
        guard case .tooBig(let told) = error.meaning else { return .dropped(.icmpSoft) }
        let size = Int(back.pointee.sender.segmentSize)
        guard let narrow = narrowPath(told, error, on: .server, segmentSize: size, at: now) else { return .dropped(.icmpAbsorbed) }
        if back.pointee.sender.narrow(to: narrow, at: now) { pump(back, at: now, into: &egress) }
        return .consumed
    }

    /// Remembers the MTU of the path to the peer that an error names.
    /// - Returns: the payload bytes that a segment there may have, no more than `segmentSize`; nil when the error cannot be true.
    private mutating func narrowPath(_ told: Int, _ error: ICMPError, on side: Side, segmentSize: Int, at now: Instant) -> UInt16? {
        let peer = error.destination.address
        let headers = PathMTU.headers(to: peer)
        guard let mtu = PathMTU.heeded(told: told, length: error.quotedLength, present: segmentSize + headers, to: peer) else { return nil }
        paths.note(mtu, to: peer, on: side, at: now)
        return UInt16(clamping: min(segmentSize, mtu - headers))
    }
}
