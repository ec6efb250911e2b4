import DispatcherCore
import PacketIO
import Testing

@testable import DispatcherService

struct FigureWatchTests {
    @Test func saysOnlyWhatIsNew() {
        var watch = FigureWatch()
        var report = LoopReport()
        #expect(watch.warnings(report) == [])
        report.captures[0].dropped = 5
        report.transmits[1].errors = [(90, 2)]
        report.arp[0].conflicts = 1
        report.lastConflict = .init(address: IPAddress("10.77.1.100")!, hardwareAddress: HardwareAddress(bits: 7))
        report.recordsLost = 3
        #expect(
            watch.warnings(report) == [
                "the capture of the client side lost 5 frames; raise client-side.capture-memory",
                "00:00:00:00:00:07 claims our address 10.77.1.100 on the client side",
                "2 packets of the server side could not be sent (in all EMSGSIZE: 2)",
                "3 finished requests are missing in the log and the histograms: the log thread was behind",
            ])
        #expect(watch.warnings(report) == [])
    }

    @Test func asksOnceWhetherTheGuardIsAtWork() {
        var report = LoopReport()
        report.snapshot.counters.framesIn = [40, 30]
        var watch = FigureWatch()
        #expect(watch.guardWarning(report) { [0, 0] } == nil, "too early to tell")
        report.snapshot.counters.framesIn = [70, 30]
        #expect(watch.guardWarning(report) { [0, 0] }?.hasPrefix("of 100 frames that came in nft has kept none from the kernel") == true)
        #expect(watch.guardWarning(report) { [0, 0] } == nil, "said once")
        var other = FigureWatch()
        #expect(other.guardWarning(report) { [0, 1] } == nil)
        var silent = FigureWatch()
        #expect(silent.guardWarning(report) { nil } == "nft does not say what it has kept from the kernel")
    }

    @Test func namesTheNeighbourThatDoesNotAnswer() {
        var watch = FigureWatch()
        var report = LoopReport()
        var hops = NextHopStatistics()
        hops.failures = 2
        hops.lastFailure = IPAddress("10.77.2.99")
        hops.dropped[Int(NextHopStatistics.Drop.unresolved.rawValue)] = 6
        hops.routesLeftOut = 4
        report.transmits[1].nextHops = hops
        #expect(
            watch.warnings(report) == [
                "10.77.2.99 on the server side does not answer ARP (2 failures in all)",
                "packets of the server side had no next hop (in all unresolved: 6)",
                "the server side has 4 routes more than are kept; the shortest prefixes are left out",
            ])
        #expect(watch.warnings(report) == [])
    }
}
