import Glibc

extension L73Dispatcher {
    /// Reads what lies in the request buffer: the next request, when the last one is done.
    mutating func readRequests(_ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress) {
        let limits = self.limits[Int(front.pointee.service)]
        if front.pointee.phase == .idle {
            guard front.pointee.received.contiguous > 0 else {
                if !front.pointee.received.hasGap { giveWork(front) }
                return
            }
            isIdleNoMore(front, index)
            front.pointee.phase = .reading
            front.pointee.started = now
            front.pointee.phaseDeadline = now + limits.headTime
        }
        if front.pointee.request == nil {
            readHead(front, index, limits, at: now, into: &egress)
        } else {
            readBody(front, index, limits, at: now, into: &egress)
        }
    }

    private mutating func readHead(
        _ front: FrontRef, _ index: Int, _ limits: ServiceLimits, at now: Instant, into egress: inout Egress
    ) {
        let bytes = front.pointee.input.bytes(0, count: Int(front.pointee.received.contiguous))
        switch front.pointee.scanner.scan(bytes, limit: limits.head) {
        case .incomplete: return
        case .tooLong, .malformed:
            refuse(front, index, front.pointee.scanner.requestFault, at: now, into: &egress)
            return
        case .complete(let length):
            let judged = RequestHead.parse(
                UnsafeRawBufferPointer(rebasing: bytes[0..<length]),
                limits: HeadLimits(head: UInt32(limits.head), fields: UInt16(limits.fields), body: UInt64(limits.body)))
            switch judged {
            case .bad(let fault): refuse(front, index, fault, at: now, into: &egress)
            case .good(let request):
                front.pointee.headComplete = now
                begin(request, headLength: length, front, index, limits, at: now, into: &egress)
            }
        }
    }

    /// The head is good: with its body there already it goes on at once, else the body is awaited.
    private mutating func begin(
        _ request: RequestHead, headLength: Int, _ front: FrontRef, _ index: Int, _ limits: ServiceLimits, at now: Instant,
        into egress: inout Egress
    ) {
        front.pointee.answered = AnsweredRequest(request)
        front.pointee.isIdempotent = request.isIdempotent
        front.pointee.keepAlive = request.keepAlive
        guard mayRequest(front, at: now) else {
            refuse(front, index, status: 429, .clientRequestRate, at: now, into: &egress)
            return
        }
        guard holdBody(front, bytes: Self.bodyCost(request, limits)) else {
            refuse(front, index, status: 503, .bodyMemory, at: now, into: &egress)
            return
        }
        let there = Int(front.pointee.received.contiguous) - headLength
        if let length = request.bodyLength, length <= UInt64(limits.bodyBuffer), there >= Int(length) {
            let head = front.pointee.input.bytes(0, count: headLength)
            let body = front.pointee.input.bytes(headLength, count: Int(length))
            let complete = compose(head: head, request, body: body, bodyLength: request.framing == .none ? nil : length, front)
            consumeInput(headLength + Int(length), front)
            finishReading(complete, request, front, index, at: now, into: &egress)
            return
        }
        guard buffers.grow(&front.pointee.head, to: headLength, keeping: 0) else {
            refuse(front, index, status: 503, .queueFull, at: now, into: &egress)
            return
        }
        front.pointee.head.base!.copyMemory(from: front.pointee.input.base!, byteCount: headLength)
        consumeInput(headLength, front)
        front.pointee.request = request
        if request.framing == .chunked { front.pointee.decoder = ChunkedDecoder(limit: UInt64(limits.body)) }
        front.pointee.bodyMark = front.pointee.receiveNext
        front.pointee.phaseDeadline = now + bodyTime(limits)
        if request.expectsContinue, there == 0 {
            answerInterim(front, at: now, into: &egress)
        }
        readBody(front, index, limits, at: now, into: &egress)
    }

    /// What a request's body takes, as far as its head tells: what comes in chunks is noted as it comes.
    private static func bodyCost(_ request: RequestHead, _ limits: ServiceLimits) -> Int {
        guard let length = request.bodyLength, length > 0 else { return 0 }
        return BufferPool.taken(for: length <= UInt64(limits.bodyBuffer) ? Int(length) : streamCapacity(request, limits))
    }

    /// How often it is looked whether a body comes fast enough: without a rate it must only go on within `idle`.
    func bodyTime(_ limits: ServiceLimits) -> Interval { limits.bodyRate > 0 ? .seconds(10) : limits.idle }

