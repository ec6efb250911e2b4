import DispatcherCore
import Foundation
import PacketIO
import Testing

@testable import DispatcherService

struct MetricsPageTests {
    private func page() throws -> [String] {
        var durations = PhaseHistograms()
        var record = RequestRecord()
        record.receive = .microseconds(200)
        record.total = .milliseconds(3)
        durations.add(record)
        return try MetricsPage.render(TestReports.busy(), durations: durations).split(separator: "\n").map(String.init)
    }

    /// Metrics as a scrape has them: name, kind, labels, help.
    private struct Metric: Hashable, CustomStringConvertible {
        var name: String
        var kind: String
        var labels: [String]
        var help: String

        var description: String { "\(name) | \(kind) | \(labels.joined(separator: ", ")) | \(help)" }
    }

    private func scraped(_ page: [String]) throws -> [Metric] {
        var help: [String: String] = [:]
        var metrics: [Metric] = []
        for line in page where line.hasPrefix("# HELP ") {
            let words = line.split(separator: " ", maxSplits: 3)
            help[String(words[2])] = String(words[3])
        }
        for line in page where line.hasPrefix("# TYPE ") {
            let words = line.split(separator: " ").map(String.init)
            let name = words[2]
            let suffix = words[3] == "histogram" ? "_count" : ""
            let sample = try #require(page.first { $0.hasPrefix(name + suffix + "{") || $0.hasPrefix(name + suffix + " ") }, "\(name)")
            let labels = sample.contains("{") ? sample.split(separator: "{")[1].split(separator: "}")[0].split(separator: ",") : []
            metrics.append(
                Metric(name: name, kind: words[3], labels: labels.map { String($0.split(separator: "=")[0]) }, help: help[name] ?? ""))
        }
        return metrics
    }

    private func documented() throws -> [Metric] {
        try TestConfigurations.text(of: "docs/metrics.md").split(separator: "\n").filter { $0.hasPrefix("| `sluice_") }.map { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
            try #require(cells.count == 6, "\(line)")
            let labels = cells[3].split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
            return Metric(name: cells[1].trimmingCharacters(in: ["`"]), kind: cells[2], labels: labels, help: cells[4])
        }
    }

