import PushStore

/// What a scrape gets: Prometheus' text format (version 0.0.4), every metric with its help, in the order of `WorkerMetric.all`.
struct WorkerMetricsPage {
    private struct Sample {
        /// `_bucket`, `_sum` and `_count` of a histogram.
        var suffix = ""
        var labels: [(name: String, value: String)]
        var value: String
    }

    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private var samples: [WorkerMetric: [Sample]] = [:]

    /// The figures of a worker now.
    init(_ context: WorkerContext) {
        let roles = context.configuration.roles.map(\.rawValue).sorted().joined(separator: ",")
        add(.info, [context.bus.name.description, roles], "1")
        for phase in WorkerContext.Phase.allCases { add(.phase, ["\(phase)"], context.phase == phase ? "1" : "0") }
        add(.eventLoopDelay, [], Self.text(context.load.delay / 1000))
        for front in WorkerFront.allCases {
            let connections = context.connections[front]
            add(.frontConnections, [front.rawValue], "\(connections.open)")
            add(.frontConnectionsAll, [front.rawValue], "\(connections.all)")
        }
        add(.requestsUnderWay, [], "\(context.requestsUnderWay.value)")
        add(.tlsCertificateEnd, [], "\(context.tls?.notAfter ?? 0)")
        let sockets = context.sockets.counts
        add(.sockets, [], "\(sockets.open)")
        add(.devices, [], "\(sockets.devices)")
        let waiting = context.store.waiting
        add(.storeWaiting, ["write"], "\(waiting.writes)")
        add(.storeWaiting, ["read"], "\(waiting.reads)")
        for count in WorkerCount.allCases {
            let (metric, labels) = count.series
            // The bus counts its own while the worker runs.
            let value = context.counters[count] + (count == .notesLost ? context.bus.lostNotes : 0)
            add(metric, labels, "\(value)")
        }
        add(.acknowledgementDuration, context.acknowledgementTimes)
        add(.acceptDuration, context.acceptTimes)
    }

    private mutating func add(_ metric: WorkerMetric, _ labels: [String], _ value: String) {
        precondition(labels.count == metric.labels.count, "the labels of \(metric.name) are \(metric.labels)")
        samples[metric, default: []].append(Sample(labels: Array(zip(metric.labels, labels)), value: value))
    }

    private mutating func add(_ metric: WorkerMetric, _ histogram: LatencyHistogram) {
        let values = histogram.current
        var below = 0
        var found: [Sample] = []
        for (bound, count) in zip(histogram.bounds, values.buckets) {
            below += count
            found.append(Sample(suffix: "_bucket", labels: [("le", Self.text(bound))], value: "\(below)"))
        }
        found.append(Sample(suffix: "_bucket", labels: [("le", "+Inf")], value: "\(values.count)"))
        found.append(Sample(suffix: "_sum", labels: [], value: Self.text(values.sum)))
        found.append(Sample(suffix: "_count", labels: [], value: "\(values.count)"))
        samples[metric] = found
    }

    /// The page.
    var text: String {
        var lines: [String] = []
        for metric in WorkerMetric.all {
            let name = WorkerMetric.prefix + metric.name
            lines.append("# HELP \(name) \(metric.help)")
            lines.append("# TYPE \(name) \(metric.kind.rawValue)")
            for sample in samples[metric] ?? [] {
                let labels = sample.labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",")
                lines.append("\(name)\(sample.suffix)\(labels.isEmpty ? "" : "{\(labels)}") \(sample.value)")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A number without an exponent where that is possible: at most nine digits after the point.
    static func text(_ number: Double) -> String {
        if let whole = Int(exactly: number) { return "\(whole)" }
        let nanos = (number * 1e9).rounded()
        guard nanos.magnitude < 1e18 else { return "\(number)" }
        let digits = String(Int64(nanos.magnitude))
        let padded = String(repeating: "0", count: max(0, 10 - digits.count)) + digits
        let fraction = String(padded.suffix(9)).reversed().drop { $0 == "0" }.reversed()
        let sign = nanos < 0 ? "-" : ""
        return sign + padded.dropLast(9) + (fraction.isEmpty ? "" : "." + String(fraction))
    }

    static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
