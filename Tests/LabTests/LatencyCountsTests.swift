import Foundation
import Testing

@testable import Lab

@Suite("Lab: latencies of several processes")
struct LatencyCountsTests {
    /// Latencies in microseconds from a small generator: several powers of ten, the same each time.
    private static func latencies(_ count: Int, seed: UInt64) -> [Int64] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int64(pow(10, Double(state >> 40) / Double(1 << 24) * 7))
        }
    }

    private static func histogram(_ latencies: [Int64]) -> Latencies {
        var histogram = Latencies()
        for latency in latencies { histogram.record(nanoseconds: latency * 1000) }
        return histogram
    }

    @Test("counts handed over as JSON and added up are those of one histogram of all", arguments: [1, 2, 9])
    func merging(processes: Int) throws {
        let all = Self.latencies(9000, seed: 7) + [0, 599_999_999]
        var merged = LatencyCounts()
        for process in 0..<processes {
            let own = all.enumerated().filter { $0.offset % processes == process }.map(\.element)
            let line = try JSONEncoder().encode(Self.histogram(own).counts)
            merged.add(try JSONDecoder().decode(LatencyCounts.self, from: line))
        }
        let whole = Self.histogram(all)
        #expect(merged == whole.counts)
        #expect(merged.total == UInt64(all.count))
        #expect(Latencies(merged).summary == whole.summary)
        #expect(Latencies(merged).curve == whole.curve)
    }

    @Test("percentiles are of all latencies, not averages of percentiles")
    func noAverage() throws {
        // Of one process every latency is 1 ms, of the other every one a second.
        var merged = Self.histogram(Array(repeating: 1000, count: 990)).counts
        merged.add(Self.histogram(Array(repeating: 1_000_000, count: 10)).counts)
        let summary = try #require(Latencies(merged).summary)
        #expect(summary.p50.rounded() == 1 && summary.p90.rounded() == 1)
        #expect(summary.p999.rounded() == 1000 && summary.max.rounded() == 1000)
    }

    @Test("a curve rises to 100 % at the greatest")
    func curve() throws {
        let curve = Self.histogram(Self.latencies(5000, seed: 3)).curve
        #expect(curve.count > 10)
        #expect(zip(curve, curve.dropFirst()).allSatisfy { $0.percent <= $1.percent && $0.milliseconds <= $1.milliseconds })
        #expect(try #require(curve.last).percent == 100)
    }

    @Test("none make nothing")
    func none() throws {
        let line = try JSONEncoder().encode(LatencyCounts())
        #expect(String(decoding: line, as: UTF8.self) == "[]")
        #expect(Latencies(LatencyCounts()).summary == nil)
    }
}
