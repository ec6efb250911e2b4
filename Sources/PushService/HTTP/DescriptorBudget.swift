import Glibc
import NIOCore
import Synchronization

/// How many descriptors the process has left, and who may have them: the last ones are not for devices.
///
/// Connections are counted; what else is open is measured at the start and while few are left.
final class DescriptorBudget: Sendable {
    /// Of the process.
    struct Figures: Sendable {
        /// The soft limit.
        var limit: Int
        var open: Int
    }

    private struct Measure {
        var limit = Int.max
        /// Open descriptors that are no connections of fronts.
        var others = 0
        var time: NIODeadline?
    }

    /// Measuring reads a directory with an entry for each descriptor.
    private static let interval = TimeAmount.seconds(1)

    private let connections: FrontConnections
    private let figures: @Sendable () -> Figures?
    private let measure = Mutex(Measure())

    /// - Parameter figures: says nil when they are not known; then nothing is refused.
    init(connections: FrontConnections, figures: @escaping @Sendable () -> Figures? = DescriptorBudget.system) {
        self.connections = connections
        self.figures = figures
        refresh()
    }

    /// Measures again, once a second at most.
    func refresh(now: NIODeadline = .now()) {
        measure.withLock { measure in
            if let time = measure.time, now - time < Self.interval { return }
            measure.time = now
            guard let figures = figures() else { return }
            measure.limit = figures.limit
            measure.others = max(0, figures.open - connections.open)
        }
    }

    /// Whether `front` may take one more connection.
    ///
    /// - Parameter isShort: it had to stop, and begins again only with some more descriptors than it stopped at.
    func allows(_ front: WorkerFront, isShort: Bool) -> Bool {
        if free.count <= 2 * Self.reserve(for: .userAgents, limit: free.limit) { refresh() }
        let (limit, count) = free
        let reserve = Self.reserve(for: front, limit: limit)
        return count > reserve + (isShort ? reserve / 8 : 0)
    }

    private var free: (limit: Int, count: Int) {
        let open = connections.open
        return measure.withLock { ($0.limit, $0.limit - $0.others - open) }
    }

    /// How many descriptors `front` leaves to others: devices all that the store, the other workers, application servers and the operator
    /// need; application servers a part; the operator none.
    static func reserve(for front: WorkerFront, limit: Int) -> Int {
        let whole = min(64, limit / 4)
        return switch front {
        case .userAgents, .tls: whole
        case .applicationServers, .wakeUp: whole / 4
        case .admin: 0
        }
    }

    /// Of this process, from the kernel.
    static let system: @Sendable () -> Figures? = {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0, let directory = opendir("/proc/self/fd") else {
            return nil
        }
        defer { closedir(directory) }
        // Without `.`, `..` and the directory's own.
        var open = -3
        while readdir(directory) != nil { open += 1 }
        return Figures(limit: Int(clamping: limit.rlim_cur), open: open)
    }
}
