import Synchronization

/// How long something took, counted in buckets.
final class LatencyHistogram: Sendable {
    /// What has been counted.
    struct Values: Sendable {
        /// One for each bound, and one above them all; each time is in exactly one.
        var buckets: [Int]
        /// In seconds.
        var sum = 0.0

        var count: Int { buckets.reduce(0, +) }
    }

    /// Upper bounds of the buckets, in seconds.
    let bounds: [Double]
    private let values: Mutex<Values>

    init(bounds: [Double]) {
        self.bounds = bounds
        values = Mutex(Values(buckets: [Int](repeating: 0, count: bounds.count + 1)))
    }

    /// Counts a time; one below 0, after a step of the clock, counts as 0.
    func add(seconds: Double) {
        let seconds = max(0, seconds)
        let bucket = bounds.firstIndex { seconds <= $0 } ?? bounds.count
        values.withLock {
            $0.buckets[bucket] += 1
            $0.sum += seconds
        }
    }

    var current: Values { values.withLock { $0 } }
}
