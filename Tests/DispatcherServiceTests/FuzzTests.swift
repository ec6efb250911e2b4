import FuzzSupport
import Testing

@Suite("Fuzz") struct FuzzTests {
    @Test func configuration() throws {
        let faults = try ConfigurationFuzz.target.runShortly(runs: 200)
        #expect(faults.isEmpty, "\(faults.joined(separator: "\n"))")
    }
}
