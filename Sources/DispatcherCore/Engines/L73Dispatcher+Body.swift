import Glibc

/// Bodies longer than `body-buffer`: they go to the server while they still come (docs/tcp.md "Request bodies").
extension L73Dispatcher {
    // MARK: Memory

    /// Notes what a request's body takes in all.
    /// - Returns: false when bodies have all the memory that is theirs; then nothing has changed.
    mutating func holdBody(_ front: FrontRef, bytes: Int) -> Bool {
        let more = bytes - Int(front.pointee.bodyHeld)
        guard more > 0 else { return true }
        guard bodyBytes + more <= configuration.bodyMemory else { return false }
        bodyBytes += more
        front.pointee.bodyHeld += UInt32(more)
        return true
    }

    /// The request is over.
    mutating func releaseBody(_ front: FrontRef) {
        bodyBytes -= Int(front.pointee.bodyHeld)
        front.pointee.bodyHeld = 0
        front.pointee.stream = BodyStream()
    }

    /// What the buffer of a streamed request takes.
    static func streamCapacity(_ request: RequestHead, _ limits: ServiceLimits) -> Int {
        BodyStream.capacity(
            room: RequestRewriter.capacity(for: request, forwardedFor: IPAddress.longestText) + BodyStream.bodyRoom(limits.bodyBuffer))
    }

    // MARK: From the client

    /// As much of the body is there as is read before a request is queued: the rest is streamed.
    mutating func beginStream(
        _ request: RequestHead, _ front: FrontRef, _ index: Int, _ limits: ServiceLimits, at now: Instant, into egress: inout Egress
    ) {
        let head = front.pointee.head.bytes(0, count: Int(request.headLength))
        let capacity = Self.streamCapacity(request, limits)
        guard holdBody(front, bytes: BufferPool.taken(for: capacity)),
            compose(head: head, request, body: .empty, bodyLength: request.bodyLength, capacity: capacity, front)
        else {
            refuse(front, index, status: 503, .bodyMemory, at: now, into: &egress)
            return
        }
        let written = front.pointee.outputCount
        front.pointee.stream.state = .coming
        front.pointee.stream.isChunked = request.framing == .chunked
        front.pointee.stream.left = request.bodyLength ?? 0
        front.pointee.stream.kept = min(written, UInt32(RequestRecord.lineCapacity))
        front.pointee.stream.room = written + UInt32(BodyStream.bodyRoom(limits.bodyBuffer))
        if front.pointee.bodyCount > 0 {
            let body = front.pointee.body.bytes(0, count: Int(front.pointee.bodyCount))
            let rest = UnsafeMutableRawBufferPointer(rebasing: front.pointee.output.bytes[Int(written)...])
            front.pointee.outputCount += UInt32(BodyStream.writeChunk(body, into: rest))
        }
        if let fault = moveBody(front).fault {
            refuse(front, index, fault, at: now, into: &egress)
            return
        }
        counters.streamedRequests &+= 1
        finishReading(true, request, front, index, at: now, into: &egress)
    }

    /// More of a streamed body is there, or more room for it.
    mutating func takeBody(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) {
        let moved = moveBody(front)
        if let fault = moved.fault {
            failBody(front, index, fault, at: now, into: &egress)
            return
        }
        if front.pointee.finReceived, front.pointee.stream.state == .coming, front.pointee.received.contiguous == 0 {
            clientFinished(front, index, wasQueued: false, at: now, into: &egress)
            return
        }
        guard moved.added > 0, front.pointee.hasSlot, front.pointee.phase == .waiting || front.pointee.phase == .responding else { return }
        let place = Int(front.pointee.back)
        let back = backs.pointer(place)
        let wasDone = back.pointee.sender.unacknowledged == back.pointee.sender.end
        back.pointee.sender.appendOwn(moved.added)
        pump(back, at: now, into: &egress)
        renewServerTime(front, back, begins: wasDone, at: now)
        armBack(back, place)
    }

    /// Moves what has come of the body into `output`, as far as there is room.
    /// - Returns: how many bytes it became there; what is wrong with it.
    private mutating func moveBody(_ front: FrontRef) -> (added: Int, fault: RequestFault?) {
        let there = Int(front.pointee.received.contiguous)
        return front.pointee.stream.isChunked ? moveChunks(front, there) : moveBytes(front, there)
    }

