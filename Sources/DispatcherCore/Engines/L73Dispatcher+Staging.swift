/// Staged responses: their bytes are copied, acknowledged to the server at once, and ours to deliver (tcp.md "Who sends a response byte").
extension L73Dispatcher {
    /// How many bytes of body follow a head whose response is staged; nil when it goes end to end.
    private func stagedLength(_ head: ResponseHead) -> Int? {
        guard tailCustody > 0 else { return nil }
        switch head.framing {
        case .none: return 0
        case .length(let length): return length <= UInt64(tailCustody) ? Int(length) : nil
        case .chunked, .untilClose: return nil
        }
    }

    /// Begins to stage a response, if it is one that is staged and there is memory for it.
    /// - Parameters:
    ///   - whole: the head; `part` of its bytes came just now.
    ///   - rest: what came behind it.
    /// - Returns: false when it must go end to end; nothing has changed then.
    mutating func stage(
        _ head: ResponseHead, _ whole: UnsafeRawBufferPointer, rest: UnsafeRawBufferPointer, part: Int, _ back: BackRef, _ place: Int,
        _ front: FrontRef, _ index: Int, at now: Instant, into egress: inout Egress
    ) -> Bool {
        guard let length = stagedLength(head), let offset = beginOwn(front) else { return false }
        guard reserveOwn(front, size: offset + whole.count + length, keeping: offset), appendOwn(front, whole) else {
            counters.delivered(.withoutMemory)
            return false
        }
        counters.delivered(.staged)
        buffers.give(&back.pointee.held)
        back.pointee.heldCount = 0
        back.pointee.receiveNext += part
        beginBody(head, headInEpoch: 0, back, place, front, at: now)
        back.pointee.use = .staged
        back.pointee.splice.floor = back.pointee.receiveNext
        takeStaged(rest, back, place, front, index, at: now, into: &egress)
        return true
    }

    /// Bytes of a staged response, at B.
    mutating func takeStaged(
        _ bytes: UnsafeRawBufferPointer, _ back: BackRef, _ place: Int, _ front: FrontRef, _ index: Int, at now: Instant,
        into egress: inout Egress
    ) {
        let remaining = Int(back.pointee.splice.remaining)
        let count = min(bytes.count, remaining)
        if bytes.count > remaining { back.pointee.resetsAfter = true }
        if count > 0 {
            guard appendOwn(front, UnsafeRawBufferPointer(rebasing: bytes[0..<count])) else {
                preconditionFailure("the room of a staged response is reserved with its head, and stays until its last byte has come")
            }
            if !front.pointee.isClientsTurn { front.pointee.beginProgress(at: now) }
            back.pointee.receiveNext += count
            carried[Int(back.pointee.server)] += count
            back.pointee.receiveHighest = SequenceNumber.later(back.pointee.receiveHighest, back.pointee.receiveNext)
            back.pointee.splice.remaining -= UInt64(count)
        }
        let hasArrived = count == remaining
        if hasArrived { responseArrived(front, back) }
        pump(front, at: now, into: &egress)
        armFront(front, index)
        if hasArrived {
            releaseSlot(front, back, place, isEarly: front.pointee.stream.isOpen, at: now, into: &egress)
        } else {
            // A rest of less than two segments is on its way, most likely: one acknowledgement for all. One between the two would have the
            // server take the last bytes for a flight of their own, and its path for a slow one.
            let isNearlyDone = back.pointee.splice.remaining < UInt64(2 * serverMSS(back))
            oweAcknowledgement(back, place, after: isNearlyDone ? .microseconds(250) : .zero, at: now, into: &egress)
        }
    }

    /// Whether more of a staged response is to come: its room stays reserved, also while the client has acknowledged all that there is.
    func isStaging(_ front: FrontRef) -> Bool {
        front.pointee.hasSlot && backs.pointer(Int(front.pointee.back)).pointee.use == .staged
    }

    // MARK: Staging memory

    /// Where own bytes may be added, as `Sender.beginOwn` has it. While packets that have not left point into the buffer, nothing in it is
    /// written over: they keep it, and there is another one. The rest of a staged response goes behind what it has: that room is its own.
    mutating func beginOwn(_ front: FrontRef) -> Int? {
        guard buffers.isLent(front.pointee.own) else { return front.pointee.sender.beginOwn() }
        let offset = front.pointee.sender.beginOwn(behind: isStaging(front))
        if offset == 0 { giveOwn(front) }
        return offset
    }

    /// Makes room in the buffer of own bytes and counts it as staging memory.
    private mutating func reserveOwn(_ front: FrontRef, size: Int, keeping: Int) -> Bool {
        let capacity = max(BufferPool.taken(for: size), front.pointee.own.capacity)
        let more = capacity - Int(front.pointee.stagedBytes)
        guard more <= configuration.tcp.stagingMemory - stagingBytes,
            buffers.grow(&front.pointee.own, to: size, keeping: keeping)
        else { return false }
        stagingBytes += more
        front.pointee.stagedBytes = UInt32(capacity)
        return true
    }

    /// Makes room in the buffer of own bytes for answers of ours. What is counted as staging memory stays counted as it was.
    mutating func growOwn(_ front: FrontRef, to size: Int, keeping: Int) -> Bool {
        buffers.grow(&front.pointee.own, to: size, keeping: keeping)
    }

