import Lab
import NIOHTTP1
import PushProtocol
import Testing

@testable import PushService

@Suite("Push: metrics")
struct WorkerMetricsTests {
    private func withWorker(
        configure: (inout WorkerConfiguration) -> Void = { _ in }, _ body: (WorkerHarness, HTTPClientConnection) async throws -> Void
    ) async throws {
        try await WorkerHarness.with(configure: {
            $0.admin = AdminAddress(address: "127.0.0.1", port: 0)
            configure(&$0)
        }) { harness in
            let url = try ServerURL("http://127.0.0.1:\(try #require(harness.worker.adminPort))")
            let admin = try await HTTPClientConnection.connect(to: url)
            try await body(harness, admin)
            await admin.close()
        }
    }

    private func scrape(_ admin: HTTPClientConnection) async throws -> [String] {
        let answer = try await admin.request(.GET, path: "/metrics")
        #expect(answer.status == 200)
        #expect(answer.headers.first(name: "Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
        #expect(answer.text.hasSuffix("\n"))
        return answer.text.split(separator: "\n").map(String.init)
    }

    @Test("A scrape and the document say the same")
    func documented() async throws {
        try await withWorker { _, admin in
            let page = try await scrape(admin)
            let documented = try Document.rows("docs/worker-metrics.md", beginning: "`sluice_worker_")
            var scraped: [[String]] = []
            for (index, line) in page.enumerated() where line.hasPrefix("# HELP ") {
                let help = line.split(separator: " ", maxSplits: 3).map(String.init)
                let type = page[index + 1].split(separator: " ").map(String.init)
                #expect(type[1] == "TYPE" && type[2] == help[2])
                let sample = page[index + 2]
                #expect(sample.hasPrefix(help[2]), "\(help[2]) has no sample")
                let labels = sample.matches(of: /([a-z]+)="/).map { String($0.output.1) }.filter { $0 != "le" }
                scraped.append(["`\(help[2])`", type[3], labels.joined(separator: ", "), help[3]])
            }
            #expect(scraped == documented)
            #expect(scraped.count == WorkerMetric.all.count)
            // The values of labels are documented too.
            let text = try Document.text("docs/worker-metrics.md")
            for count in WorkerCount.allCases {
                for label in count.series.labels { #expect(text.contains("`\(label)`"), "\(label) of \(count.series.metric.name)") }
            }
        }
    }

    @Test("Every line is well formed, and no series is there twice")
    func wellFormed() async throws {
        try await withWorker { _, admin in
            let sample = try Regex(#"sluice_worker_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9]+(\.[0-9]+)?"#)
            let comment = try Regex("# (HELP|TYPE) sluice_worker_[a-z_]+ .+")
            let page = try await scrape(admin)
            for line in page { #expect(line.wholeMatch(of: line.hasPrefix("#") ? comment : sample) != nil, "\(line)") }
            let series = page.filter { !$0.hasPrefix("#") }.map { $0.prefix { $0 != " " } }
            #expect(Set(series).count == series.count)
        }
    }

    @Test("A push and its acknowledgement are seen")
    func figures() async throws {
        try await withWorker { harness, admin in
            let (device, _) = try await harness.device()
            let url = try await device.registerApplication("w")
            try await harness.push("m", to: url)
            device.acknowledge(try await device.notification().messageID)
            try await eventually { harness.worker.counters[.acknowledged] == 1 }
            #expect(try await harness.request("POST", "/notify/x", front: .applicationServers).status == 404)
            let page = try await scrape(admin)
            for line in [
                "messages_accepted_total 1", #"messages_sent_total{kind="first"} 1"#, #"messages_sent_total{kind="again"} 0"#,
                #"acknowledgements_total{result="stored"} 1"#, "acknowledgement_duration_seconds_count 1",
                #"acknowledgement_duration_seconds_bucket{le="+Inf"} 1"#, "store_accept_duration_seconds_count 1", "sockets 1", "devices 1",
                #"refused_total{request="notification",reason="invalid"} 1"#, #"front_connections{front="ua"} 1"#,
                #"front_connections{front="admin"} 1"#, #"phase{phase="running"} 1"#, #"phase{phase="draining"} 0"#,
                #"info{worker="\#(harness.worker.name)",roles="as,monitor,ua-udp,ua-ws"} 1"#, "requests_under_way 1",
                #"store_waiting{kind="write"} 0"#, "tls_certificate_not_after_seconds 0",
            ] { #expect(page.contains("sluice_worker_" + line), "\(line)") }
            let sum = try #require(page.first { $0.hasPrefix("sluice_worker_acknowledgement_duration_seconds_sum ") })
            let seconds = try #require(Double(sum.split(separator: " ")[1]))
            #expect((0...10).contains(seconds))
            await device.close()
        }
    }

    @Test("The end of the certificate is that of the file")
    func certificateEnd() async throws {
        let files = try TestCertificate()
        let end = try TestCertificate.openssl(["x509", "-in", files.certificate, "-noout", "-enddate", "-dateopt", "iso_8601"])
        try await withWorker(configure: { $0.tls = TLSFiles(port: 0, certificate: files.certificate, key: files.key) }) { _, admin in
            let name = "sluice_worker_tls_certificate_not_after_seconds "
            let line = try #require(try await scrape(admin).first { $0.hasPrefix(name) })
            let text = MessageStep.text(microseconds: (try #require(Int64(line.dropFirst(name.count)))) * 1_000_000)
            #expect(end.contains("\(text.prefix(10)) \(text.dropFirst(11).prefix(8))Z"), "\(end) \(text)")
        }
    }

    @Test("Only the admin listener has metrics; a worker without a front has one too")
    func onlyThere() async throws {
        try await withWorker(configure: { $0.roles = [.monitor] }) { harness, admin in
            let page = try await scrape(admin)
            #expect(harness.worker.userAgentPort == nil && harness.worker.applicationServerPort == nil)
            #expect(page.contains(#"sluice_worker_front_connections{front="admin"} 1"#))
            for (method, path, status) in [(HTTPMethod.GET, "/status", 200), (.GET, "/token", 404), (.POST, "/metrics", 405)] {
                let answer = try await admin.request(method, path: path)
                #expect(answer.status == status)
            }
        }
        try await WorkerHarness.with { harness in
            #expect(harness.worker.adminPort == nil)
            for front in WorkerHarness.Front.allCases {
                let answer = try await harness.request("GET", "/metrics", front: front)
                #expect(answer.status == 404)
            }
        }
    }

    @Test("Every count has a series of its own, with the labels of its metric")
    func series() {
        var seen: Set<[String]> = []
        for count in WorkerCount.allCases {
            let (metric, labels) = count.series
            #expect(metric.kind == .counter && metric.name.hasSuffix("_total"), "\(count)")
            #expect(labels.count == metric.labels.count, "\(count)")
            #expect(seen.insert([metric.name] + labels).inserted, "\(count)")
        }
        #expect(Set(WorkerMetric.all.map(\.name)).count == WorkerMetric.all.count)
        #expect(WorkerCount.allCases.allSatisfy { WorkerMetric.all.contains($0.series.metric) })
    }

    @Test("A histogram's buckets have upper bounds that count in; what is negative counts as 0")
    func histogram() {
        let histogram = LatencyHistogram(bounds: [0.1, 1])
        for seconds in [-5, 0.1, 0.11, 1, 1.01] { histogram.add(seconds: seconds) }
        #expect(histogram.current.buckets == [2, 2, 1])
        #expect(abs(histogram.current.sum - 2.22) < 1e-9)
    }

    @Test(
        "Numbers have no exponent",
        arguments: [
            (0.0, "0"), (0.5, "0.5"), (-0.25, "-0.25"), (0.000_000_001, "0.000000001"), (86_400, "86400"), (1.000_1, "1.0001"),
            (1e-12, "0"),
        ])
    func numbers(number: Double, text: String) {
        #expect(WorkerMetricsPage.text(number) == text)
    }

    @Test("Values of labels are escaped")
    func escaped() {
        #expect(WorkerMetricsPage.escaped("a\"b\\c\nd") == "a\\\"b\\\\c\\nd")
    }
}
