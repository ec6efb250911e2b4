import FuzzSupport
import Testing

/// Short runs of the fuzz targets: every committed input, then some changed ones, always the same. `scripts/fuzz` has the long runs.
@Suite("Fuzz") struct FuzzTests {
    @Test(arguments: zip(coreFuzzTargets.map(\.name), [200, 100, 200, 200]))
    func shortRun(name: String, runs: Int) throws {
        let target = try #require(coreFuzzTargets.first { $0.name == name })
        let faults = try target.runShortly(runs: runs)
        #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
    }
}
