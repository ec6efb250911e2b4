import DispatcherCore
import Glibc
import Synchronization

/// What the engines of this process have counted, summed over every simulated network that a test has made: the table in which each counter
/// must be above zero. With `SLUICE_COVERAGE` set it is written to that file when the process ends; `scripts/test` reads it.
enum Coverage {
    /// What the counters do not say, and what is seen of it from outside.
    enum Event: String, CaseIterable {
        case portReused = "back-end port used again"
        case tunnelOpened = "tunnel opened"
        case tunnelClosed = "tunnel closed"
        case connectFailed = "connection refused by a server or not answered"
    }

    /// Rows that may be zero, with the reason.
    static let exempt: [String: String] = {
        var rows: [String: String] = [:]
        let single = [
            (EmissionKind.forwarded, "whoever sent it first repeats it"), (.handshake, "made anew for each SYN"),
            (.acknowledgement, "never repeated"), (.reset, "never repeated"), (.icmp, "never repeated"), (.challenge, "never repeated"),
        ]
        for (kind, reason) in single { rows["retransmitted \(kind)"] = reason }
        rows["responseFaults \(ResponseFault.incompleteHead.label)"] = "a head is parsed when its end was found"
        rows["eventsLost"] = "1,024 of them would have to happen in one turn"
        rows["state cause \(ServerStateCause.configuration.label)"] = "only an engine that is given another configuration has it"
        return rows
    }()

    /// What happened to servers: results of checks, changes of state by cause and by what they led to, reports that were no number.
    static func rows(of snapshot: Snapshot, _ events: [EngineEvent]) -> [(name: String, count: UInt64)] {
        let servers = snapshot.pools.flatMap(\.servers)
        var causes: [ServerStateCause: UInt64] = [:]
        var states: [ServerState: UInt64] = [:]
        for event in events {
            guard case .state(_, let state, let cause) = event.what else { continue }
            causes[cause, default: 0] += 1
            states[state, default: 0] += 1
        }
        var rows: [(name: String, count: UInt64)] = CheckResult.allCases.map { result in
            ("check \(result.label)", servers.reduce(0) { $0 + $1.checks[Int(result.rawValue)] })
        }
        rows += ServerStateCause.allCases.map { ("state cause \($0.label)", causes[$0] ?? 0) }
        rows += ServerState.allCases.map { ("state \($0.label)", states[$0] ?? 0) }
        rows.append(("reports invalid", servers.reduce(0) { $0 + $1.reportsInvalid }))
        return rows
    }

    /// Rows that must be zero.
    static let forbidden: Set<String> = ["overLimit"]

    private static let file = getenv("SLUICE_COVERAGE").map { String(cString: $0) }
    private static let table = Mutex<[String: UInt64]>([:])
    /// The names of the rows, in the order in which they are shown.
    private static let order = Mutex<[String]>([])
    private static let writesAtExit: Bool = {
        atexit { Coverage.write() }
        return true
    }()

    static var isWanted: Bool { file != nil }

    /// - Parameter told: what the engine told of its servers.
    static func add(_ snapshot: Snapshot, _ events: [Event: UInt64], told: [EngineEvent] = []) {
        guard isWanted, writesAtExit else { return }
        var rows = rows(of: snapshot.counters) + rows(of: snapshot, told)
        for event in Event.allCases { rows.append((event.rawValue, events[event] ?? 0)) }
        order.withLock { names in if names.isEmpty { names = rows.map(\.name) } }
        table.withLock { table in for (name, count) in rows { table[name, default: 0] += count } }
    }

    /// Every counter with a name, in the order of their declaration.
    static func rows(of counters: Counters) -> [(name: String, count: UInt64)] {
        var rows: [(name: String, count: UInt64)] = []
        for child in Mirror(reflecting: counters).children {
            let name = child.label ?? "?"
            switch child.value {
            case let count as UInt64: rows.append((name, count))
            case let counts as [(label: String, count: UInt64)]: rows += counts.map { ("\(name) \($0.label)", $0.count) }
            case let sides as [[UInt64]]:
                for (index, label) in labels(name, count: sides[0].count).enumerated() {
                    rows.append(("\(name) \(label)", sides.reduce(0) { $0 + $1[index] }))
                }
            case let counts as [UInt64]:
                for (label, count) in zip(labels(name, count: counts.count), counts) { rows.append(("\(name) \(label)", count)) }
            default: rows.append(("\(name): a counter of a kind that is not known here", 0))
            }
        }
        return rows
    }

    /// What the places of an array of counters mean.
    private static func labels(_ name: String, count: Int) -> [String] {
        let labels: [String]
        switch name {
        case "dropped": labels = DropReason.allCases.map(\.label)
        case "emitted", "retransmitted": labels = EmissionKind.allCases.map { "\($0)" }
        case "deliveries": labels = Delivery.allCases.map(\.label)
        case "refused": labels = RefusalReason.allCases.map(\.label)
        default: labels = Side.allCases.map { "\($0)" }
        }
        return labels.count == count ? labels : ["an array of \(count) counters that is not known here"]
    }

    /// A row a line: name, count, and what excuses a zero or forbids anything else.
    private static func write() {
        guard let file, let stream = fopen(file, "w") else { return }
        let counts = table.withLock { $0 }
        let names = order.withLock { $0 }
        for name in names {
            fputs("\(name)\t\(counts[name] ?? 0)\t\(forbidden.contains(name) ? "must be 0" : exempt[name] ?? "")\n", stream)
        }
        fclose(stream)
    }
}
