import DispatcherCore
import PacketIO

/// The page `/metrics`, in Prometheus' text format.
struct MetricsPage {
    private var text = ""

    /// - Returns: the page, a line for every value that a label can have where these are few, so that zero is told from absent.
    static func render(_ report: LoopReport, durations: PhaseHistograms) -> String {
        var page = MetricsPage()
        page.addServices(report.snapshot)
        page.addDurations(durations)
        page.addPools(report.snapshot)
        page.addCounters(report)
        page.addNextHops(report)
        page.begin(.bodyBytes)
        page.add(.bodyBytes, [], report.snapshot.bodyBytes)
        page.begin(.stagingBytes)
        page.add(.stagingBytes, [], report.snapshot.stagingBytes)
        page.begin(.deliveries)
        for way in Delivery.allCases {
            page.add(.deliveries, [way.label], report.snapshot.counters.deliveries[Int(way.rawValue)])
        }
        page.begin(.buildInfo)
        page.add(.buildInfo, [Version.text], 1)
        return page.text
    }

    // MARK: Lines

    private mutating func begin(_ family: MetricFamily) {
        text +=
            "# HELP \(MetricFamily.prefix)\(family.name) \(family.help)\n# TYPE \(MetricFamily.prefix)\(family.name) \(family.kind.rawValue)\n"
    }

    private mutating func add(_ family: MetricFamily, _ values: [String], _ number: some BinaryInteger) {
        addLine(family.name, Array(zip(family.labels, values)), "\(number)")
    }

    private mutating func addLine(_ name: String, _ labels: [(String, String)], _ number: String) {
        text += MetricFamily.prefix + name
        if !labels.isEmpty { text += "{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",") + "}" }
        text += " \(number)\n"
    }