    /// Of a body with `Content-Length`.
    private mutating func moveBytes(_ front: FrontRef, _ there: Int) -> (added: Int, fault: RequestFault?) {
        let end = Int(front.pointee.outputCount)
        let count = Int(min(UInt64(min(there, front.pointee.stream.free(end: end))), front.pointee.stream.left))
        guard count > 0, let place = front.pointee.stream.makeRoom(count, end: end, in: front.pointee.output) else { return (0, nil) }
        (front.pointee.output.base! + place).copyMemory(from: front.pointee.input.base!, byteCount: count)
        front.pointee.outputCount = UInt32(place + count)
        front.pointee.stream.left -= UInt64(count)
        if front.pointee.stream.left == 0 { front.pointee.stream.state = .complete }
        consumeInput(count, front)
        return (count, nil)
    }

    /// Of a chunked body: its data in chunks of our own.
    private mutating func moveChunks(_ front: FrontRef, _ there: Int) -> (added: Int, fault: RequestFault?) {
        guard var decoder = front.pointee.decoder else { return (0, nil) }
        var offset = 0
        var added = 0
        var fault: RequestFault?
        while offset < there, fault == nil, front.pointee.stream.state == .coming {
            let free = front.pointee.stream.free(end: Int(front.pointee.outputCount))
            let part = min(there - offset, free - BodyStream.chunkCost)
            guard part > 0,
                let place = front.pointee.stream.makeRoom(
                    part + BodyStream.chunkCost, end: Int(front.pointee.outputCount), in: front.pointee.output)
            else { break }
            let region = UnsafeMutableRawBufferPointer(rebasing: front.pointee.input.bytes[offset..<offset + part])
            let result = decoder.decode(region)
            offset += result.consumed
            var end = place
            if result.produced > 0 {
                end += BodyStream.writeChunk(
                    UnsafeRawBufferPointer(rebasing: region[..<result.produced]),
                    into: UnsafeMutableRawBufferPointer(rebasing: front.pointee.output.bytes[end...]))
            }
            switch result.state {
            case .more: break
            case .done:
                end += BodyStream.writeEnd(into: UnsafeMutableRawBufferPointer(rebasing: front.pointee.output.bytes[end...]))
                front.pointee.stream.state = .complete
            case .tooBig: fault = .bodyTooLong
            case .bad(let reason): fault = reason
            }
            added += end - place
            front.pointee.outputCount = UInt32(end)
        }
        front.pointee.decoder = decoder
        if offset > 0 { consumeInput(offset, front) }
        return (added, fault)
    }

    /// The body cannot be completed, and the server must not take what it has for a whole one: its connection is reset. With a response on
    /// its way already that is delivered, and nothing more is read.
    mutating func failBody(_ front: FrontRef, _ index: Int, _ fault: RequestFault, at now: Instant, into egress: inout Egress) {
        switch front.pointee.phase {
        case .responding:
            counters.fault(fault)
            front.pointee.stream.state = .givenUp
            return
        case .queued: leaveQueue(front, at: now)
        default: leaveServer(front, at: now, into: &egress)
        }
        refuse(front, index, fault, at: now, into: &egress)
        armFront(front, index)
    }

    // MARK: To the server

    /// A streamed request has begun on its way.
    func bodyBegins(_ front: FrontRef, _ back: BackRef, at now: Instant) {
        if front.pointee.stream.state == .coming { beginPace(front, at: now) }
        renewServerTime(front, back, begins: true, at: now)
    }

    /// The server has acknowledged something, or moved its window: what it has needs not be kept, and what waits may go.
    /// - Parameter moved: whether it was an acknowledgement.
    mutating func bodyAcknowledged(_ back: BackRef, _ place: Int, moved: Bool, at now: Instant, into egress: inout Egress) {
        guard let (front, index) = front(of: back), front.pointee.stream.isActive else { return }
        let wasBlocked = isBlocked(front)
        front.pointee.stream.drop(back.pointee.sender.dropAcknowledged())
        renewServerTime(front, back, begins: false, at: now)
        guard moved, front.pointee.stream.state == .coming else { return }
        if front.pointee.received.contiguous > 0 { takeBody(front, index, at: now, into: &egress) }
        guard front.pointee.hasSlot, Int(front.pointee.back) == place else { return }
        offerRoom(front, into: &egress)
        if wasBlocked, front.pointee.phase == .waiting, !isBlocked(front) { beginPace(front, at: now) }
    }

