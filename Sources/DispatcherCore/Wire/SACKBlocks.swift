/// The blocks of a SACK option (RFC 2018 section 3): ranges beyond the acknowledgement that have come, at most four.
public struct SACKBlocks: Sendable {
    /// As many fit beside no other option.
    public static let most = 4

    /// The first number of a block, and the one after its last.
    public struct Block: Equatable, Sendable {
        public var start: SequenceNumber
        public var end: SequenceNumber

        public init(start: SequenceNumber, end: SequenceNumber) {
            self.start = start
            self.end = end
        }
    }

    public private(set) var count = 0
    private var blocks = InlineArray<4, Block>(repeating: Block(start: SequenceNumber(0), end: SequenceNumber(0)))

    public init() {}

    /// Reads the blocks of a segment in the frame that it came in.
    @inlinable
    public init(_ segment: Segment, in frame: RawSpan) {
        self.init()
        for index in 0..<Int(segment.options.sackCount) {
            let offset = Int(segment.options.sackOffset) + 8 * index
            append(Block(start: SequenceNumber(frame.uint32(offset)), end: SequenceNumber(frame.uint32(offset + 4))))
        }
    }

    public subscript(index: Int) -> Block {
        precondition(index >= 0 && index < count)
        return blocks[index]
    }

    /// Adds a block; a fifth is left out.
    public mutating func append(_ block: Block) {
        guard count < Self.most else { return }
        blocks[count] = block
        count += 1
    }

    /// The blocks that lie within `range`, both edges moved by `delta`; all others are left out (tcp.md "Options").
    func translated(by delta: UInt32, within range: Block) -> SACKBlocks {
        var result = SACKBlocks()
        for index in 0..<count {
            let start = SequenceNumber(blocks[index].start.value &+ delta)
            let end = SequenceNumber(blocks[index].end.value &+ delta)
            guard start.isBefore(end), range.start.isAtOrBefore(start), end.isAtOrBefore(range.end) else { continue }
            result.append(Block(start: start, end: end))
        }
        return result
    }

    /// The blocks that go with an acknowledgement of `number`: those that begin beyond it, and a first one that lies before it (a D-SACK, RFC
    /// 2883). What begins at the number itself is behind a head that is ours to deliver.
    func beyond(_ number: SequenceNumber) -> SACKBlocks {
        var result = SACKBlocks()
        for index in 0..<count where blocks[index].start.isAfter(number) || (index == 0 && blocks[index].end.isAtOrBefore(number)) {
            result.append(blocks[index])
        }
        return result
    }

    /// Bytes that the option takes in a header, padding included.
    var optionLength: Int { count == 0 ? 0 : 4 + 8 * count }

    /// Writes the option, padded in front.
    func write(at option: UnsafeMutableRawPointer) {
        option.store(UInt32(0x0101_0500) | UInt32(2 + 8 * count), at: 0)
        for index in 0..<count {
            option.store(blocks[index].start.value, at: 4 + 8 * index)
            option.store(blocks[index].end.value, at: 8 + 8 * index)
        }
    }
}
