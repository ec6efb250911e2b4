import PushProtocol
import Testing

@testable import PushStore

@Suite("Push: the store's time")
struct StoreClockTests {
    private let directory: TemporaryDirectory
    private let machine = TestMachine()

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func open() throws -> SQLiteStore {
        try SQLiteStore(directory: directory.path, machine: { [machine] in machine.time }, reserve: 0)
    }

    @Test("Processes of one boot agree, whatever was done to the clock between their starts", arguments: [-1, 1])
    func processes(direction: Int64) throws {
        let one = try open()
        #expect(one.now == machine.time.wall)
        machine.step(by: direction * 1000 * TestMachine.day)
        machine.pass(500)
        let two = try open()
        #expect(two.now == one.now)
        one.close()
        two.close()
    }

    @Test("After a boot the machine's clock counts again")
    func boot() async throws {
        let one = try open()
        let before = one.now
        one.close()
        machine.boot("second", wall: before + TestMachine.day)
        let two = try open()
        #expect(two.now == before + TestMachine.day)
        two.close()
    }

    @Test("A clock that comes up in 1970 does not turn the time back, nor do messages then live for years or die at once")
    func noClock() async throws {
        let one = try open()
        let device = DeviceID()
        let news = ApplicationPair.named("news")
        try await one.register(news, for: device)
        let early = try await one.post("before", to: news.appToken, accepted: one.now, ttl: 3600)
        machine.pass(120_000)
        _ = try await one.removeExpired(now: one.now)
        let noted = one.now
        one.close()
        machine.boot("second", wall: 7000)
        let two = try open()
        #expect(two.now == noted)
        let late = try await two.post("after", to: news.appToken, accepted: two.now, ttl: 3600)
        // NTP finds the right time.
        machine.step(by: noted)
        #expect(try await two.removeExpired(now: two.now).isEmpty)
        machine.pass(3_600_000 - 120_000)
        #expect(try await two.pendingSequences(device, now: two.now) == [late])
        machine.pass(120_000)
        #expect(try await two.pendingSequences(device, now: two.now).isEmpty)
        #expect(early < late)
        two.close()
    }

    @Test("This machine's time runs, and its boot has a name")
    func thisMachine() async throws {
        let before = MachineTime.now
        try await Task.sleep(for: .milliseconds(20))
        let after = MachineTime.now
        #expect(after.sinceBoot >= before.sinceBoot + 19)
        #expect(after.wall > 1_600_000_000_000)
        #expect(before.boot == after.boot && before.boot?.count == 36)
    }
}
