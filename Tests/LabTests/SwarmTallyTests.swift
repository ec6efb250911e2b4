import Testing

@testable import Lab

@Suite("Lab: what a swarm counts")
struct SwarmTallyTests {
    /// Milliseconds in nanoseconds.
    private static func milliseconds(_ count: Int64) -> Int64 { count * 1_000_000 }

    private func result(of tally: SwarmTally) -> SwarmResult {
        tally.result(connectSeconds: 1, lost: 0, processorSeconds: 0.5, loadSeconds: 2)
    }

    @Test("latencies count from when a message was due, however late it was written")
    func dueTime() throws {
        var tally = SwarmTally(plan: SwarmPlan(devices: 1, rate: 10, seconds: 0.2))
        tally.makeDue(2)
        // Due at 0 and at 100 ms; the second is held up until 350 ms.
        tally.post(0, at: 0)
        tally.answer(0, status: 200, at: Self.milliseconds(3))
        tally.deliver(0, at: Self.milliseconds(4))
        #expect(!tally.isComplete)
        tally.post(1, at: Self.milliseconds(350))
        tally.answer(1, status: 200, at: Self.milliseconds(360))
        tally.deliver(1, at: Self.milliseconds(370))
        #expect(tally.isComplete)
        let result = result(of: tally)
        #expect(result.accepted == 2 && result.delivered == 2 && result.missing == 0 && result.surplus == 0)
        #expect(try #require(result.lateness).max.rounded() == 250)
        #expect(try #require(result.answer).max.rounded() == 260)
        #expect(try #require(result.delivery).max.rounded() == 270)
        #expect(try #require(result.delivery).p50.rounded() == 4)
    }

    @Test("a message is complete when the last device of its application has it; one delivery more is a surplus")
    func fanOut() throws {
        var tally = SwarmTally(plan: SwarmPlan(devices: 3, applications: 1, rate: 1, seconds: 1))
        tally.makeDue(1)
        tally.post(0, at: 0)
        tally.deliver(0, at: Self.milliseconds(1))
        tally.answer(0, status: 200, at: Self.milliseconds(2))
        tally.deliver(0, at: Self.milliseconds(5))
        #expect(result(of: tally).missing == 1 && result(of: tally).completion == nil)
        tally.deliver(0, at: Self.milliseconds(9))
        #expect(tally.isComplete)
        tally.deliver(0, at: Self.milliseconds(10))
        tally.deliver(77, at: Self.milliseconds(10))
        let result = result(of: tally)
        #expect(result.delivered == 3 && result.missing == 0 && result.surplus == 2)
        #expect(try #require(result.completion).count == 1)
        #expect(try #require(result.completion).max.rounded() == 9)
    }

    @Test("a refused message is answered, and nobody waits for its delivery")
    func refused() {
        var tally = SwarmTally(plan: SwarmPlan(devices: 2, rate: 2, seconds: 1))
        tally.makeDue(2)
        tally.answer(0, status: 503, at: 1)
        tally.answer(1, status: 0, at: 1)
        #expect(tally.isComplete)
        #expect(result(of: tally).answers == ["503": 1, "none": 1])
        #expect(result(of: tally).accepted == 0 && result(of: tally).answer == nil)
    }

    @Test("percentiles are to three digits")
    func percentiles() throws {
        var latencies = Latencies()
        #expect(latencies.summary == nil)
        for millisecond in 1...1000 { latencies.record(nanoseconds: Self.milliseconds(Int64(millisecond))) }
        let summary = try #require(latencies.summary)
        #expect(summary.count == 1000)
        #expect(abs(summary.p50 - 500) <= 1 && abs(summary.p99 - 990) <= 1 && abs(summary.max - 1000) <= 1)
        #expect(abs(summary.mean - 500.5) < 1)
        latencies.record(nanoseconds: .max)
        #expect(try #require(latencies.summary).max <= Double(Latencies.greatest) / 1000 * 1.001)
    }
}
