import Foundation
import Testing

@testable import Lab

@Suite("Lab: a load that several processes have seen")
struct LoadCountsTests {
    private static func milliseconds(_ count: Int64) -> Int64 { count * 1_000_000 }

    private static func counts(of tally: SwarmTally, lost: Int = 0) -> LoadCounts {
        tally.counts(lost: lost, firstLoss: lost > 0 ? "it broke" : nil, processorSeconds: 0.5, loadSeconds: 2)
    }

    @Test("counts are added up, second by second too")
    func adding() {
        var one = SwarmTally(plan: SwarmPlan(devices: 2, rate: 1, seconds: 2))
        one.makeDue(2)
        for number in 0..<2 {
            one.post(number, at: Self.milliseconds(1000 * Int64(number)))
            one.answer(number, status: 200, at: Self.milliseconds(1000 * Int64(number) + 5))
            one.deliver(number, at: Self.milliseconds(1000 * Int64(number) + 6))
        }
        var other = SwarmTally(plan: SwarmPlan(devices: 1, rate: 1, seconds: 1))
        other.makeDue(1)
        other.answer(0, status: 503, at: Self.milliseconds(2500))
        var sum = Self.counts(of: one)
        sum.add(Self.counts(of: other, lost: 3))
        #expect(sum.due == 3 && sum.posted == 2 && sum.answered == 3 && sum.accepted == 2)
        #expect(sum.answers == ["200": 2, "503": 1])
        #expect(sum.delivered == 2 && sum.missing == 0 && sum.surplus == 0)
        #expect(sum.deliveredBySecond == [1, 1] && sum.answeredBySecond == [1, 1])
        #expect(sum.connectionsLost == 3 && sum.firstLoss == "it broke")
        #expect(sum.delivery.total == 2 && sum.processorSeconds == 1 && sum.loadSeconds == 2)
    }

    @Test("a message that all share is complete at the last process's last device")
    func completion() {
        let plan = SwarmPlan(devices: 2, applications: 1, rate: 1, seconds: 2)
        var poster = SwarmTally(plan: plan)
        var watcher = SwarmTally(plan: plan, isWatching: true)
        poster.makeDue(2)
        #expect(watcher.missing == 4 && !watcher.isComplete)
        for number in 0..<2 {
            poster.answer(number, status: 200, at: Self.milliseconds(1000 * Int64(number) + 2))
            for device in 0..<2 { poster.deliver(number, at: Self.milliseconds(1000 * Int64(number) + 10 + Int64(device))) }
        }
        watcher.deliver(0, at: Self.milliseconds(30))
        watcher.deliver(0, at: Self.milliseconds(40))
        watcher.deliver(1, at: Self.milliseconds(1030))
        var sum = Self.counts(of: poster)
        sum.add(Self.counts(of: watcher))
        #expect(sum.due == 2)
        #expect(sum.completions == [40_000, -1])
        #expect(sum.missing == 1)
        watcher.deliver(1, at: Self.milliseconds(1011))
        #expect(watcher.isComplete && poster.isComplete)
    }

    @Test("a process without devices of the shared application waits for nothing")
    func nobody() {
        let tally = SwarmTally(plan: SwarmPlan(devices: 0, applications: 1, rate: 1, seconds: 2), isWatching: true)
        #expect(tally.isComplete)
    }

    @Test("a step holds only if all was accepted, all came once, nothing broke, and p99 is below the limit")
    func held() {
        var good = LoadCounts()
        good.due = 2
        good.answers = ["200": 2]
        good.delivery.add(microseconds: 10_000, count: 2)
        func isHeld(_ counts: LoadCounts, limit: Double = 250) -> Bool {
            BenchStep(rate: 1, seconds: 2, counts: counts, isOfRequests: false, limit: limit).isHeld
        }
        #expect(isHeld(good))
        #expect(!isHeld(good, limit: 10))
        for spoil: (inout LoadCounts) -> Void in [
            { $0.answers = ["200": 1, "503": 1] }, { $0.missing = 1 }, { $0.surplus = 1 }, { $0.connectionsLost = 1 },
        ] {
            var bad = good
            spoil(&bad)
            #expect(!isHeld(bad))
        }
    }

    @Test("what a process says is read as it was said")
    func lines() throws {
        var counts = LoadCounts()
        counts.due = 4
        counts.answers = ["200": 4]
        counts.answer.add(microseconds: 5, count: 4)
        counts.completions = [7, -1]
        let events: [PartEvent] = [
            .progress(PartProgress()), .connected(PartConnected(seconds: 1.5, retries: 2, firstRetry: "late", pbkbase64: "A")), .shared,
            .loaded(counts), .totals(SwarmTotals(missing: 1)), .failed("no"),
        ]
        for event in events {
            let line = try JSONEncoder().encode(event)
            #expect(!line.contains(UInt8(ascii: "\n")))
            #expect(try JSONDecoder().decode(PartEvent.self, from: line) == event)
        }
    }
}
