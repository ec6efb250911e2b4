import Testing

@testable import Lab

@Suite("Lab: what a load of requests counts")
struct RequestTallyTests {
    private static func milliseconds(_ count: Int64) -> Int64 { count * 1_000_000 }

    @Test("latencies count from when a request was due; one without an answer has none")
    func latencies() throws {
        var tally = RequestTally(plan: RequestPlan(rate: 10, seconds: 0.5, warmUp: 0.1))
        #expect(tally.count == 5)
        tally.makeDue(after: Self.milliseconds(400))
        #expect(tally.due == 5)
        // Due at 0, 100, 200, 300, 400 ms; the first is the warm-up's.
        for number in 0..<5 { tally.post(number, at: Self.milliseconds(450)) }
        for number in 0..<3 { tally.answer(number, status: 200, at: Self.milliseconds(500)) }
        tally.answer(3, status: 503, at: Self.milliseconds(1500))
        #expect(!tally.isComplete)
        tally.answer(4, status: 0, at: Self.milliseconds(600))
        #expect(tally.isComplete)
        let counts = tally.counts(lost: 1, firstLoss: "it broke", processorSeconds: 0, loadSeconds: 1)
        #expect(counts.answers == ["200": 3, "503": 1, "none": 1])
        #expect(counts.answeredBySecond == [3, 1] && counts.answered == 4)
        let answer = try #require(Latencies(counts.answer).summary)
        #expect(answer.count == 3 && answer.max.rounded() == 1200 && answer.p50.rounded() == 400)
        #expect(try #require(Latencies(counts.lateness).summary).max.rounded() == 350)
    }
}
