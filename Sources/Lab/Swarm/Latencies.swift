import Histogram

/// Latencies in microseconds, to three digits, up to ten minutes.
struct Latencies {
    /// Greater ones are counted as this.
    static let greatest: UInt64 = 600_000_000
    /// Points of a curve between one halving of what is left to 100 % and the next.
    private static let pointsPerHalving = 4

    private var histogram = Histogram<UInt32>(highestTrackableValue: Latencies.greatest, numberOfSignificantValueDigits: .three)

    init() {}

    /// Those of other processes, all together.
    init(_ counts: LatencyCounts) {
        for pair in counts.pairs { histogram.record(min(pair.microseconds, Self.greatest), count: UInt32(clamping: pair.count)) }
    }

    /// Counts a latency of so many nanoseconds.
    mutating func record(nanoseconds: Int64) {
        histogram.record(min(UInt64(max(0, nanoseconds)) / 1000, Self.greatest))
    }

    /// What another process needs to have the same histogram.
    var counts: LatencyCounts {
        var counts = LatencyCounts()
        for bucket in histogram.recordedValues() { counts.add(microseconds: min(bucket.value, Self.greatest), count: UInt64(bucket.count)) }
        return counts
    }

    /// The figures of all latencies; nil when there are none.
    var summary: LatencySummary? {
        guard histogram.totalCount > 0 else { return nil }
        func percentile(_ part: Double) -> Double { Self.milliseconds(min(histogram.valueAtPercentile(part), histogram.max)) }
        return LatencySummary(
            count: Int(histogram.totalCount), mean: (histogram.mean / 1000 * 1000).rounded() / 1000, p50: percentile(50),
            p90: percentile(90), p99: percentile(99), p999: percentile(99.9), max: Self.milliseconds(histogram.max))
    }

    /// The distribution: how many percent of all are at most so many milliseconds; ever finer toward 100 %.
    var curve: [LatencyPoint] {
        histogram.percentiles(ticksPerHalfDistance: Self.pointsPerHalving).map {
            LatencyPoint(
                percent: 100 * Double($0.totalCountToThisValue) / Double(histogram.totalCount), milliseconds: Self.milliseconds($0.value))
        }
    }

    private static func milliseconds(_ microseconds: UInt64) -> Double { Double(microseconds) / 1000 }
}

/// A point of a distribution.
public struct LatencyPoint: Hashable, Sendable, Encodable {
    public let percent: Double
    public let milliseconds: Double
}

/// Figures of latencies, in milliseconds.
public struct LatencySummary: Hashable, Sendable, Encodable {
    public let count: Int
    public let mean: Double
    public let p50: Double
    public let p90: Double
    public let p99: Double
    public let p999: Double
    public let max: Double
}
