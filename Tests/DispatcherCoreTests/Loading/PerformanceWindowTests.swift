import Testing

@testable import DispatcherCore

@Suite("Performance windows")
struct PerformanceWindowTests {
    private func at(_ milliseconds: Int64) -> Instant { Instant(nanoseconds: 5_000_000_000) + .milliseconds(milliseconds) }

    /// Requests one after another, each outstanding for so long, from one instant to another.
    private func serve(_ window: inout PerformanceWindow, each milliseconds: Int64, from: Int64, to: Int64, bytes: Int = 0) {
        var time = from
        while time + milliseconds <= to {
            let era = window.dispatched(at: at(time))
            window.responded(after: .milliseconds(milliseconds), era: era)
            window.carried(bytes)
            window.departed(after: .milliseconds(milliseconds), era: era, at: at(time + milliseconds))
            time += milliseconds
        }
    }

    @Test("a window ends after 250 ms when enough responses came, else after 2 s at the latest")
    func ends() {
        var window = PerformanceWindow()
        window.begin(limit: 1, at: at(0))
        serve(&window, each: 10, from: 0, to: 240)
        #expect(window.end(at: at(249)) == nil)
        #expect(window.due(at: at(249)) == at(250))
        #expect(window.end(at: at(250))?.responses == 24)
        serve(&window, each: 100, from: 250, to: 1_000)
        #expect(window.end(at: at(1_000)) == nil, "seven of ten responses")
        #expect(window.due(at: at(1_000)) == at(2_250))
        #expect(window.end(at: at(2_250))?.responses == 7)
        #expect(window.end(at: at(4_250))?.responses == 0)
    }

    @Test("seven responses for each permissible connection are waited for")
    func waitsForMore() {
        var window = PerformanceWindow()
        window.begin(limit: 10, at: at(0))
        serve(&window, each: 10, from: 0, to: 690)
        #expect(window.end(at: at(690)) == nil)
        serve(&window, each: 10, from: 690, to: 700)
        #expect(window.end(at: at(700))?.responses == 70)
    }

    @Test("the figures: rate, response times, throughput, outstanding, Little's law")
    func figures() throws {
        var window = PerformanceWindow()
        window.begin(limit: 2, at: at(0))
        serve(&window, each: 20, from: 0, to: 200, bytes: 1_000)
        serve(&window, each: 50, from: 200, to: 400, bytes: 1_000)
        let ended = window.end(at: at(400))
        let figures = try #require(ended)
        #expect(figures.requestRate == 35 && figures.throughput == 35_000 && figures.limit == 2)
        #expect(abs(try #require(figures[.averageResponseTime]) - 0.4 / 14) < 1e-9 && figures[.maximumResponseTime] == 0.05)
        #expect(figures.meanOutstanding == 1 && figures.mostOutstanding == 1 && figures.littleError == 0)
        #expect(!figures.isSaturated)
    }

    @Test("what is outstanding beyond a window's end counts in both; a request of an earlier limit counts in neither's times")
    func across() throws {
        var window = PerformanceWindow()
        window.begin(limit: 4, at: at(0))
        let old = window.dispatched(at: at(0))
        let first = window.end(at: at(2_000))
        #expect(try #require(first).meanOutstanding == 1)
        window.changeLimit(to: 10, at: at(3_000))
        #expect(!window.isSettling, "one of ten is few enough")
        let new = window.dispatched(at: at(3_000))
        #expect(old != new)
        window.responded(after: .milliseconds(3_500), era: old)
        window.departed(after: .milliseconds(3_500), era: old, at: at(3_500))
        window.failed()
        window.responded(after: .milliseconds(1_000), era: new)
        window.departed(after: .milliseconds(1_000), era: new, at: at(4_000))
        let second = window.end(at: at(5_000))
        let figures = try #require(second)
        #expect(figures.responses == 1 && figures.longestResponseTime == .milliseconds(1_000) && figures.limit == 10)
        #expect(figures.failures == 1, "a failure counts whenever the request was dispatched")
        #expect(figures.meanOutstanding == 0.75 && figures.mostOutstanding == 2)
    }

    @Test("a window under another limit begins when the requests from before it have left, or after the longest time of a window")
    func settles() throws {
        var window = PerformanceWindow()
        window.begin(limit: 4, at: at(0))
        let olds = (0..<4).map { _ in window.dispatched(at: at(0)) }
        window.changeLimit(to: 5, at: at(1_000))
        #expect(window.isSettling && window.due(at: at(1_000)) == at(3_000))
        for (number, old) in olds.enumerated() {
            #expect(window.isSettling)
            window.departed(after: .milliseconds(1_100), era: old, at: at(1_100 + Int64(number)))
        }
        #expect(!window.isSettling && window.begun == at(1_103))
        serve(&window, each: 10, from: 1_103, to: 1_353)
        #expect(window.isComplete(at: at(1_353)) == false, "25 of 35 responses")
        serve(&window, each: 10, from: 1_353, to: 1_453)
        let figures = window.end(at: at(1_453))
        #expect(try #require(figures).requestRate == 100)

        let stuck = (0..<5).map { _ in window.dispatched(at: at(2_000)) }
        window.changeLimit(to: 4, at: at(2_000))
        #expect(window.end(at: at(3_999)) == nil && window.isSettling)
        #expect(window.end(at: at(4_000)) == nil && !window.isSettling && window.begun == at(4_000))
        let after = window.end(at: at(6_000))
        #expect(try #require(after).meanOutstanding == Double(stuck.count))
    }

    @Test("saturated: something waited, or nine tenths of the limit were outstanding; the last report stays until there is another")
    func saturated() throws {
        var window = PerformanceWindow()
        window.begin(limit: 10, at: at(0))
        for _ in 0..<9 { _ = window.dispatched(at: at(0)) }
        window.report(3.5)
        let full = window.end(at: at(2_000))
        #expect(try #require(full).isSaturated && full?.reported == 3.5)
        window.changeLimit(to: 90, at: at(2_000))
        let calm = window.end(at: at(4_000))
        #expect(try !#require(calm).isSaturated && calm?.reported == 3.5)
        window.queued()
        let waiting = window.end(at: at(6_000))
        #expect(try #require(waiting).isSaturated)
    }
}
