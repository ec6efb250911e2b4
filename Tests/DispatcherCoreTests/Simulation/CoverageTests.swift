import DispatcherCore
import Testing

@Suite("Simulator: the coverage table")
struct CoverageTests {
    @Test("every counter has a row, and every excuse belongs to one")
    func rows() {
        let snapshot = World().dispatcher.snapshot
        let names = (Coverage.rows(of: snapshot.counters) + Coverage.rows(of: snapshot, [])).map(\.name)
        #expect(Set(names).count == names.count)
        #expect(!names.contains { $0.contains("not known here") }, "\(names)")
        for reason in DropReason.allCases { #expect(names.contains("dropped \(reason.label)")) }
        for reason in RefusalReason.allCases { #expect(names.contains("refused \(reason.label)")) }
        for kind in EmissionKind.allCases { #expect(names.contains("retransmitted \(kind)")) }
        #expect(Set(Coverage.exempt.keys).union(Coverage.forbidden).isSubset(of: names))
    }

    @Test("a network that comes to its end gives its counts")
    func counts() {
        let world = World()
        world.client([world.exchange()])
        world.finish()
        let rows = Coverage.rows(of: world.dispatcher.snapshot.counters)
        #expect(rows.first { $0.name == "emitted request" }?.count == 1)
        #expect(rows.first { $0.name == "framesIn client" }.map { $0.count > 3 } == true)
    }
}
