/// Whether a server takes new requests, and why not.
public enum ServerState: UInt8, CaseIterable, Sendable {
    case up
    /// By an operator: what it has is finished, nothing new is given to it.
    case drain
    /// By an operator: its idle connections are closed too, and it is not checked.
    case down
    /// Its health check has failed so often as `fall` says.
    case failed
    /// Its answers failed so often in a row as `ejection.failures` says; for a time.
    case ejected
    /// It is in the configuration no longer: what it has is finished, then it is gone.
    case removed

    /// As in the metrics, the log and the admin interface.
    public var label: String { "\(self)" }
}

/// Why a server's state changed.
public enum ServerStateCause: UInt8, CaseIterable, Sendable {
    case order, healthCheck, consecutiveFailures, ejectionOver, configuration

    public var label: String { DropReason.kebab(String(describing: self)) }
}

/// What an operator wants of a server.
public enum ServerOrder: String, CaseIterable, Sendable { case ready, drain, down }

/// What is known of a server's health, and what was ordered.
struct ServerCondition {
    var order = ServerOrder.ready
    /// Whether it is in the configuration no longer.
    var isRemoved = false
    /// By the health check; true where there is none.
    var isHealthy = true
    /// Until when it gets nothing; `distantPast` = it was not ejected, or that is over.
    var ejectedUntil = Instant.distantPast
    /// Failures since the last success.
    private(set) var failures = 0
    /// Responses that stopped before their end, since the last one that was whole. A good head is a success for the other count alone.
    private(set) var truncations = 0
    /// How often in a row it was ejected: each time is longer than the one before.
    private(set) var ejections = 0
    /// When it will have worked for as long as it was ejected last.
    private var forgivenAt = Instant.distantFuture

    /// Whether its idle connections are closed, and it is not checked.
    var isShut: Bool { isRemoved || order == .down }

    var state: ServerState {
        if isRemoved { return .removed }
        return switch order {
        case .drain: .drain
        case .down: .down
        case .ready: !isHealthy ? .failed : ejectedUntil != .distantPast ? .ejected : .up
        }
    }

    /// An answer that shows that the server works. When it has worked for as long as it was ejected, the next ejection is a short one again.
    mutating func succeeded(at now: Instant) {
        failures = 0
        if ejections > 0, now >= forgivenAt { ejections = 0 }
    }

    /// A response is whole.
    mutating func completed() { truncations = 0 }

    /// A response stopped before its end.
    /// - Returns: as `failed`.
    mutating func truncated(limit: Int) -> Bool {
        truncations += 1
        return failed(limit: limit) || (limit > 0 && truncations >= limit && ejectedUntil == .distantPast)
    }

    /// A timeout, a reset, a refused connection or response, a 5xx of its own.
    /// - Parameter limit: so many in a row are too many; 0 = any number may be.
    /// - Returns: whether there are too many now.
    mutating func failed(limit: Int) -> Bool {
        failures += 1
        return limit > 0 && failures >= limit && ejectedUntil == .distantPast
    }

    /// Ten ejection times at most, each one longer than the last.
    mutating func eject(for time: Interval, at now: Instant) {
        ejections = min(ejections + 1, 10)
        ejectedUntil = now + time * Int64(ejections)
        forgivenAt = ejectedUntil + time * Int64(ejections)
        failures = 0
        truncations = 0
    }

    /// The time of an ejection is over. What still failed meanwhile was asked before it.
    mutating func admit() {
        ejectedUntil = .distantPast
        failures = 0
        truncations = 0
    }
}
