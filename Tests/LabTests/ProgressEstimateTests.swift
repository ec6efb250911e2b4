import Testing

@testable import Lab

@Suite("Lab: how long it will take")
struct ProgressEstimateTests {
    @Test("what was done lately says how long the rest takes")
    func left() throws {
        var estimate = ProgressEstimate(total: 1000)
        #expect(estimate.secondsLeft == nil)
        estimate.note(done: 0, at: 0)
        #expect(estimate.secondsLeft == nil)
        for second in 1...10 { estimate.note(done: 10 * second, at: Double(second)) }
        #expect(try #require(estimate.secondsLeft).rounded() == 90)
        // Ten times as fast from here on: after a while the slow part counts no more.
        for second in 11...17 { estimate.note(done: 100 + 100 * (second - 10), at: Double(second)) }
        #expect(try #require(estimate.secondsLeft) < 8)
        estimate.note(done: 1000, at: 20)
        #expect(estimate.secondsLeft == 0)
    }

    @Test("nobody knows while nothing is done")
    func still() {
        var estimate = ProgressEstimate(total: 10)
        estimate.note(done: 3, at: 0)
        estimate.note(done: 3, at: 5)
        #expect(estimate.secondsLeft == nil)
        #expect(estimate.text("devices") == "3 of 10 devices (30 %), 0 a second")
    }

    @Test("is told in words")
    func text() {
        var estimate = ProgressEstimate(total: 150_000)
        estimate.note(done: 0, at: 0)
        estimate.note(done: 15_000, at: 10)
        #expect(estimate.text("devices") == "15,000 of 150,000 devices (10 %), 1,500 a second, 1 min 30 s left")
        #expect(ProgressEstimate.duration(0.2) == "1 s")
        #expect(ProgressEstimate.duration(59.9) == "1 min 0 s")
        #expect(ProgressEstimate.duration(3725) == "1 h 2 min")
    }
}
