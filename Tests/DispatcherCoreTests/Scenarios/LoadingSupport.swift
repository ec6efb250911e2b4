import DispatcherCore
import Testing

/// Words that scenarios of controlled loading share.
extension World {
    struct LimitChange {
        var at: Instant
        var server: Int
        var from: Int
        var to: Int
        var reason: LimitReason
    }

    struct StateChange {
        var at: Instant
        var server: Int
        var from: ServerState
        var to: ServerState
        var cause: ServerStateCause
    }

    func shown(_ server: Int, pool: Int = 0) -> Snapshot.Server { dispatcher.snapshot.pools[pool].servers[server] }

    var limitChanges: [LimitChange] {
        dispatcher.drainRecords()
        return dispatcher.events.compactMap { event in
            guard case .limit(let from, let to, let reason) = event.what else { return nil }
            return LimitChange(at: event.at, server: event.server.serverIndex, from: from, to: to, reason: reason)
        }
    }

    var tunnelLimitChanges: [LimitChange] {
        dispatcher.drainRecords()
        return dispatcher.events.compactMap { event in
            guard case .tunnelLimit(let from, let to, let reason) = event.what else { return nil }
            return LimitChange(at: event.at, server: event.server.serverIndex, from: from, to: to, reason: reason)
        }
    }

    var stateChanges: [StateChange] {
        dispatcher.drainRecords()
        return dispatcher.events.compactMap { event in
            guard case .state(let from, let to, let cause) = event.what else { return nil }
            return StateChange(at: event.at, server: event.server.serverIndex, from: from, to: to, cause: cause)
        }
    }

    /// For long runs: nobody looks at every frame of them.
    func runLong() {
        dispatcher.capture.limit = 0
        simulation.eventLimit = 50_000_000
        for server in servers { server.limit = nil }
    }

    /// By server, how many requests each has served.
    var served: [Int] { servers.map(\.requestsServed) }

    /// The servers of the finished requests, in the order of their ends.
    var answering: [Int] {
        dispatcher.drainRecords()
        return dispatcher.records.compactMap { $0.server?.serverIndex }
    }

    /// Clients with one request each, so long apart.
    func visitors(_ count: Int, every gap: Interval, _ request: RequestPlan = .get(), _ response: ResponsePlan = .length(100)) {
        for index in 0..<count { client([exchange(request, response)]) { $0.start = gap * Int64(index) } }
    }
}

/// Takes down every performance window of a server.
final class WindowWatch {
    private(set) var windows: [Performance] = []
    private unowned let world: World
    private let server: Int
    private var last: (Interval, Interval, Double)?

    init(_ world: World, server: Int = 0) {
        self.world = world
        self.server = server
        look()
    }

    private func look() {
        if let shown = world.shown(server).performance {
            let mark = (shown.length, shown.outstandingTimes, shown.meanOutstanding)
            if last.map({ $0 != mark }) ?? true { windows.append(shown) }
            last = mark
        }
        world.simulation.after(.milliseconds(50)) { [weak self] in self?.look() }
    }

    /// Runs until so many more have ended.
    func run(_ count: Int) {
        let wanted = windows.count + count
        world.simulation.run(atMost: .seconds(Int64(3 * count))) { windows.count >= wanted }
        if windows.count < wanted { world.simulation.violation("\(windows.count) windows ended, \(wanted) were waited for") }
    }

    /// How far Little's law is missed, as a part of the requests outstanding, over all saturated windows together that follow one under the
    /// same limit: in the first under another some requests from before it are outstanding, whose times do not count. Of a single window's
    /// error most is what its ends cut off: that is chance, and has no sign.
    var littleError: Double {
        var (area, times) = (0.0, 0.0)
        for (before, window) in zip(windows, windows.dropFirst()) where window.isSaturated && before.limit == window.limit {
            area += window.meanOutstanding * Double(window.length.nanoseconds)
            times += Double(window.outstandingTimes.nanoseconds)
        }
        return area > 0 ? abs(area - times) / area : 1
    }
}