    @Test func aScrapeAndTheDocumentSayTheSame() throws {
        let scraped = try scraped(page())
        let documented = try documented()
        for metric in scraped { #expect(documented.contains(metric), "not documented: \(metric)") }
        for metric in documented { #expect(scraped.contains(metric), "not in a scrape: \(metric)") }
        #expect(Set(scraped.map(\.name)).count == scraped.count)
        #expect(scraped.count == MetricFamily.all.count)
    }

    @Test func everyLineIsWellFormed() throws {
        let sample = try Regex("sluice_[a-z_]+(\\{[a-z]+=\"[^\"]*\"(,[a-z]+=\"[^\"]*\")*\\})? -?[0-9]+(\\.[0-9]+)?")
        for line in try page() where !line.hasPrefix("#") { #expect(line.wholeMatch(of: sample) != nil, "\(line)") }
        for line in try page() where line.hasPrefix("#") { #expect(line.hasPrefix("# HELP sluice_") || line.hasPrefix("# TYPE sluice_")) }
    }

    @Test func noSeriesIsThereTwice() throws {
        let series = try page().filter { !$0.hasPrefix("#") }.map { $0.prefix { $0 != " " } }
        #expect(Set(series).count == series.count)
    }

    @Test(arguments: [
        "sluice_requests_total{service=\"files\",status=\"200\"} 7", "sluice_requests_total{service=\"files\",status=\"0\"} 1",
        "sluice_front_connections{service=\"files\"} 3", "sluice_queue_length{pool=\"web\"} 1", "sluice_queue_length{pool=\"unused\"} 0",
        "sluice_queue_oldest_seconds{pool=\"web\"} 1.5", "sluice_server_limit{pool=\"web\",server=\"10.77.2.11:8080\"} 8",
        "sluice_server_up{pool=\"web\",server=\"10.77.2.11:8080\"} 1", "sluice_server_up{pool=\"web\",server=\"10.77.2.12:8080\"} 0",
        "sluice_dropped_frames_total{side=\"client\",reason=\"bad-tcp-checksum\"} 4",
        "sluice_dropped_frames_total{side=\"server\",reason=\"bad-tcp-checksum\"} 0", "sluice_refused_total{reason=\"queue-full\"} 2",
        "sluice_retransmitted_segments_total{side=\"server\",kind=\"request\"} 6", "sluice_capture_drops_total{side=\"server\"} 9",
        "sluice_egress_errors_total{side=\"client\"} 7", "sluice_next_hop_drops_total{side=\"server\",reason=\"unresolved\"} 3",
        "sluice_next_hop_drops_total{side=\"client\",reason=\"no-route\"} 0", "sluice_neighbours{side=\"server\"} 2",
        "sluice_neighbours{side=\"client\"} 0", "sluice_neighbour_failures_total{side=\"server\"} 1",
        "sluice_controller_state{pool=\"web\",server=\"10.77.2.11:8080\",state=\"hold\"} 1",
        "sluice_controller_state{pool=\"web\",server=\"10.77.2.11:8080\",state=\"fixed\"} 0",
        "sluice_controller_state{pool=\"web\",server=\"10.77.2.12:8080\",state=\"fixed\"} 1",
        "sluice_server_metric{pool=\"web\",server=\"10.77.2.11:8080\",metric=\"request-rate\"} 25",
        "sluice_server_metric{pool=\"web\",server=\"10.77.2.11:8080\",metric=\"average-response-time\"} 0.02",
        "sluice_server_band_low{pool=\"web\",server=\"10.77.2.11:8080\",metric=\"average-response-time\"} 0.00001",
        "sluice_server_band_high{pool=\"web\",server=\"10.77.2.11:8080\",metric=\"average-response-time\"} 0.025",
        "sluice_server_saturated{pool=\"web\",server=\"10.77.2.11:8080\"} 1",
        "sluice_server_elasticity{pool=\"web\",server=\"10.77.2.11:8080\"} -0.25",
        "sluice_server_state{pool=\"web\",server=\"10.77.2.12:8080\",state=\"drain\"} 1",
        "sluice_server_state{pool=\"web\",server=\"10.77.2.12:8080\",state=\"up\"} 0",
        "sluice_health_checks_total{pool=\"web\",server=\"10.77.2.11:8080\",result=\"timeout\"} 3", "sluice_over_limit_total 0",
        "sluice_staging_bytes 131072",
        "sluice_responses_total{delivery=\"staged\"} 5", "sluice_responses_total{delivery=\"tail-kept\"} 0",
        "sluice_build_info{version=\"0.1.0\"} 1", "sluice_request_duration_seconds_bucket{phase=\"receive\",le=\"0.0001\"} 0",
        "sluice_request_duration_seconds_bucket{phase=\"receive\",le=\"0.00025\"} 1",
        "sluice_request_duration_seconds_bucket{phase=\"receive\",le=\"+Inf\"} 1",
        "sluice_request_duration_seconds_sum{phase=\"receive\"} 0.0002", "sluice_request_duration_seconds_count{phase=\"queue\"} 0",
        "sluice_request_duration_seconds_sum{phase=\"total\"} 0.003",
    ]) func hasTheFigures(_ line: String) throws { #expect(try page().contains(line)) }

    @Test func labelValuesAreEscaped() { #expect(MetricsPage.escaped("a\"b\\c\nd") == "a\\\"b\\\\c\\nd") }

    @Test func secondsAreNotRounded() {
        #expect(MetricsPage.seconds(0) == "0")
        #expect(MetricsPage.seconds(1) == "0.000000001")
        #expect(MetricsPage.seconds(2_000_000_000) == "2")
        #expect(MetricsPage.seconds(1_500_000_000) == "1.5")
    }

    @Test func theTCPPageSaysWhatEachDropMeans() throws {
        let text = try TestConfigurations.text(of: "docs/tcp.md")
        let section = try #require(text.components(separatedBy: "## Why frames are dropped").last).components(separatedBy: "\n## ")[0]
        let rows = section.split(separator: "\n")
        let named = rows.filter { $0.hasPrefix("| `") }.map { String($0.split(separator: "`")[1]) }
        #expect(named == DropReason.allCases.map(\.label))
    }
}