    static func escaped(_ value: String) -> String {
        var result = ""
        for character in value {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.append(character)
            }
        }
        return result
    }

    /// Nanoseconds as seconds, without rounding.
    static func seconds(_ nanoseconds: UInt64) -> String {
        let fraction = String(nanoseconds % 1_000_000_000)
        var digits = String(repeating: "0", count: 9 - fraction.count) + fraction
        while digits.last == "0" { digits.removeLast() }
        return digits.isEmpty ? "\(nanoseconds / 1_000_000_000)" : "\(nanoseconds / 1_000_000_000).\(digits)"
    }

    // MARK: Families

    private mutating func addServices(_ snapshot: Snapshot) {
        begin(.requests)
        for service in snapshot.services {
            for (status, count) in service.requests { add(.requests, [service.name, String(status)], count) }
        }
        begin(.frontConnections)
        for service in snapshot.services { add(.frontConnections, [service.name], service.frontConnections) }
        begin(.tunnels)
        for service in snapshot.services { add(.tunnels, [service.name], service.tunnels) }
    }

    private mutating func addDurations(_ durations: PhaseHistograms) {
        let family = MetricFamily.duration
        begin(family)
        for phase in PhaseHistograms.Phase.allCases {
            let histogram = durations[phase]
            var sum: UInt64 = 0
            for (bound, count) in zip(PhaseHistograms.bounds.map(\.label) + ["+Inf"], histogram.buckets) {
                sum += count
                addLine(family.name + "_bucket", [("phase", phase.rawValue), ("le", bound)], "\(sum)")
            }
            addLine(family.name + "_sum", [("phase", phase.rawValue)], Self.seconds(histogram.nanoseconds))
            addLine(family.name + "_count", [("phase", phase.rawValue)], "\(sum)")
        }
    }

    private mutating func addPools(_ snapshot: Snapshot) {
        begin(.queueLength)
        for pool in snapshot.pools where !pool.isGone { add(.queueLength, [pool.name], pool.queueLength) }
        begin(.queueHigh)
        for pool in snapshot.pools where !pool.isGone { add(.queueHigh, [pool.name], pool.queueHigh) }
        begin(.queueOldest)
        for pool in snapshot.pools where !pool.isGone {
            addLine(MetricFamily.queueOldest.name, [("pool", pool.name)], Self.seconds(UInt64(max(0, pool.queueOldest.nanoseconds))))
        }
        addServers(.serverLimit, snapshot) { UInt64($0.limit) }
        addServers(.serverActive, snapshot) { UInt64($0.active) }
        addServers(.serverStreamed, snapshot) { UInt64($0.streamed) }
        addServers(.serverIdle, snapshot) { UInt64($0.idle) }
        addServers(.serverConnects, snapshot) { $0.connects }
        addServers(.serverUp, snapshot) { $0.isUp ? 1 : 0 }
        addServers(.serverWeight, snapshot) { UInt64($0.weight) }
        addServers(.serverFailures, snapshot) { $0.failures }
        addServers(.serverTunnels, snapshot) { UInt64($0.tunnels) }
        addServers(.serverTunnelLimit, snapshot) { UInt64($0.tunnelLimit) }
        addServers(.reportsInvalid, snapshot) { $0.reportsInvalid }
        addStates(snapshot)
        addControl(snapshot)
    }

    private static func eachServer(_ snapshot: Snapshot, _ body: ([String], Snapshot.Server) -> Void) {
        for pool in snapshot.pools where !pool.isGone {
            for server in pool.servers { body([pool.name, server.endpoint.description], server) }
        }
    }

    private mutating func addStates(_ snapshot: Snapshot) {
        begin(.serverState)
        Self.eachServer(snapshot) { names, server in
            for state in ServerState.allCases { add(.serverState, names + [state.label], server.state == state ? 1 : 0) }
        }
        begin(.healthChecks)
        Self.eachServer(snapshot) { names, server in
            for result in CheckResult.allCases { add(.healthChecks, names + [result.label], server.checks[Int(result.rawValue)]) }
        }
    }

    /// What the controllers go by, and what they do.
    private mutating func addControl(_ snapshot: Snapshot) {
        begin(.controllerState)
        Self.eachServer(snapshot) { names, server in
            for state in LimitController.State.allCases {
                add(.controllerState, names + [state.rawValue], server.control == state ? 1 : 0)
            }
        }
        begin(.serverMetric)
        Self.eachServer(snapshot) { names, server in
            for metric in Metric.allCases {
                if let value = server.performance?[metric] { addFigure(.serverMetric, names + [metric.rawValue], value) }
            }
        }
        begin(.serverBandLow)
        Self.eachServer(snapshot) { names, server in
            if let held = server.held, let low = server.bandLow { addFigure(.serverBandLow, names + [held.rawValue], low) }
        }
        begin(.serverBandHigh)
        Self.eachServer(snapshot) { names, server in
            if let held = server.held, let high = server.bandHigh { addFigure(.serverBandHigh, names + [held.rawValue], high) }
        }
        begin(.serverSaturated)
        Self.eachServer(snapshot) { names, server in
            if let performance = server.performance { add(.serverSaturated, names, performance.isSaturated ? 1 : 0) }
        }
        begin(.serverElasticity)
        Self.eachServer(snapshot) { names, server in
            if let elasticity = server.elasticity { addFigure(.serverElasticity, names, elasticity) }
        }
    }

    private mutating func addFigure(_ family: MetricFamily, _ values: [String], _ number: Double) {
        addLine(family.name, Array(zip(family.labels, values)), Self.decimal(number))
    }

    /// With nine places at most, and no exponent.
    static func decimal(_ number: Double) -> String {
        guard number.isFinite, abs(number) < 9e9 else { return number.isFinite ? "\(Int64(max(-9e18, min(9e18, number))))" : "0" }
        let sign = number < 0 ? "-" : ""
        return sign + seconds(UInt64((abs(number) * 1e9).rounded()))
    }

    private mutating func addServers(_ family: MetricFamily, _ snapshot: Snapshot, _ figure: (Snapshot.Server) -> UInt64) {
        begin(family)
        for pool in snapshot.pools where !pool.isGone {
            for server in pool.servers { add(family, [pool.name, server.endpoint.description], figure(server)) }
        }
    }

    private mutating func addCounters(_ report: LoopReport) {
        let counters = report.snapshot.counters
        begin(.refused)
        for reason in RefusalReason.allCases { add(.refused, [reason.label], counters.refused[Int(reason.rawValue)]) }
        begin(.dropped)
        for side in Side.allCases {
            for reason in DropReason.allCases {
                add(.dropped, ["\(side)", reason.label], counters.dropped[Int(side.rawValue)][Int(reason.rawValue)])
            }
        }
        begin(.retransmitted)
        for side in Side.allCases {
            for kind in EmissionKind.allCases {
                add(.retransmitted, ["\(side)", kind.label], counters.retransmitted[Int(side.rawValue)][Int(kind.rawValue)])
            }
        }
        begin(.overLimit)
        add(.overLimit, [], counters.overLimit)
        begin(.evicted)
        add(.evicted, [], counters.idleEvictions)
        begin(.resetsWithheld)
        add(.resetsWithheld, [], counters.resetsWithheld)
        begin(.repeated)
        add(.repeated, [], counters.repeatedRequests)
        begin(.streamed)
        add(.streamed, [], counters.streamedRequests)
        begin(.captureDrops)
        for side in Side.allCases { add(.captureDrops, ["\(side)"], report.captures[Int(side.rawValue)].dropped) }
        begin(.egressErrors)
        for side in Side.allCases {
            let index = Int(side.rawValue)
            add(.egressErrors, ["\(side)"], report.transmits[index].failed + report.snapshot.counters.egressLost[index])
        }
    }

    /// With raw sockets the kernel finds the next hops, and all of these are 0.
    private mutating func addNextHops(_ report: LoopReport) {
        let figures = Side.allCases.map { report.transmits[Int($0.rawValue)].nextHops ?? NextHopStatistics() }
        begin(.nextHopDrops)
        for side in Side.allCases {
            for reason in NextHopStatistics.Drop.allCases {
                add(.nextHopDrops, ["\(side)", reason.label], figures[Int(side.rawValue)].dropped(reason))
            }
        }
        begin(.neighbours)
        for side in Side.allCases { add(.neighbours, ["\(side)"], figures[Int(side.rawValue)].neighbours) }
        begin(.neighbourFailures)
        for side in Side.allCases { add(.neighbourFailures, ["\(side)"], figures[Int(side.rawValue)].failures) }
    }
}
