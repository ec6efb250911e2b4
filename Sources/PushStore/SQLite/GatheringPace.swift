/// How long the first write of a batch waits for others, so that the processes of one directory together do not commit more often than is
/// good: each commit costs a write to the disk, and makes all the other processes forget what they have of the database in memory.
///
/// A process that is alone, or whose neighbours do little, does not wait for long; eight busy ones commit about as often as one.
struct GatheringPace {
    /// In seconds.
    static let shortest = 0.002
    /// In seconds: what a message waits at most, before its turn comes.
    static let longest = 0.04
    /// Above so many commits a second, of all processes, batches are made larger.
    static let busy = 150.0
    /// Below so many they are made smaller.
    static let calm = 75.0
    private static let step = 1.25

    /// Seconds.
    private(set) var gathering = GatheringPace.shortest
    private var last: (number: Int64, time: MonotonicTime)?

    /// This process has made the commit `number` of all processes'.
    mutating func committed(number: Int64, at time: MonotonicTime) {
        defer { last = (number, time) }
        guard let last, number > last.number, time > last.time else { return }
        let rate = Double(number - last.number) * 1e9 / Double(time.nanoseconds - last.time.nanoseconds)
        let isAlone = number == last.number + 1
        if rate > Self.busy, !isAlone {
            gathering = min(Self.longest, gathering * Self.step)
        } else if rate < Self.calm || isAlone {
            gathering = max(Self.shortest, gathering / Self.step)
        }
    }
}