    mutating func giveOwn(_ front: FrontRef) {
        buffers.give(&front.pointee.own)
        stagingBytes -= Int(front.pointee.stagedBytes)
        front.pointee.stagedBytes = 0
    }

    // MARK: The end of a long response

    /// Keeps a copy of bytes that pass end to end, as far as they may be among the last `tail-custody` ones.
    mutating func keepTail(_ bytes: UnsafeRawBufferPointer, at sequence: SequenceNumber, _ back: BackRef) {
        guard tailCustody > 0, !back.pointee.custodyRefused, !bytes.isEmpty else { return }
        let end = sequence + bytes.count
        if back.pointee.custody.isNone {
            var start = sequence
            var size = bytes.count
            if back.pointee.splice.endKnown {
                guard let last = back.pointee.splice.end(from: back.pointee.receiveNext), end.isAfter(last - tailCustody) else { return }
                start = SequenceNumber.later(sequence, last - tailCustody)
                size = last.distance(from: start)
            }
            guard growCustody(back, to: min(size, tailCustody), keeping: 0) else { return }
            back.pointee.custodyBase = start
            back.pointee.inCustody = Reassembly()
        }
        var kept = bytes
        var offset = sequence.distance(from: back.pointee.custodyBase)
        if offset + bytes.count > tailCustody {
            // Only while the end is not known: what the client has makes room, else older bytes go.
            offset -= makeCustodyRoom(offset + bytes.count - tailCustody, sequence, end, back)
        }
        if offset < 0 {
            guard -offset < bytes.count else { return }
            kept = UnsafeRawBufferPointer(rebasing: bytes[(-offset)...])
            offset = 0
        }
        guard growCustody(back, to: offset + kept.count, keeping: back.pointee.inCustody.end) else { return }
        // A piece too many is not kept: then the client itself must acknowledge the end.
        _ = back.pointee.inCustody.insert(kept, at: offset, into: back.pointee.custody)
    }

    /// - Returns: how far the copy's beginning has moved on.
    private mutating func makeCustodyRoom(_ wanted: Int, _ sequence: SequenceNumber, _ end: SequenceNumber, _ back: BackRef) -> Int {
        guard let (front, _) = front(of: back) else { return 0 }
        let held = Int(back.pointee.inCustody.contiguous)
        let reached = back.pointee.splice.toServer(front.pointee.sender.unacknowledged)
        let acknowledged = min(max(0, reached.distance(from: back.pointee.custodyBase)), held)
        guard acknowledged >= wanted, let base = back.pointee.custody.base else {
            let start = SequenceNumber.later(sequence, end - tailCustody)
            let moved = start.distance(from: back.pointee.custodyBase)
            back.pointee.custodyBase = start
            back.pointee.inCustody = Reassembly()
            return moved
        }
        base.copyMemory(from: base + acknowledged, byteCount: back.pointee.inCustody.end - acknowledged)
        back.pointee.inCustody.consume(acknowledged)
        back.pointee.custodyBase += acknowledged
        return acknowledged
    }

    /// The whole of what the client lacks is in our copy: the server is free, and the client's acknowledgements end here.
    /// - Returns: whether it was so.
    mutating func takeCustody(
        _ front: FrontRef, _ index: Int, _ back: BackRef, _ place: Int, at now: Instant, into egress: inout Egress
    ) -> Bool {
        guard !back.pointee.custody.isNone, back.pointee.use == .body, back.pointee.splice.endKnown, back.pointee.splice.remaining == 0,
            back.pointee.custodyBase + Int(back.pointee.inCustody.contiguous) == back.pointee.receiveNext
        else { return false }
        let start = back.pointee.splice.toClient(back.pointee.custodyBase)
        let end = back.pointee.splice.toClient(back.pointee.receiveNext)
        let reached = front.pointee.sender.unacknowledged
        guard reached.isAtOrAfter(start), reached.isBefore(end), !reached.isBefore(front.pointee.sender.end),
            end.isAtOrBefore(front.pointee.sender.highest)
        else { return false }
        counters.delivered(.tailKept)
        giveOwn(front)
        front.pointee.own = back.pointee.custody
        front.pointee.stagedBytes = back.pointee.custodyBytes
        back.pointee.custody = .none
        back.pointee.custodyBytes = 0
        front.pointee.sender.adopt(from: start, to: end, at: now)
        releaseSlot(front, back, place, isEarly: front.pointee.stream.isOpen, at: now, into: &egress)
        armFront(front, index)
        return true
    }

    private mutating func growCustody(_ back: BackRef, to size: Int, keeping: Int) -> Bool {
        guard size > back.pointee.custody.capacity else { return true }
        let more = BufferPool.taken(for: size) - Int(back.pointee.custodyBytes)
        guard more <= configuration.tcp.stagingMemory - stagingBytes, buffers.grow(&back.pointee.custody, to: size, keeping: keeping) else {
            counters.delivered(.withoutMemory)
            giveCustody(back)
            back.pointee.custodyRefused = true
            return false
        }
        stagingBytes += more
        back.pointee.custodyBytes = UInt32(back.pointee.custody.capacity)
        return true
    }

    mutating func giveCustody(_ back: BackRef) {
        buffers.give(&back.pointee.custody)
        stagingBytes -= Int(back.pointee.custodyBytes)
        back.pointee.custodyBytes = 0
        back.pointee.inCustody = Reassembly()
    }
}
