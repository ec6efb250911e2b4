import DispatcherCore
import Foundation
import PacketIO

/// The document `/status.json`: service > pool > server with the figures of `/metrics`, and what a test needs to see that nothing is left.
struct StatusDocument: Encodable {
    struct Service: Encodable {
        var name: String
        var listen: [String]
        var frontConnections: Int
        /// Connections by what they are doing.
        var phases: [String: Int]
        var tunnels: Int
        var connectionsTotal: UInt64
        /// By status.
        var requests: [String: UInt64]
        /// Those that its routes name.
        var pools: [Pool]
    }

    struct Pool: Encodable {
        var name: String
        var queueLength: Int
        var queueHigh: Int
        var queueOldestSeconds: Double
        var servers: [Server]
    }

    struct Server: Encodable {
        var address: String
        var up: Bool
        var state: String
        var weight: Int
        var backup: Bool
        var failures: UInt64
        var tunnelLimit: Int
        var control: Control
        /// Health checks by result; only those that occurred.
        var checks: [String: UInt64]
        var limit: Int
        var active: Int
        /// Those of them whose body is streamed.
        var streamed: Int
        var idle: Int
        var opening: Int
        var closing: Int
        var tunnels: Int
        var connects: UInt64
        var connectFailures: UInt64
        var requests: UInt64
    }

    /// What moves a server's limit, and what it goes by.
    struct Control: Encodable {
        var state: String
        var reason: String
        var saturated: Bool?
        var elasticity: Double?
        /// The metric that is held, and its band.
        var held: String?
        var low: Double?
        var high: Double?
        /// By name; those that were measured in the last performance window.
        var metrics: [String: Double]
        var windowSeconds: Double?
        /// How far the window misses Little's law, as a part.
        var littleError: Double?
        var meanOutstanding: Double?
    }

    struct SideFigures: Encodable {
        var framesIn: UInt64
        var consumed: UInt64
        var forwarded: UInt64
        /// By reason; only those that occurred.
        var dropped: [String: UInt64]
        var emitted: [String: UInt64]
        var retransmitted: [String: UInt64]
        var captured: UInt64
        var captureDrops: UInt64
        var truncated: UInt64
        var packetsSent: UInt64
        var sendCalls: UInt64
        var egressErrors: [String: UInt64]
        var egressLost: UInt64
        var arpAnswered: UInt64
        var arpConflicts: UInt64
        var ndpAnswered: UInt64
        var ndpConflicts: UInt64
        var ndpMalformed: UInt64
        /// `raw` or `packet`.
        var transmit: String
        /// Absent where the kernel finds them.
        var nextHops: NextHops?
    }

    struct NextHops: Encodable {
        var routes: Int
        var neighbours: Int
        var waiting: Int
        var asked: UInt64
        var failures: UInt64
        /// By reason; only those that occurred.
        var dropped: [String: UInt64]
        /// Whether what is sent passes the device's queueing discipline by.
        var bypassesQueue: Bool
    }

    var version = Version.text
    var stopping: Bool
    var drained: Bool
    var services: [Service]
    /// Pools that no route names, also those that are retired and not empty yet.
    var otherPools: [Pool]
    var timers: Int
    var bufferBytes: Int
    /// What the bodies of requests take of them.
    var bodyBytes: Int
    var timeWaits: Int
    var sides: [String: SideFigures]
    /// These three by reason; only those that occurred.
    var refused: [String: UInt64]
    var requestFaults: [String: UInt64]
    var responseFaults: [String: UInt64]
    var repeatedRequests: UInt64
    var streamedRequests: UInt64
    var overLimit: UInt64
    var recordsLost: UInt64
    var answersOmitted: UInt64
    var idleEvictions: UInt64
    /// Of connections in mode l4/3.
    var halfOpenExpired: UInt64
    var idleExpired: UInt64
    var closedForgotten: UInt64
    var resetsWithheld: UInt64
    var clientsHold: Int
    var clientEvictions: UInt64
    var unwrittenLogLines: UInt64
    var turns: UInt64

