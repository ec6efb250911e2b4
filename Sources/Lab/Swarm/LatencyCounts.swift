/// The buckets of a histogram of latencies, as one process hands them to another.
///
/// Buckets of several processes are added up, so that percentiles are those of all latencies, never averages of percentiles. Encoded as
/// one list of numbers: microseconds, count, microseconds, count, and so on.
public struct LatencyCounts: Hashable, Sendable, Codable {
    private var counts: [UInt64: UInt64] = [:]

    public init() {}

    /// How many latencies there are.
    public var total: UInt64 { counts.values.reduce(0, +) }

    /// Every bucket that has any, smallest first.
    var pairs: [(microseconds: UInt64, count: UInt64)] {
        counts.sorted { $0.key < $1.key }.map { (microseconds: $0.key, count: $0.value) }
    }

    mutating func add(microseconds: UInt64, count: UInt64) {
        counts[microseconds, default: 0] += count
    }

    /// Adds those of another process.
    public mutating func add(_ other: LatencyCounts) {
        counts.merge(other.counts, uniquingKeysWith: +)
    }

    public init(from decoder: any Decoder) throws {
        var list = try decoder.unkeyedContainer()
        while !list.isAtEnd {
            let microseconds = try list.decode(UInt64.self)
            counts[microseconds, default: 0] += try list.decode(UInt64.self)
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var list = encoder.unkeyedContainer()
        for pair in pairs {
            try list.encode(pair.microseconds)
            try list.encode(pair.count)
        }
    }
}