    /// A body's time is over: it gets as much again if enough has come meanwhile.
    /// - Returns: false when it has not.
    func renewBodyTime(_ front: FrontRef, at now: Instant) -> Bool {
        let limits = self.limits[Int(front.pointee.service)]
        let came = front.pointee.receiveNext.distance(from: front.pointee.bodyMark)
        guard came >= max(1, 10 * min(limits.bodyRate, 1 << 40)) else { return false }
        front.pointee.bodyMark = front.pointee.receiveNext
        front.pointee.phaseDeadline = now + bodyTime(limits)
        return true
    }

    private mutating func readBody(
        _ front: FrontRef, _ index: Int, _ limits: ServiceLimits, at now: Instant, into egress: inout Egress
    ) {
        guard let request = front.pointee.request else { return }
        let head = front.pointee.head.bytes(0, count: Int(request.headLength))
        let there = Int(front.pointee.received.contiguous)
        if let length = request.bodyLength {
            guard length <= UInt64(limits.bodyBuffer) else {
                if there >= limits.bodyBuffer { beginStream(request, front, index, limits, at: now, into: &egress) }
                return
            }
            guard there >= Int(length) else { return }
            let body = front.pointee.input.bytes(0, count: Int(length))
            let complete = compose(head: head, request, body: body, bodyLength: length, front)
            consumeInput(Int(length), front)
            finishReading(complete, request, front, index, at: now, into: &egress)
            return
        }
        readChunks(request, front, index, limits, at: now, into: &egress)
    }

    /// Decodes what is there of a chunked body; with a byte more than `body-buffer` it is streamed.
    private mutating func readChunks(
        _ request: RequestHead, _ front: FrontRef, _ index: Int, _ limits: ServiceLimits, at now: Instant, into egress: inout Egress
    ) {
        guard var decoder = front.pointee.decoder else { return }
        let there = Int(front.pointee.received.contiguous)
        let most = limits.bodyBuffer + 1
        var offset = 0
        var state = ChunkedDecoder.State.more
        while state == .more, offset < there {
            let count = Int(front.pointee.bodyCount)
            let part = min(there - offset, most - count)
            guard part > 0 else { break }
            let region = UnsafeMutableRawBufferPointer(rebasing: front.pointee.input.bytes[offset..<offset + part])
            let result = decoder.decode(region)
            offset += result.consumed
            state = result.state
            guard result.produced > 0 else { continue }
            // Held for the head and the body together, once they are one.
            let total = count + result.produced
            guard holdBody(front, bytes: BufferPool.taken(for: min(total, limits.bodyBuffer))),
                buffers.grow(&front.pointee.body, to: total, keeping: count)
            else {
                refuse(front, index, status: 503, .bodyMemory, at: now, into: &egress)
                return
            }
            (front.pointee.body.base! + count).copyMemory(from: region.baseAddress!, byteCount: result.produced)
            front.pointee.bodyCount = UInt32(total)
        }
        front.pointee.decoder = decoder
        if offset > 0 { consumeInput(offset, front) }
        switch state {
        case .more:
            if Int(front.pointee.bodyCount) == most { beginStream(request, front, index, limits, at: now, into: &egress) }
        case .tooBig: refuse(front, index, .bodyTooLong, at: now, into: &egress)
        case .bad(let fault): refuse(front, index, fault, at: now, into: &egress)
        case .done:
            let head = front.pointee.head.bytes(0, count: Int(request.headLength))
            let body = front.pointee.body.bytes(0, count: Int(front.pointee.bodyCount))
            let complete = compose(head: head, request, body: body, bodyLength: UInt64(body.count), front)
            finishReading(complete, request, front, index, at: now, into: &egress)
        }
    }

    /// Takes the first `count` bytes out of the request buffer.
    mutating func consumeInput(_ count: Int, _ front: FrontRef) {
        let end = front.pointee.received.end
        front.pointee.received.consume(count)
        if end > count, let base = front.pointee.input.base {
            base.copyMemory(from: base + count, byteCount: end - count)
        } else if end == count {
            buffers.give(&front.pointee.input)
        }
    }

