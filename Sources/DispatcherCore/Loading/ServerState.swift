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
    /// By the health check; true where there is none.
    var isHealthy = true
    /// Until when it gets nothing; `distantPast` = it was not ejected, or that is over.
    var ejectedUntil = Instant.distantPast
    /// Failures since the last success.
    private(set) var failures = 0
    /// How often in a row it was ejected: each time is longer than the one before.
    private(set) var ejections = 0

    var state: ServerState {
        switch order {
        case .drain: .drain
        case .down: .down
        case .ready: !isHealthy ? .failed : ejectedUntil != .distantPast ? .ejected : .up
        }
    }

    /// An answer that shows that the server works.
    mutating func succeeded() { failures = 0 }

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
        failures = 0
    }

    /// The time of an ejection is over.
    mutating func admit() { ejectedUntil = .distantPast }

    /// It has worked for as long as it would have been ejected: the next ejection is a short one again.
    mutating func forgive() { ejections = 0 }
}
