/// Which bytes of a receive buffer are there: a contiguous beginning, and up to four pieces beyond gaps. Offsets are bytes from the
/// buffer's start. Of bytes that come twice the first ones stay.
struct Reassembly {
    private static let most = 4

    /// Bytes from the start without a gap.
    private(set) var contiguous: UInt32 = 0
    /// Sorted, neither touching nor overlapping, all beyond `contiguous`.
    private var starts = InlineArray<4, UInt32>(repeating: 0)
    private var ends = InlineArray<4, UInt32>(repeating: 0)
    private var pieces = 0
    /// Where the bytes that came last begin.
    private var latest: UInt32 = 0

    init() {}

    /// Whether something waits beyond a gap.
    var hasGap: Bool { pieces > 0 }

    /// Copies `bytes` to `offset` of `buffer`, which is large enough for them, except where there are bytes already.
    /// - Returns: false when there are too many pieces: nothing was kept.
    mutating func insert(_ bytes: UnsafeRawBufferPointer, at offset: Int, into buffer: Buffer) -> Bool {
        let start = max(UInt32(offset), contiguous)
        let end = UInt32(offset + bytes.count)
        guard end > start else { return true }
        // The pieces that it touches or overlaps: they become one with it.
        var first = 0
        while first < pieces, ends[first] < start { first += 1 }
        var last = first
        while last < pieces, starts[last] <= end { last += 1 }
        if first == last, start > contiguous, pieces == Self.most { return false }

        var cursor = start
        for index in first..<last {
            if starts[index] > cursor { copy(bytes, offset, cursor, min(starts[index], end), buffer) }
            cursor = max(cursor, ends[index])
        }
        if cursor < end { copy(bytes, offset, cursor, end, buffer) }

        latest = start
        let mergedStart = first < last ? min(start, starts[first]) : start
        let mergedEnd = first < last ? max(end, ends[last - 1]) : end
        if start == contiguous {
            contiguous = mergedEnd
            replace(first..<last, with: nil)
        } else {
            replace(first..<last, with: (mergedStart, mergedEnd))
        }
        return true
    }

    private func copy(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ from: UInt32, _ to: UInt32, _ buffer: Buffer) {
        let count = Int(to - from)
        precondition(Int(to) <= buffer.capacity)
        (buffer.base! + Int(from)).copyMemory(from: bytes.baseAddress! + Int(from) - offset, byteCount: count)
    }

    private mutating func replace(_ range: Range<Int>, with piece: (UInt32, UInt32)?) {
        let added = piece == nil ? 0 : 1
        let shift = added - range.count
        if shift > 0 {
            var index = pieces - 1
            while index >= range.upperBound {
                starts[index + shift] = starts[index]
                ends[index + shift] = ends[index]
                index -= 1
            }
        } else if shift < 0 {
            for index in range.upperBound..<pieces {
                starts[index + shift] = starts[index]
                ends[index + shift] = ends[index]
            }
        }
        if let piece {
            starts[range.lowerBound] = piece.0
            ends[range.lowerBound] = piece.1
        }
        pieces += shift
    }

    /// Appends bytes that the caller has put right behind the contiguous ones.
    mutating func append(_ count: Int) { contiguous += UInt32(count) }

    /// Forgets the first `count` bytes: all offsets move down by as much. `count` is at most `contiguous`.
    mutating func consume(_ count: Int) {
        let shift = UInt32(count)
        contiguous -= shift
        latest -= min(latest, shift)
        for index in 0..<pieces {
            starts[index] -= shift
            ends[index] -= shift
        }
    }

    /// The pieces beyond gaps as SACK blocks, the one that came last first (RFC 2018 section 4).
    /// - Parameter start: the number of the buffer's first byte.
    func blocks(from start: SequenceNumber) -> SACKBlocks {
        var result = SACKBlocks()
        for pass in 0..<2 {
            for index in 0..<pieces where (starts[index] <= latest && latest < ends[index]) == (pass == 0) {
                result.append(SACKBlocks.Block(start: start + Int(starts[index]), end: start + Int(ends[index])))
            }
        }
        return result
    }

    /// Where the last byte that is there ends.
    var end: Int { pieces > 0 ? Int(ends[pieces - 1]) : Int(contiguous) }

    /// Cuts the contiguous bytes to `count` (a decoder has made them fewer); only without gaps.
    mutating func truncate(to count: Int) {
        precondition(pieces == 0 && count <= contiguous)
        contiguous = UInt32(count)
    }
}
