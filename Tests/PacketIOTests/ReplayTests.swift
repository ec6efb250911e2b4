import Testing

@testable import DispatcherCore
@testable import PacketIO

struct ReplayTests {
    private func frame(_ milliseconds: Int64, _ bytes: [UInt8]) -> RecordedFrame {
        RecordedFrame(at: Instant(nanoseconds: milliseconds * 1_000_000), bytes: bytes)
    }

    @Test func framesAreMergedByTimeWithTheTimersBetween() {
        let journal = ScriptedEngine.Journal()
        var replay = Replay(
            engine: ScriptedEngine(journal, deadline: Instant(nanoseconds: 2_500_000)),
            client: [frame(1, TestFrames.frame(.client, payload: 1)), frame(3, TestFrames.frame(.client, payload: 3))],
            server: [frame(2, TestFrames.frame(.server, payload: 2)), frame(3, TestFrames.frame(.server, payload: 4))])
        replay.run()
        #expect(journal.all == ["client 55", "server 56", "timer", "client 57", "server 58"])
        #expect(replay.emissions.map(\.at.nanoseconds) == [1_000_000, 2_000_000, 2_500_000, 3_000_000, 3_000_000])
        #expect(replay.emissions.map(\.side) == [.server, .client, .client, .server, .client])
        #expect(replay.records.map(\.status) == [55, 56, 57, 58])
    }

    @Test func arpIsLeftOut() {
        let journal = ScriptedEngine.Journal()
        var replay = Replay(
            engine: ScriptedEngine(journal), client: [frame(1, TestFrames.arp(TestFrames.request(for: TestFrames.service.address)))],
            server: [])
        replay.run()
        #expect(journal.all == [])
    }

    @Test func timersAfterTheLastFrameFireWithinTheRest() {
        let journal = ScriptedEngine.Journal()
        var replay = Replay(
            engine: ScriptedEngine(journal, deadline: Instant(nanoseconds: 5_000_000_000), echoes: 0), client: [frame(1, [1])], server: [])
        replay.run(rest: .seconds(1))
        #expect(journal.all == ["client 1"])
        replay.run(rest: .seconds(10))
        #expect(journal.all == ["client 1", "client 1", "timer"])
    }

    @Test func commandsCanBeGiven() {
        let journal = ScriptedEngine.Journal()
        var replay = Replay(engine: ScriptedEngine(journal), client: [], server: [])
        replay.run()
        replay.apply(.stop, at: Instant(nanoseconds: 9))
        #expect(journal.all == ["stop"])
        #expect(replay.snapshot(at: Instant(nanoseconds: 9)).timers == 42)
    }
}
