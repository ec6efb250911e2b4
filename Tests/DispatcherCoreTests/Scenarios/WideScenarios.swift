import DispatcherCore
import Glibc
import Synchronization
import Testing

@Suite("M. Wide runs")
struct WideScenarios {
    /// With `SLUICE_UNTIL_FAILURE` set, what is left after the first failure is not run: `scripts/soak --mutants` asks for no more.
    private static let endsAtFailure = getenv("SLUICE_UNTIL_FAILURE") != nil
    private static let hasFailed = Atomic(false)

    @Test("M01 every client gets exactly its bytes, and nothing is left behind", arguments: SimulationSeed.many(1_000))
    func m01(seed: UInt64) {
        if Self.endsAtFailure, Self.hasFailed.load(ordering: .relaxed) { return }
        let run = WideRun(seed: seed)
        run.finish()
        if !run.world.simulation.violations.isEmpty { Self.hasFailed.store(true, ordering: .relaxed) }
    }

    @Test("M09 the same seed gives a byte-identical capture, another seed another")
    func m09() {
        func capture(_ seed: UInt64) -> CaptureFile {
            let run = WideRun(seed: seed, keepsCapture: true)
            run.finish()
            return run.world.dispatcher.capture
        }
        for seed: UInt64 in [21, 22] {
            let first = capture(seed)
            #expect(first.count > 1_000)
            #expect(first.bytes == capture(seed).bytes)
            #expect(first.digest != capture(seed + 100).digest)
        }
    }
}