    init(_ report: LoopReport, configuration: Configuration, unwrittenLogLines: UInt64) {
        let snapshot = report.snapshot
        stopping = snapshot.isStopping
        drained = report.isDrained
        let pools = snapshot.pools.map(Self.pool)
        var routed: Set<Int> = []
        services = zip(snapshot.services, configuration.services).map { figures, configured in
            var named: [Int] = []
            for route in configured.routes where !named.contains(route.pool) { named.append(route.pool) }
            routed.formUnion(named)
            return Service(
                name: figures.name, listen: configured.listen.map(\.description), frontConnections: figures.frontConnections,
                phases: Dictionary(uniqueKeysWithValues: zip(FrontPhase.allCases.map { "\($0)" }, figures.phases)),
                tunnels: figures.tunnels,
                connectionsTotal: figures.connectionsTotal,
                requests: Dictionary(figures.requests.map { (String($0.status), $0.count) }, uniquingKeysWith: +),
                pools: named.filter(pools.indices.contains).map { pools[$0] })
        }
        otherPools = pools.indices.filter { !routed.contains($0) && !snapshot.pools[$0].isGone }.map { pools[$0] }
        timers = snapshot.timers
        bufferBytes = snapshot.bufferBytes
        bodyBytes = snapshot.bodyBytes
        timeWaits = snapshot.timeWaits
        sides = Dictionary(uniqueKeysWithValues: Side.allCases.map { ("\($0)", Self.side($0, report)) })
        refused = Self.occurred(RefusalReason.allCases.map(\.label), snapshot.counters.refused)
        requestFaults = Self.occurred(snapshot.counters.requestFaults.map(\.label), snapshot.counters.requestFaults.map(\.count))
        responseFaults = Self.occurred(snapshot.counters.responseFaults.map(\.label), snapshot.counters.responseFaults.map(\.count))
        repeatedRequests = snapshot.counters.repeatedRequests
        streamedRequests = snapshot.counters.streamedRequests
        overLimit = snapshot.counters.overLimit
        recordsLost = snapshot.counters.recordsLost + report.recordsLost
        answersOmitted = snapshot.counters.answersOmitted
        idleEvictions = snapshot.counters.idleEvictions
        halfOpenExpired = snapshot.counters.halfOpenExpired
        idleExpired = snapshot.counters.idleExpired
        closedForgotten = snapshot.counters.closedForgotten
        resetsWithheld = snapshot.counters.resetsWithheld
        clientsHold = snapshot.clientsHold
        clientEvictions = snapshot.clientEvictions
        self.unwrittenLogLines = unwrittenLogLines
        turns = report.turns
    }

    private static func pool(_ pool: Snapshot.Pool) -> Pool {
        Pool(
            name: pool.name, queueLength: pool.queueLength, queueHigh: pool.queueHigh,
            queueOldestSeconds: Double(pool.queueOldest.nanoseconds) / 1e9,
            servers: pool.servers.map { server in
                Server(
                    address: server.endpoint.description, up: server.isUp, state: server.state.label, weight: server.weight,
                    backup: server.isBackup, failures: server.failures, tunnelLimit: server.tunnelLimit, control: control(server),
                    checks: occurred(CheckResult.allCases.map(\.label), server.checks), limit: server.limit, active: server.active,
                    streamed: server.streamed, idle: server.idle, opening: server.opening, closing: server.closing, tunnels: server.tunnels,
                    connects: server.connects, connectFailures: server.connectFailures, requests: server.requests)
            })
    }

    private static func control(_ server: Snapshot.Server) -> Control {
        let performance = server.performance
        let metrics = Metric.allCases.compactMap { metric in performance?[metric].map { (metric.rawValue, $0) } }
        return Control(
            state: server.control.rawValue, reason: server.reason.rawValue, saturated: performance?.isSaturated,
            elasticity: server.elasticity, held: server.held?.rawValue, low: server.bandLow, high: server.bandHigh,
            metrics: Dictionary(metrics, uniquingKeysWith: { first, _ in first }),
            windowSeconds: performance.map { Double($0.length.nanoseconds) / 1e9 }, littleError: performance?.littleError,
            meanOutstanding: performance?.meanOutstanding)
    }

    private static func side(_ side: Side, _ report: LoopReport) -> SideFigures {
        let index = Int(side.rawValue)
        let counters = report.snapshot.counters
        let kinds = EmissionKind.allCases.map(\.label)
        return SideFigures(
            framesIn: counters.framesIn[index], consumed: counters.consumed[index], forwarded: counters.forwarded[index],
            dropped: occurred(DropReason.allCases.map(\.label), counters.dropped[index]), emitted: occurred(kinds, counters.emitted[index]),
            retransmitted: occurred(kinds, counters.retransmitted[index]), captured: report.captures[index].received,
            captureDrops: report.captures[index].dropped, truncated: report.captures[index].truncated,
            packetsSent: report.transmits[index].packets, sendCalls: report.transmits[index].calls,
            egressErrors: Dictionary(report.transmits[index].errors.map { (ErrorName.text($0.code), $0.count) }, uniquingKeysWith: +),
            egressLost: counters.egressLost[index],
            arpAnswered: report.arp[index].requestsAnswered, arpConflicts: report.arp[index].conflicts,
            ndpAnswered: report.ndp[index].solicitationsAnswered, ndpConflicts: report.ndp[index].conflicts,
            ndpMalformed: report.ndp[index].malformed,
            transmit: report.transmits[index].nextHops == nil ? "raw" : "packet", nextHops: report.transmits[index].nextHops.map(nextHops))
    }

    private static func nextHops(_ figures: NextHopStatistics) -> NextHops {
        NextHops(
            routes: figures.routes, neighbours: figures.neighbours, waiting: figures.waiting, asked: figures.asked,
            failures: figures.failures, dropped: occurred(NextHopStatistics.Drop.allCases.map(\.label), figures.dropped),
            bypassesQueue: figures.bypassesQueue)
    }

    private static func occurred(_ labels: [String], _ counts: [UInt64]) -> [String: UInt64] {
        Dictionary(zip(labels, counts).filter { $0.1 > 0 }, uniquingKeysWith: +)
    }

    /// The document, keys sorted.
    func encoded() -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
        return Array((try? encoder.encode(self)) ?? Data("{}".utf8)) + [0x0A]
    }
}