    /// Writes the request that goes to the server into `output`: its canonical head and its body.
    /// - Parameters:
    ///   - bodyLength: as the head says it; nil = none, or chunks.
    ///   - capacity: the least size of `output`.
    mutating func compose(
        head: UnsafeRawBufferPointer, _ request: RequestHead, body: UnsafeRawBufferPointer, bodyLength: UInt64?, capacity: Int = 0,
        _ front: FrontRef
    ) -> Bool {
        var address = InlineArray<40, UInt8>(repeating: 0)
        let addressLength = withUnsafeMutableBytes(of: &address) { front.pointee.client.address.write(at: $0.baseAddress!) }
        let needed = RequestRewriter.capacity(for: request, forwardedFor: addressLength) + body.count
        guard buffers.grow(&front.pointee.output, to: max(needed, capacity), keeping: 0) else { return false }
        let output = front.pointee.output.bytes
        let written = withUnsafeBytes(of: &address) { text in
            RequestRewriter.write(
                head: head, parsed: request, bodyLength: bodyLength,
                forwardedFor: UnsafeRawBufferPointer(rebasing: text[0..<addressLength]), into: output)
        }
        guard let written else { return false }
        if let base = body.baseAddress, body.count > 0 { (output.baseAddress! + written).copyMemory(from: base, byteCount: body.count) }
        front.pointee.outputCount = UInt32(written + body.count)
        return true
    }

    /// The request is whole, or as much of it as is read before it is queued: to its pool.
    mutating func finishReading(
        _ complete: Bool, _ request: RequestHead, _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) {
        let pool = complete ? route(front, request) : nil
        buffers.give(&front.pointee.head)
        buffers.give(&front.pointee.body)
        front.pointee.bodyCount = 0
        if !front.pointee.stream.isActive { front.pointee.decoder = nil }
        front.pointee.request = nil
        front.pointee.scanner = HeadScanner()
        front.pointee.retries = 0
        front.pointee.failedServer = .max
        front.pointee.lastServer = .max
        front.pointee.connectTime = .zero
        front.pointee.slotTaken = .distantPast
        front.pointee.sent = .distantPast
        front.pointee.responded = .distantPast
        front.pointee.status = 0
        front.pointee.bytesToClient = 0
        guard complete else {
            refuse(front, index, status: 503, .queueFull, at: now, into: &egress)
            return
        }
        if request.upgradesToWebSocket, front.pointee.finReceived || !dropBytesBehind(front) {
            // A tunnel that the client has closed already, or whose first bytes it will not send again.
            refuse(front, index, .bodyInUpgrade, at: now, into: &egress)
            return
        }
        guard let pool else {
            refuse(front, index, status: 503, .noRoute, at: now, into: &egress)
            return
        }
        if front.pointee.isUnwanted {
            front.pointee.isUnwanted = false
            if pools[pool].refuses {
                refuse(front, index, status: 503, .queueThreshold, at: now, into: &egress)
                return
            }
        }
        let hash = balanceHash(front, pool: pool)
        if pools[pool].settings.usesProxyProtocol, !prependProxyHeader(front) {
            refuse(front, index, status: 503, .queueFull, at: now, into: &egress)
            return
        }
        front.pointee.pool = UInt16(pool)
        front.pointee.balanceHash = hash
        front.pointee.queued = now
        if configuration.tcp.acknowledge == .immediate { acknowledge(front, into: &egress) }
        enqueue(front, index, at: now, into: &egress)
    }

    /// Puts the header of the PROXY protocol before the request: it goes out with it, on a connection of its own.
    /// - Returns: false when there is no memory for it.
    private mutating func prependProxyHeader(_ front: FrontRef) -> Bool {
        var header = InlineArray<52, UInt8>(repeating: 0)
        let service = listeners[Int(front.pointee.listener)].endpoint
        let length = withUnsafeMutableBytes(of: &header) { ProxyHeader.write(client: front.pointee.client, service: service, into: $0) }
        let count = Int(front.pointee.outputCount)
        guard buffers.grow(&front.pointee.output, to: count + length, keeping: count), let base = front.pointee.output.base else {
            return false
        }
        memmove(base + length, base, count)
        withUnsafeBytes(of: &header) { base.copyMemory(from: $0.baseAddress!, byteCount: length) }
        front.pointee.outputLead = UInt8(length)
        front.pointee.outputCount += UInt32(length)
        if front.pointee.stream.isActive {
            front.pointee.stream.kept += UInt32(length)
            front.pointee.stream.room += UInt32(length)
        }
        return true
    }

    /// Forgets the bytes behind an upgrade: they come again, into the tunnel or as the next request.
    /// - Returns: false when the client was told already that they are there.
    private mutating func dropBytesBehind(_ front: FrontRef) -> Bool {
        guard front.pointee.told.isAtOrBefore(front.pointee.inputStart) else { return false }
        front.pointee.bytesFromClient -= min(front.pointee.bytesFromClient, UInt64(front.pointee.received.contiguous))
        front.pointee.receiveNext = front.pointee.inputStart
        front.pointee.received = Reassembly()
        buffers.give(&front.pointee.input)
        return true
    }
}
