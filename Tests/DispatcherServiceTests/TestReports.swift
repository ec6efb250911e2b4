import DispatcherCore
import PacketIO

@testable import DispatcherService

/// A report of an engine that has served something.
enum TestReports {
    static func busy() throws -> LoopReport {
        let configuration = try TestConfigurations.read(TestConfigurations.least)
        var report = LoopReport()
        var service = Snapshot.Service(name: "files")
        service.requests = [(200, 7), (0, 1)]
        service.frontConnections = 3
        service.phases = [2, 1, 0, 0, 0, 0, 0, 0]
        var pool = Snapshot.Pool(name: "web")
        pool.queueLength = 1
        pool.queueOldest = .milliseconds(1_500)
        pool.servers = configuration.pools[0].servers.map { Snapshot.Server(endpoint: $0.endpoint) }
        pool.servers[0].limit = 8
        pool.servers[0].control = .hold
        pool.servers[0].held = .averageResponseTime
        pool.servers[0].bandLow = 0.000_01
        pool.servers[0].bandHigh = 0.025
        pool.servers[0].elasticity = -0.25
        pool.servers[0].checks[Int(CheckResult.timeout.rawValue)] = 3
        var performance = Performance()
        performance.length = .seconds(2)
        performance.limit = 8
        performance.responses = 50
        performance.allResponses = 50
        performance.responseTimes = .seconds(1)
        performance.hadQueue = true
        pool.servers[0].performance = performance
        pool.servers[1].isReachable = false
        pool.servers[1].state = .drain
        report.snapshot.services = [service]
        report.snapshot.pools = [pool, Snapshot.Pool(name: "unused")]
        report.snapshot.counters.dropped[0][Int(DropReason.badTCPChecksum.rawValue)] = 4
        report.snapshot.counters.refused[Int(RefusalReason.queueFull.rawValue)] = 2
        report.snapshot.counters.retransmitted[1][Int(EmissionKind.request.rawValue)] = 6
        report.snapshot.counters.requestFaults = [("bare-cr", 1), ("bare-lf", 0)]
        report.captures[1].dropped = 9
        report.transmits[0].errors = [(90, 2), (105, 1)]
        report.snapshot.counters.egressLost = [4, 0]
        report.snapshot.counters.deliveries[Int(Delivery.staged.rawValue)] = 5
        report.snapshot.stagingBytes = 131_072
        var hops = NextHopStatistics()
        hops.dropped[Int(NextHopStatistics.Drop.unresolved.rawValue)] = 3
        hops.neighbours = 2
        hops.failures = 1
        hops.lastFailure = IPAddress("10.77.2.99")
        report.transmits[1].nextHops = hops
        return report
    }
}
