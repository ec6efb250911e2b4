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
        /// Whether few are left.
        var isLow = false
    }

    /// Measuring reads a directory with an entry for each descriptor.
    private static let interval = TimeAmount.milliseconds(200)

    private let connections: FrontConnections
    private let figures: @Sendable () -> Figures?
    private let measure = Mutex(Measure())

    /// - Parameter figures: says nil when they are not known; then nothing is refused.
    init(connections: FrontConnections, figures: @escaping @Sendable () -> Figures? = DescriptorBudget.system) {
        self.connections = connections
        self.figures = figures
        refresh()
    }

    /// Measures again, five times a second at most, and whenever few begin to be left: what was counted before may be long ago.
    /// - Parameter always: however long ago the last time was.
    func refresh(now: NIODeadline = .now(), always: Bool = false) {
        measure.withLock { measure in
            if !always, let time = measure.time, measure.isLow, now - time < Self.interval { return }
            measure.isLow = true
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
        let known = free
        if known.count <= 3 * Self.reserve(for: .userAgents, limit: known.limit) {
            refresh()
        } else {
            measure.withLock { $0.isLow = false }
        }
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
