import Foundation

/// A benchmark's report as a page for people.
public struct BenchPage {
    private let report: BenchReport

    public init(_ report: BenchReport) {
        self.report = report
    }

    private var isOfRequests: Bool { report.kind == "requests" }
    private var things: String { isOfRequests ? "connections" : "devices" }

    public var html: String {
        """
        <!doctype html>
        <html lang="en"><meta charset="utf-8"><title>sluice bench \(report.kind)</title>
        <style>body { font: 15px/1.5 system-ui, sans-serif; margin: 2em; max-width: 76em }
        table { border-collapse: collapse; margin: 1em 0 }
        td, th { padding: .2em .7em; text-align: right; border-bottom: 1px solid #ccc } td:first-child, th:first-child { text-align: left }
        figure { display: inline-block; margin: 1em 1em 1em 0 } figcaption { max-width: 560px }
        .title { font-weight: 600 } .axis { font-size: 11px; fill: #444 } .grid { stroke: #ddd }</style>
        <h1>sluice bench \(report.kind)</h1>
        <p>\(verdict)</p>
        <p>\(connections)</p>
        \(table)
        \(charts.map(\.svg).joined(separator: "\n"))
        \(shared)
        <h2>The run</h2>
        <ul>\(facts)</ul>
        </html>

        """
    }

    private var verdict: String {
        if report.problems.isEmpty { return "All as it should be." }
        return "<b>Not all is as it should be:</b> " + LineChart.escaped(report.problems.joined(separator: "; ")) + "."
    }

    private var connections: String {
        let connecting = report.connecting
        let count = ProgressEstimate.grouped(connecting.connected)
        let retries = connecting.retries > 0 ? "; \(connecting.retries) tries were repeated" : ""
        return "\(count) of \(ProgressEstimate.grouped(connecting.wanted)) \(things) of \(report.processes) processes, in "
            + "\(Self.number(connecting.seconds)) s\(retries)."
    }

    // MARK: The steps

    private var table: String {
        let what = isOfRequests ? "answer" : "acknowledgement"
        let head = [
            "a second", "due", "answered 200", "delivered", "missing", "too many", "broken", "to the answer: p50", "p99",
            "to the \(what): p50", "p99", "p99.9", "most", "late p99", "held",
        ]
        let rows = report.steps.map { step in
            let counted = isOfRequests ? step.answer : step.delivery
            let counts = [step.due, step.accepted, step.delivered, step.missing, step.surplus, step.connectionsLost]
            return [Self.number(step.rate)] + counts.map(ProgressEstimate.grouped)
                + [
                    Self.number(step.answer?.p50), Self.number(step.answer?.p99), Self.number(counted?.p50), Self.number(counted?.p99),
                    Self.number(counted?.p999), Self.number(counted?.max), Self.number(step.lateness?.p99), step.isHeld ? "yes" : "no",
                ]
        }
        guard !rows.isEmpty else { return "" }
        return "<h2>Rates</h2>\n<p>Latencies in ms from when one was due; late: when the generator wrote it.</p>\n" + Self.table(head, rows)
    }

    private var charts: [LineChart] {
        var charts: [LineChart] = []
        let stood = report.connecting.curve.map { (x: $0.seconds, y: Double($0.count)) }
        if stood.count > 1 {
            charts.append(LineChart(title: "\(things) that stand", across: "seconds", lines: [LineChart.Line(name: things, points: stood)]))
        }
        let steps = report.steps.filter { $0.due > 0 }
        if !steps.isEmpty {
            charts.append(
                LineChart(
                    title: "\(isOfRequests ? "answers" : "deliveries") a second", across: "seconds from the start of the rate",
                    lines: steps.map { step in
                        let counts = isOfRequests ? step.answeredBySecond : step.deliveredBySecond
                        return LineChart.Line(
                            name: "\(Self.number(step.rate)) due",
                            points: counts.enumerated().map { (x: Double($0.offset), y: Double($0.element)) })
                    }))
            charts.append(
                LineChart(
                    title: "latency, ms", across: "of all", kind: .percentiles,
                    lines: steps.map { step in
                        LineChart.Line(
                            name: "\(Self.number(step.rate)) a second\(step.isHeld ? "" : " (not held)")",
                            points: step.curve.map { (x: $0.percent, y: $0.milliseconds) })
                    }))
        }
        return charts
    }

    private var shared: String {
        guard let step = report.shared else { return "" }
        let rows = step.completions.enumerated().map { number, time in
            ["\(number + 1)", time < 0 ? "not at all" : Self.number(time / 1000)]
        }
        let deliveries = ProgressEstimate.grouped(step.delivered)
        return "<h2>Messages for one application</h2>\n<p>\(deliveries) deliveries of \(step.due) messages.</p>\n"
            + Self.table(["message", "seconds from due to the last device"], rows)
    }

    private var facts: String {
        let facts = [("time", report.time)] + report.machine.sorted { $0.key < $1.key } + report.settings.sorted { $0.key < $1.key }
        return facts.map { "<li>\(LineChart.escaped($0.0)): \(LineChart.escaped($0.1))</li>" }.joined()
    }

    private static func table(_ head: [String], _ rows: [[String]]) -> String {
        func row(_ cells: [String], _ name: String) -> String { "<tr>" + cells.map { "<\(name)>\($0)</\(name)>" }.joined() + "</tr>" }
        return "<table>" + row(head, "th") + "\n" + rows.map { row($0, "td") }.joined(separator: "\n") + "</table>"
    }

    private static func number(_ value: Double?) -> String {
        guard let value else { return "-" }
        return value == value.rounded() ? ProgressEstimate.grouped(Int(value)) : String(format: "%.1f", value)
    }
}
