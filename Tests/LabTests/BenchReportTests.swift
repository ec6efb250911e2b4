import Foundation
import Testing

@testable import Lab

@Suite("Lab: a benchmark's report")
struct BenchReportTests {
    private func report() -> BenchReport {
        var report = BenchReport(kind: "devices", settings: ["server": "http://<here>"])
        report.processes = 2
        report.connecting.wanted = 10
        report.connecting.connected = 10
        report.connecting.curve = [BenchReport.Point(seconds: 0, count: 0), BenchReport.Point(seconds: 1, count: 10)]
        for rate in [100.0, 200] {
            var counts = LoadCounts()
            counts.due = 2
            counts.answers = rate == 100 ? ["200": 2] : ["200": 1, "503": 1]
            counts.delivered = counts.accepted
            counts.delivery.add(microseconds: 2000, count: UInt64(counts.accepted))
            counts.deliveredBySecond = [counts.accepted, 0]
            report.steps.append(BenchStep(rate: rate, seconds: 2, counts: counts, isOfRequests: false, limit: 250))
        }
        var shared = LoadCounts()
        shared.due = 2
        shared.completions = [1_500_000, -1]
        report.shared = BenchStep(rate: 1, seconds: 2, counts: shared, isOfRequests: false, limit: 250)
        return report
    }

    @Test("says what was measured, for machines")
    func json() throws {
        let found = try #require(JSONSerialization.jsonObject(with: report().json()) as? [String: Any])
        let steps = try #require(found["steps"] as? [[String: Any]])
        #expect(steps.map { $0["is_held"] as? Bool } == [true, false])
        #expect((steps[0]["delivery"] as? [String: Any])?["p99"] as? Double == 2)
        #expect((found["shared"] as? [String: Any])?["completions"] as? [Double] == [1500, -1])
        #expect(report().highestHeld == 100)
    }

    @Test("has its charts and tables in a page that needs nothing else")
    func page() throws {
        let page = BenchPage(report()).html
        #expect(page.components(separatedBy: "<svg").count == 4)
        #expect(page.contains("All as it should be."))
        #expect(page.contains("http://&lt;here&gt;") && !page.contains("<here>"))
        #expect(page.contains("<td>not at all</td>") && page.contains("<td>1.5</td>"))
        #expect(!page.contains("<script") && !page.contains("src="))
        let parser = XMLCheck(
            page.components(separatedBy: "<svg").dropFirst().map { "<svg" + $0.components(separatedBy: "</svg>")[0] + "</svg>" })
        #expect(parser.isWellFormed)
    }

    @Test("names what is not as it should be")
    func problems() {
        var bad = report()
        bad.problems = ["3 deliveries <lost>"]
        #expect(BenchPage(bad).html.contains("3 deliveries &lt;lost&gt;"))
    }

    @Test("a chart's ticks are round numbers", arguments: [0.03, 1, 7, 95, 1234, 150_000])
    func ticks(highest: Double) {
        let ticks = LineChart.ticks(to: highest)
        #expect((3...7).contains(ticks.count) && ticks[0] == 0)
        #expect(ticks.allSatisfy { $0 <= highest })
    }

    /// Whether every element of the drawings ends.
    private struct XMLCheck {
        let isWellFormed: Bool

        init(_ drawings: [String]) {
            isWellFormed = drawings.allSatisfy { drawing in
                let opened = drawing.components(separatedBy: "<").dropFirst().count { !$0.hasPrefix("/") && !$0.contains("/>") }
                return opened == drawing.components(separatedBy: "</").count - 1
            }
        }
    }
}