    /// Once the last byte has left, the server has `timeouts.response` for its answer. Before that it has as much for each segment that it
    /// takes, and all the time in the world when it has taken everything: then the client's rate is looked at.
    /// - Parameter begins: whether something waits for the server from now on.
    private func renewServerTime(_ front: FrontRef, _ back: BackRef, begins: Bool, at now: Instant) {
        guard back.pointee.use == .awaitingHead, !front.pointee.stream.sentAll else { return }
        let time = pools[Int(front.pointee.pool)].settings.responseTimeout
        let reached = back.pointee.sender.unacknowledged
        if front.pointee.stream.state == .complete, back.pointee.sender.next.isAtOrAfter(back.pointee.sender.end) {
            front.pointee.stream.sentAll = true
            front.pointee.sent = now
            back.pointee.phaseDeadline = now + time
        } else if reached == back.pointee.sender.end {
            back.pointee.phaseDeadline = .distantFuture
        } else if begins || reached.distance(from: front.pointee.stream.serverMark) >= Int(back.pointee.sender.segmentSize) {
            front.pointee.stream.serverMark = reached
            back.pointee.phaseDeadline = now + time
        }
    }

    // MARK: Pace

    /// Whether the window that the client was told takes no segment: then the server sets the pace.
    private func isBlocked(_ front: FrontRef) -> Bool {
        front.pointee.toldEdge.distance(from: front.pointee.receiveNext) < clientMSS(front)
    }

    /// From now on the client must keep its rate.
    private func beginPace(_ front: FrontRef, at now: Instant) {
        front.pointee.bodyMark = front.pointee.receiveNext
        front.pointee.phaseDeadline = now + bodyTime(limits[Int(front.pointee.service)])
    }

    /// A streamed body's time is over: it gets as much again if enough has come meanwhile, or if the server is what holds it up.
    /// - Returns: false when it came too slowly.
    func renewStreamTime(_ front: FrontRef, at now: Instant) -> Bool {
        guard isBlocked(front) || front.pointee.finReceived else { return renewBodyTime(front, at: now) }
        beginPace(front, at: now)
        return true
    }

    /// The bytes that a client may send from `receiveNext` on: what of the buffer is free. While a request is read, all that a head and
    /// the body before its queueing may take.
    func requestRoom(_ front: FrontRef) -> Int {
        let waiting = Int(front.pointee.received.contiguous)
        if front.pointee.stream.state == .coming { return front.pointee.stream.free(end: Int(front.pointee.outputCount)) - waiting }
        let limits = self.limits[Int(front.pointee.service)]
        return limits.head + limits.bodyBuffer - waiting
    }

    /// The least by which the client's right edge moves: a segment, or half of the buffer, unless a request is being read, which might need
    /// every byte (RFC 9293 3.8.6.2.2).
    func leastStep(_ front: FrontRef) -> Int {
        switch front.pointee.phase {
        case .queued, .connecting, .waiting, .responding: return min(clientMSS(front), BodyStream.leastRoom / 2)
        case .idle, .reading, .closing, .tunnel: return 1
        }
    }

    /// Tells the client of room that the server has made, once it is worth a segment.
    private mutating func offerRoom(_ front: FrontRef, into egress: inout Egress) {
        guard front.pointee.stream.state == .coming else { return }
        let edge = front.pointee.receiveNext + min(requestRoom(front), front.pointee.options.largestWindow)
        let room = BodyStream.bodyRoom(limits[Int(front.pointee.service)].bodyBuffer)
        if edge.distance(from: front.pointee.toldEdge) >= min(max(2 * clientMSS(front), room / 4), room / 2) {
            acknowledge(front, into: &egress)
        }
    }
}
