import Lab
import Logging
import PushProtocol
import Synchronization
import Testing

@testable import PushService
@testable import PushStore

@Suite("Push: what goes by itself")
struct RetentionTests {
    /// Milliseconds by which the machine's time is ahead of ours.
    private final class Ahead: Sendable {
        let time = Atomic<Int64>(0)
    }

    @Test("The monitor forgets devices that were not connected for long; a connected one is noted and stays")
    func unseen() async throws {
        let directory = try TemporaryDirectory()
        var configuration = WorkerConfiguration(dataDirectory: directory.path, publicURL: WorkerHarness.publicURL)
        (configuration.userAgentPort, configuration.applicationServerPort) = (0, 0)
        configuration.drain = .milliseconds(0)
        configuration.eventLoops = 1
        configuration.deviceRetention = 3
        configuration.expiry = .milliseconds(300)
        configuration.connectedNote = .milliseconds(20)
        let ahead = Ahead()
        let machine: @Sendable () -> MachineTime = {
            var time = MachineTime.now
            time.sinceBoot += ahead.time.load(ordering: .relaxed)
            return time
        }
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let worker = try await PushWorker.start(
            configuration, logger: logger, store: SQLiteStore(directory: directory.path, machine: machine, reserve: 0),
            bus: InProcessBus(hub: InProcessBus.Hub(), roles: [.monitor]), tokenKeys: TokenKeys())
        let harness = WorkerHarness(directory: directory, worker: worker)
        do {
            let (gone, goneToken) = try await harness.device()
            let url = try await gone.registerApplication("w")
            let (here, hereToken) = try await harness.device()
            #expect(try await here.registerApplication("w") == url)
            await gone.close()
            for _ in 0..<10 {
                // A day passes; the one that is connected is noted many times.
                ahead.time.add(86_400_000, ordering: .relaxed)
                try await Task.sleep(for: .milliseconds(150))
            }
            try await eventually { worker.counters[.devicesUnseen] >= 1 }
            try await harness.push("who is here?", to: url)
            #expect(try await here.notification().message == "who is here?")
            #expect(try await harness.pending(hereToken) == 1)
            #expect(try await harness.pending(goneToken) == 0)
            #expect(worker.counters[.devicesUnseen] == 1)
        } catch {
            await worker.stop()
            throw error
        }
        await worker.stop()
    }
}
