/// What a peer says it has beyond its acknowledgement (RFC 2018, RFC 6675 section 3): ranges that need not be sent again.
///
/// It holds few ranges; of more than fit the highest are forgotten. That costs at most a byte sent twice: the peer repeats what it says.
struct Scoreboard {
    static let most = 6

    /// Sorted, neither touching nor overlapping.
    private var ranges = InlineArray<6, SACKBlocks.Block>(
        repeating: SACKBlocks.Block(start: SequenceNumber(0), end: SequenceNumber(0)))
    private var used: UInt8 = 0
    private(set) var count: Int {
        get { Int(used) }
        set { used = UInt8(newValue) }
    }

    init() {}

    var isEmpty: Bool { count == 0 }
    /// The end of the highest range; only when there is one.
    var highest: SequenceNumber { ranges[count - 1].end }
    var bytes: Int {
        var sum = 0
        for index in 0..<count { sum += ranges[index].end.distance(from: ranges[index].start) }
        return sum
    }

    /// Adds a block that lies within what is sent and not acknowledged.
    /// - Returns: whether it says something new.
    mutating func insert(_ block: SACKBlocks.Block) -> Bool {
        var first = 0
        while first < count, ranges[first].end.isBefore(block.start) { first += 1 }
        var last = first
        while last < count, ranges[last].start.isAtOrBefore(block.end) { last += 1 }
        if first == last {
            if first == Self.most { return false }
            var index = min(count, Self.most - 1)
            while index > first {
                ranges[index] = ranges[index - 1]
                index -= 1
            }
            ranges[first] = block
            count = min(count + 1, Self.most)
            return true
        }
        let merged = SACKBlocks.Block(
            start: SequenceNumber.earlier(block.start, ranges[first].start), end: SequenceNumber.later(block.end, ranges[last - 1].end))
        let isNew = last - first > 1 || merged != ranges[first]
        ranges[first] = merged
        let gone = last - first - 1
        if gone > 0 {
            for index in last..<count { ranges[index - gone] = ranges[index] }
            count -= gone
        }
        return isNew
    }

    /// Forgets what lies before `number`.
    mutating func acknowledge(_ number: SequenceNumber) {
        var gone = 0
        while gone < count, ranges[gone].end.isAtOrBefore(number) { gone += 1 }
        if gone > 0 {
            for index in gone..<count { ranges[index - gone] = ranges[index] }
            count -= gone
        }
        if count > 0, ranges[0].start.isBefore(number) { ranges[0].start = number }
    }

    /// The first byte at or behind `number` that is not reported, and where the next report begins (nil = none does).
    func hole(from number: SequenceNumber) -> (start: SequenceNumber, end: SequenceNumber?) {
        var start = number
        for index in 0..<count {
            if start.isBefore(ranges[index].start) { return (start, ranges[index].start) }
            if start.isBefore(ranges[index].end) { start = ranges[index].end }
        }
        return (start, nil)
    }

    /// Before this number everything that is not reported counts as lost (RFC 6675 section 4, IsLost): three ranges lie beyond it, or more
    /// than two segments of bytes. Nil: nothing is lost.
    func lostEdge(segmentSize: Int) -> SequenceNumber? {
        var bytes = 0
        for seen in 1...Self.most {
            guard seen <= count else { return nil }
            let range = ranges[count - seen]
            bytes += range.end.distance(from: range.start)
            if seen >= 3 || bytes > 2 * segmentSize { return range.start }
        }
        return nil
    }

    /// Bytes between two numbers that are not reported.
    func unreported(from start: SequenceNumber, to end: SequenceNumber) -> Int {
        var bytes = max(0, end.distance(from: start))
        for index in 0..<count {
            let from = SequenceNumber.later(ranges[index].start, start)
            let to = SequenceNumber.earlier(ranges[index].end, end)
            bytes -= max(0, to.distance(from: from))
        }
        return bytes
    }

    mutating func removeAll() { count = 0 }
}
