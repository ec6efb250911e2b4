import DispatcherCore

extension LoopReport {
    /// The figures of all packet threads in one, the leader's first: sums, but for what they have in common.
    public static func merged(_ reports: [LoopReport]) -> LoopReport {
        guard var all = reports.first else { return LoopReport() }
        all.snapshot = .merged(reports.map(\.snapshot))
        for report in reports.dropFirst() { all.add(report) }
        return all
    }

    private mutating func add(_ other: LoopReport) {
        isDrained = isDrained && other.isDrained
        for side in Side.allCases.map({ Int($0.rawValue) }) {
            captures[side].received += other.captures[side].received
            captures[side].dropped += other.captures[side].dropped
            captures[side].truncated += other.captures[side].truncated
            transmits[side].add(other.transmits[side])
        }
        // The leader alone answers questions for our addresses, and all write into the same relays.
        recordsLost = max(recordsLost, other.recordsLost)
        eventsLost = max(eventsLost, other.eventsLost)
        turns += other.turns
    }
}

extension TransmitStatistics {
    fileprivate mutating func add(_ other: Self) {
        packets += other.packets
        calls += other.calls
        for (code, count) in other.errors {
            if let place = errors.firstIndex(where: { $0.code == code }) {
                errors[place].count += count
            } else {
                errors.append((code, count))
            }
        }
        guard let hops = other.nextHops else { return }
        nextHops?.add(hops)
    }
}

extension NextHopStatistics {
    /// Each thread has a table of its own of the same neighbours and routes.
    fileprivate mutating func add(_ other: Self) {
        for reason in dropped.indices { dropped[reason] += other.dropped[reason] }
        neighbours = max(neighbours, other.neighbours)
        waiting += other.waiting
        asked += other.asked
        failures += other.failures
        lastFailure = lastFailure ?? other.lastFailure
    }
}
