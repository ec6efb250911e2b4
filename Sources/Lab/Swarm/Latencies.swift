import Histogram

/// Latencies in microseconds, to three digits, up to ten minutes.
struct Latencies {
    /// Greater ones are counted as this.
    static let greatest: UInt64 = 600_000_000

    private var histogram = Histogram<UInt32>(highestTrackableValue: Latencies.greatest, numberOfSignificantValueDigits: .three)

    /// Counts a latency of so many nanoseconds.
    mutating func record(nanoseconds: Int64) {
        histogram.record(min(UInt64(max(0, nanoseconds)) / 1000, Self.greatest))
    }

    /// The figures of all latencies; nil when there are none.
    var summary: LatencySummary? {
        guard histogram.totalCount > 0 else { return nil }
        func milliseconds(_ microseconds: UInt64) -> Double { Double(microseconds) / 1000 }
        func percentile(_ part: Double) -> Double { milliseconds(min(histogram.valueAtPercentile(part), histogram.max)) }
        return LatencySummary(
            count: Int(histogram.totalCount), mean: (histogram.mean / 1000 * 1000).rounded() / 1000, p50: percentile(50),
            p90: percentile(90), p99: percentile(99), p999: percentile(99.9), max: milliseconds(histogram.max))
    }
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
