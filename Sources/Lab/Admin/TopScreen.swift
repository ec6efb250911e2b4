import Foundation

/// What `sluice top` shows: the figures of one instant, and rates since the one before.
public struct TopScreen {
    private let now: DispatcherStatus
    private let before: DispatcherStatus?
    /// Seconds between them.
    private let seconds: Double

    /// - Parameters:
    ///   - before: the figures of an earlier instant; nil = there are none, and rates are left out.
    ///   - seconds: how long ago that was.
    public init(_ now: DispatcherStatus, before: DispatcherStatus?, seconds: Double) {
        self.now = now
        self.before = seconds > 0 ? before : nil
        self.seconds = seconds
    }

    /// The lines from top to bottom, each cut at `width` columns.
    public func lines(width: Int) -> [String] {
        var lines = ["sluice \(now.version)\(now.stopping ? "  stopping" : "")  refused \(rate(total(\.refused)))"]
        for service in now.services {
            let old = before?.services.first { $0.name == service.name }
            let all = service.requests.values.reduce(0, +)
            let oldAll = old?.requests.values.reduce(0, +)
            lines.append("")
            lines.append(
                "service \(service.name)  \(service.listen.joined(separator: " "))  clients \(service.frontConnections)  tunnels \(service.tunnels)"
                    + "  requests \(rate(all, oldAll))  errors \(rate(Self.errors(service.requests), old.map { Self.errors($0.requests) }))"
            )
            for pool in service.pools { lines += self.lines(pool) }
        }
        if !now.otherPools.isEmpty {
            lines += ["", "pools that no route names"]
            for pool in now.otherPools { lines += self.lines(pool) }
        }
        return lines.map { String($0.prefix(max(width, 1))) }
    }

    private func total(_ counts: KeyPath<DispatcherStatus, [String: UInt64]>) -> (UInt64, UInt64?) {
        (now[keyPath: counts].values.reduce(0, +), before?[keyPath: counts].values.reduce(0, +))
    }

    private static func errors(_ requests: [String: UInt64]) -> UInt64 {
        requests.reduce(0) { $1.key.hasPrefix("5") || $1.key == "0" ? $0 + $1.value : $0 }
    }

    private static let columns = [22, 9, 6, 6, 6, 8, 26, 14, 9, 9]

    private func lines(_ pool: DispatcherStatus.Pool) -> [String] {
        let oldest = pool.queueLength > 0 ? ", oldest \(Self.time(pool.queueOldestSeconds))" : ""
        let heads = ["server", "state", "limit", "active", "idle", "tunnels", "metric (band)", "control", "req/s", "fail/s"]
        var lines = ["  pool \(pool.name)  queue \(pool.queueLength) (high \(pool.queueHigh)\(oldest))", "    " + Self.row(heads)]
        for server in pool.servers {
            let old = find(pool.name, server.address)
            let cells = [
                server.address, (server.up || server.state != "up" ? server.state : "no answer") + (server.backup ? " b" : ""),
                "\(server.limit)", "\(server.active)", "\(server.idle)", "\(server.tunnels)", Self.metric(server.control),
                server.control.state, rate(server.requests, old?.requests), rate(server.failures, old?.failures),
            ]
            lines.append("    " + Self.row(cells))
        }
        return lines
    }

    private func find(_ pool: String, _ server: String) -> DispatcherStatus.Server? {
        let pools = (before?.services.flatMap(\.pools) ?? []) + (before?.otherPools ?? [])
        return pools.first { $0.name == pool }?.servers.first { $0.address == server }
    }

    /// The first column and the words to the left, figures to the right.
    private static func row(_ cells: [String]) -> String {
        zip(cells, columns).enumerated().map { index, cell in
            let padding = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
            return [2, 3, 4, 5, 8, 9].contains(index) ? padding + cell.0 + " " : cell.0 + padding + " "
        }.joined()
    }

    private func rate(_ counts: (UInt64, UInt64?)) -> String { rate(counts.0, counts.1) }

    private func rate(_ count: UInt64, _ old: UInt64?) -> String {
        guard let old, before != nil else { return "-" }
        // A counter that is less than it was began anew.
        let rate = Double(count >= old ? count - old : count) / seconds
        return rate == 0 || rate >= 100 ? String(format: "%.0f/s", rate) : String(format: "%.1f/s", rate)
    }

    // MARK: Metrics

    private static func metric(_ control: DispatcherStatus.Control) -> String {
        let name = control.held ?? "average-response-time"
        guard let value = control.metrics[name] else { return "-" }
        let shown = text(value, of: name)
        guard control.held != nil else { return shown }
        return "\(shown) (\(control.low.map { text($0, of: name) } ?? "")..\(control.high.map { text($0, of: name) } ?? ""))"
    }

    private static func text(_ value: Double, of metric: String) -> String {
        switch metric {
        case "average-response-time", "maximum-response-time": time(value)
        case "throughput": bytes(value)
        case "request-rate", "packet-throughput": String(format: "%.0f/s", value)
        default: String(format: "%g", (value * 100).rounded() / 100)
        }
    }

    private static func time(_ seconds: Double) -> String {
        seconds >= 1 ? String(format: "%.1f s", seconds) : String(format: seconds >= 0.1 ? "%.0f ms" : "%.1f ms", seconds * 1_000)
    }

    private static func bytes(_ rate: Double) -> String {
        for (unit, size) in [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)] where rate >= size {
            return String(format: "%.1f %@/s", rate / size, unit)
        }
        return String(format: "%.0f B/s", rate)
    }
}
