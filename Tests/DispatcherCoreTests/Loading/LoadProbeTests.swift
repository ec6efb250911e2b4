import Testing

@testable import DispatcherCore

@Suite("Comparing two limits")
struct LoadProbeTests {
    @Test("fewer, more, more, fewer: around the centre, by one connection at least", arguments: [1.0, 1.4, 2, 2.5, 7.3, 10, 99.9, 200])
    func order(center: Double) throws {
        for width in [0.01, 0.12, 0.4] {
            var probe = try #require(LoadProbe(around: center, width: width, minimum: 1, maximum: 256))
            #expect(probe.fewer < probe.more && probe.fewer >= 1)
            #expect(Double(probe.fewer) <= center && Double(probe.more) >= center)
            var limits: [Int] = []
            repeat { limits.append(probe.limit) } while !probe.advance()
            #expect(limits == [probe.fewer, probe.more, probe.more, probe.fewer])
        }
    }

    @Test("between the bounds; nothing to compare where they leave no two limits")
    func bounds() {
        let probe = LoadProbe(around: 256, width: 0.4, minimum: 200, maximum: 256)
        #expect(probe?.fewer == 200 && probe?.more == 256)
        #expect(LoadProbe(around: 9, width: 0.4, minimum: 9, maximum: 9) == nil)
    }
}
