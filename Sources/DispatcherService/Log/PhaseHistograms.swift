import DispatcherCore

/// How long requests took, by phase: the buckets of `sluice_request_duration_seconds`.
struct PhaseHistograms: Sendable, Equatable {
    enum Phase: String, CaseIterable, Sendable { case receive, queue, connect, response, total }

    /// Upper bounds of the buckets in nanoseconds, and as the metric's label `le` says them.
    static let bounds: [(nanoseconds: Int64, label: String)] = [
        (100_000, "0.0001"), (250_000, "0.00025"), (500_000, "0.0005"), (1_000_000, "0.001"), (2_500_000, "0.0025"), (5_000_000, "0.005"),
        (10_000_000, "0.01"), (25_000_000, "0.025"), (50_000_000, "0.05"), (100_000_000, "0.1"), (250_000_000, "0.25"),
        (500_000_000, "0.5"), (1_000_000_000, "1"), (2_500_000_000, "2.5"), (5_000_000_000, "5"), (10_000_000_000, "10"),
        (30_000_000_000, "30"), (60_000_000_000, "60"),
    ]

    struct Histogram: Sendable, Equatable {
        /// One a bound, and one above them all; each value is in exactly one.
        var buckets = [UInt64](repeating: 0, count: PhaseHistograms.bounds.count + 1)
        var nanoseconds: UInt64 = 0

        var count: UInt64 { buckets.reduce(0, +) }

        mutating func add(_ interval: Interval) {
            let value = max(0, interval.nanoseconds)
            let bucket = PhaseHistograms.bounds.firstIndex { value <= $0.nanoseconds } ?? PhaseHistograms.bounds.count
            buckets[bucket] += 1
            nanoseconds &+= UInt64(value)
        }
    }

    private(set) var histograms = [Histogram](repeating: Histogram(), count: Phase.allCases.count)

    subscript(phase: Phase) -> Histogram { histograms[Phase.allCases.firstIndex(of: phase)!] }

    /// Counts the phases that the request reached. The end of a tunnel is none: its request was counted when it was opened. A forwarded
    /// connection waits and is opened, but its length says nothing of how long an answer took.
    mutating func add(_ record: borrowing RequestRecord) {
        guard record.kind != .tunnelClosed else { return }
        if record.kind == .connection {
            add(.queue, record.queue)
            add(.connect, record.connect)
            return
        }
        add(.receive, record.receive)
        add(.queue, record.queue)
        add(.connect, record.connect)
        add(.response, record.response)
        add(.total, record.total)
    }

    private mutating func add(_ phase: Phase, _ interval: Interval?) {
        guard let interval else { return }
        histograms[Phase.allCases.firstIndex(of: phase)!].add(interval)
    }
}
