import Testing

@testable import PushStore

@Suite("Store: how long writes gather")
struct GatheringPaceTests {
    /// Commits of one process, each `every` seconds after the one before, while the others make `others` between two of them.
    private func pace(_ commits: Int, every: Double, others: Int64, after pace: GatheringPace = GatheringPace()) -> GatheringPace {
        var pace = pace
        var (number, time) = (Int64(1), MonotonicTime(nanoseconds: 1_000_000_000))
        for _ in 0...commits {
            pace.committed(number: number, at: time)
            number += 1 + others
            time = time + every
        }
        return pace
    }

    @Test("A process that is alone gathers for the shortest time, however much it writes")
    func alone() {
        #expect(pace(1000, every: 0.002, others: 0).gathering == GatheringPace.shortest)
    }

    @Test("Where others are, it is longer while all together commit often, up to a limit")
    func shared() {
        let some = pace(3, every: 0.004, others: 7).gathering
        #expect(some > GatheringPace.shortest && some < GatheringPace.longest)
        #expect(pace(100, every: 0.004, others: 7).gathering == GatheringPace.longest)
    }

    @Test("It stays where it is while commits are neither many nor few")
    func steady() {
        let some = pace(3, every: 0.004, others: 7)
        #expect(pace(100, every: 8 / 100.0, others: 7, after: some).gathering == some.gathering)
    }

    @Test("It is short again when the others do little, or nothing", arguments: [(0.5, 3), (0.01, 0)])
    func calm(every: Double, others: Int64) {
        let busy = pace(100, every: 0.004, others: 7)
        #expect(pace(20, every: every, others: others, after: busy).gathering == GatheringPace.shortest)
    }

    @Test("A count that goes back, or no time, changes nothing")
    func nonsense() {
        var pace = GatheringPace()
        for number in [Int64(5), 3, 3, 900] { pace.committed(number: number, at: MonotonicTime(nanoseconds: 1)) }
        #expect(pace.gathering == GatheringPace.shortest)
    }

    @Test("Commits of all processes are counted")
    func counted() throws {
        let directory = try TemporaryDirectory()
        let (one, two) = (try TurnLock(directory: directory.path), try TurnLock(directory: directory.path))
        for number in Int64(1)...5 { #expect(try (number == 3 ? one : two).withLock { two.countCommit() } == number) }
    }
}
