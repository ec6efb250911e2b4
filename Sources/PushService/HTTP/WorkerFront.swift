import Synchronization

/// The listening sockets that a worker may have.
enum WorkerFront: String, CaseIterable, Sendable {
    /// For devices.
    case userAgents = "ua"
    /// For application servers.
    case applicationServers = "as"
    /// Both, in TLS.
    case tls
    /// For orders to NS-WakeUp.
    case wakeUp = "wakeup"
    /// For its operator.
    case admin

    /// What the log calls it.
    var title: String {
        switch self {
        case .userAgents: "devices"
        case .applicationServers: "application servers"
        case .tls: "TLS"
        case .wakeUp: "wake-up orders"
        case .admin: "admin"
        }
    }
}

/// The connections of each front.
final class FrontConnections: Sendable {
    /// Of one front.
    struct Count: Sendable {
        var open = 0
        /// Since the start.
        var all = 0
    }

    private let counts = Mutex<[WorkerFront: Count]>([:])

    /// A connection has been accepted.
    func opened(_ front: WorkerFront) {
        counts.withLock {
            $0[front, default: Count()].open += 1
            $0[front, default: Count()].all += 1
        }
    }

    /// A connection is gone.
    func closed(_ front: WorkerFront) {
        counts.withLock { $0[front, default: Count()].open -= 1 }
    }

    /// Those that are open, of all fronts.
    var open: Int {
        counts.withLock { $0.values.reduce(0) { $0 + $1.open } }
    }

    subscript(front: WorkerFront) -> Count {
        counts.withLock { $0[front] ?? Count() }
    }
}
