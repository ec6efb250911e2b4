import Testing

@testable import DispatcherCore

@Suite("Scoreboard")
struct ScoreboardTests {
    private func number(_ offset: Int) -> SequenceNumber { SequenceNumber(UInt32.max - 5_000) + offset }
    private func block(_ range: Range<Int>) -> SACKBlocks.Block {
        SACKBlocks.Block(start: number(range.lowerBound), end: number(range.upperBound))
    }

    @Test("blocks against a plain set of bytes, around the end of the sequence space", arguments: 0..<60 as Range<UInt64>)
    func model(seed: UInt64) {
        var random = SimulationRandom(seed: seed)
        var board = Scoreboard()
        var bytes = Set<Int>()
        var acknowledged = 0
        for _ in 0..<40 {
            if random.chance(0.2) {
                acknowledged += random.below(400)
                board.acknowledge(number(acknowledged))
                bytes = bytes.filter { $0 >= acknowledged }
            } else if board.count < Scoreboard.most {
                let start = acknowledged + 1 + random.below(9_000)
                let range = start..<start + 1 + random.below(900)
                let isNew = board.insert(block(range))
                #expect(isNew == !range.allSatisfy(bytes.contains))
                bytes.formUnion(range)
            }
            #expect(board.bytes == bytes.count)
            let from = acknowledged + random.below(5_000)
            let to = from + random.below(6_000)
            #expect(board.unreported(from: number(from), to: number(to)) == (from..<to).filter { !bytes.contains($0) }.count)
            let hole = board.hole(from: number(from))
            let start = (from...).first { !bytes.contains($0) }!
            #expect(hole.start == number(start))
            #expect(hole.end == bytes.filter { $0 > start }.min().map { number($0) })
        }
    }

    @Test("RFC 6675 4: lost is what has more than two segments of reported bytes behind it, or three reports")
    func lostEdge() {
        var board = Scoreboard()
        #expect(board.lostEdge(segmentSize: 1_000) == nil)
        _ = board.insert(block(5_000..<7_000))
        #expect(board.lostEdge(segmentSize: 1_000) == nil)
        _ = board.insert(block(7_000..<7_001))
        #expect(board.lostEdge(segmentSize: 1_000) == number(5_000))
        board = Scoreboard()
        for start in [1_000, 3_000, 5_000] { _ = board.insert(block(start..<start + 10)) }
        #expect(board.lostEdge(segmentSize: 1_000) == number(1_000))
    }

    @Test("of more ranges than fit the highest are forgotten")
    func full() {
        var board = Scoreboard()
        for index in 0..<Scoreboard.most {
            let isNew = board.insert(block(1_000 * (index + 2)..<1_000 * (index + 2) + 5))
            #expect(isNew)
        }
        let fits = board.insert(block(20_000..<20_005))
        #expect(!fits && board.count == Scoreboard.most)
        let isLower = board.insert(block(500..<505))
        #expect(isLower && board.count == Scoreboard.most)
        #expect(board.highest == number(1_000 * Scoreboard.most + 5))
    }
}
