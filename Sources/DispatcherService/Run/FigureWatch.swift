import DispatcherCore
import PacketIO

/// Compares figures with those of last time and says what an operator should know.
struct FigureWatch {
    /// Between two looks, milliseconds.
    static let period: Int32 = 10_000

    private var last = LoopReport()
    private var guardIsSeenAtWork = false

    mutating func warnings(_ report: LoopReport) -> [String] {
        defer { last = report }
        var warnings: [String] = []
        for side in Side.allCases {
            let index = Int(side.rawValue)
            let lost = report.captures[index].dropped &- last.captures[index].dropped
            if lost > 0 { warnings.append("the capture of the \(side) side lost \(lost) frames; raise \(side)-side.capture-memory") }
            let failed = report.transmits[index].failed - last.transmits[index].failed
            if failed > 0 {
                let reasons = report.transmits[index].errors.map { "\(ErrorName.text($0.code)): \($0.count)" }.joined(separator: ", ")
                warnings.append("\(failed) packets of the \(side) side could not be sent (in all \(reasons))")
            }
            warnings += warningsOfNextHops(side, report.transmits[index].nextHops, last.transmits[index].nextHops)
            if report.arp[index].conflicts > last.arp[index].conflicts, let conflict = report.lastConflict {
                warnings.append("\(conflict.hardwareAddress) claims our address \(conflict.address) on the \(side) side")
            }
        }
        let records = report.recordsLost + report.snapshot.counters.recordsLost - last.recordsLost - last.snapshot.counters.recordsLost
        if records > 0 {
            warnings.append("\(records) finished requests are missing in the log and the histograms: the log thread was behind")
        }
        return warnings
    }

    /// Whether the guard drops what the capture of the client side sees; asked until it has been seen to, or has been complained of.
    /// - Parameter drops: packets that it has dropped, by side; nil when it does not say.
    mutating func guardWarning(_ report: LoopReport, drops: () -> [UInt64]?) -> String? {
        let seen = report.snapshot.counters.framesIn.reduce(0, +)
        guard !guardIsSeenAtWork, seen >= Self.guardedFrames else { return nil }
        guardIsSeenAtWork = true
        guard let drops = drops() else { return "nft does not say what it has kept from the kernel" }
        guard drops.reduce(0, +) == 0 else { return nil }
        return
            "of \(seen) frames that came in nft has kept none from the kernel, which may reset our connections: is the interface a part of a bridge or bond? Then name that one"
    }

    /// So many frames must show whether it works.
    static let guardedFrames: UInt64 = 100

    private func warningsOfNextHops(_ side: Side, _ now: NextHopStatistics?, _ before: NextHopStatistics?) -> [String] {
        guard let now else { return [] }
        var warnings: [String] = []
        if now.failures > before?.failures ?? 0, let neighbour = now.lastFailure {
            warnings.append("\(neighbour) on the \(side) side does not answer ARP (\(now.failures) failures in all)")
        }
        let lost = NextHopStatistics.Drop.allCases.filter { now.dropped($0) > before?.dropped($0) ?? 0 }
        if !lost.isEmpty {
            let reasons = lost.map { "\($0.label): \(now.dropped($0))" }.joined(separator: ", ")
            warnings.append("packets of the \(side) side had no next hop (in all \(reasons))")
        }
        if now.routesLeftOut > before?.routesLeftOut ?? 0 {
            warnings.append("the \(side) side has \(now.routesLeftOut) routes more than are kept; the shortest prefixes are left out")
        }
        return warnings
    }
}
