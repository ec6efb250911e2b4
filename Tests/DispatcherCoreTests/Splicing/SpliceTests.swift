import Testing

@testable import DispatcherCore

@Suite("Splicing: splices")
struct SpliceTests {
    @Test(
        "M02 what goes there comes back: numbers and SACK blocks exactly, a window rounded down", arguments: 1...20 as ClosedRange<UInt64>)
    func inverse(seed: UInt64) {
        var random = SimulationRandom(seed: seed)
        for _ in 0..<500 {
            let (clientStart, serverStart) = (
                UInt32.random(in: 0...UInt32.max, using: &random), UInt32.random(in: 0...UInt32.max, using: &random)
            )
            let length = Int.random(in: 1...1 << 29, using: &random)
            var splice = Splice()
            splice.start = SequenceNumber(serverStart)
            splice.delta = clientStart &- serverStart

            let number = SequenceNumber(serverStart) + Int.random(in: 0...length, using: &random)
            #expect(splice.toServer(splice.toClient(number)) == number)
            #expect(
                splice.toClient(number).distance(from: SequenceNumber(clientStart)) == number.distance(from: SequenceNumber(serverStart)))

            let epoch = SACKBlocks.Block(start: SequenceNumber(serverStart), end: SequenceNumber(serverStart) + length)
            let there = SACKBlocks.Block(start: SequenceNumber(clientStart), end: SequenceNumber(clientStart) + length)
            var blocks = SACKBlocks()
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let from = Int.random(in: 0..<length, using: &random)
                blocks.append(.init(start: there.start + from, end: there.start + Int.random(in: from + 1...length, using: &random)))
            }
            let back = blocks.translated(by: 0 &- splice.delta, within: epoch).translated(by: splice.delta, within: there)
            #expect(back.count == blocks.count && (0..<back.count).allSatisfy { back[$0] == blocks[$0] })

            let client = NegotiatedOptions(peerScale: UInt8.random(in: 0...14, using: &random), sackPermitted: true)
            let shown = client.bytes(UInt16.random(in: 0...UInt16.max, using: &random))
            let server = NegotiatedOptions(peerScale: 3, sackPermitted: true)
            let passed = Int(server.field(atMost: shown)) << Int(server.shift)
            #expect(passed <= shown && shown - passed < 1 << Int(server.shift) || passed == server.largestWindow)
        }
    }
}
