/// How many there were in each second since the start of a load.
struct PerSecond {
    /// What comes later counts in the last second.
    static let greatest = 90_000

    private(set) var counts: [Int] = []

    /// Counts one at `time` nanoseconds after the start.
    mutating func record(at time: Int64) {
        let second = min(Int(max(0, time) / 1_000_000_000), Self.greatest)
        if second >= counts.count { counts.append(contentsOf: repeatElement(0, count: second - counts.count + 1)) }
        counts[second] += 1
    }

    /// Both, second by second.
    static func sum(_ one: [Int], _ other: [Int]) -> [Int] {
        (0..<max(one.count, other.count)).map { ($0 < one.count ? one[$0] : 0) + ($0 < other.count ? other[$0] : 0) }
    }
}
