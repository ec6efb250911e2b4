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

    // MARK: The real engine

    private var configuration: EngineConfiguration {
        var configuration = EngineConfiguration()
        configuration.sourceAddresses = [TestFrames.source.address]
        configuration.pools = [PoolConfiguration(name: "web", servers: [ServerConfiguration(endpoint: TestFrames.server)])]
        configuration.services = [
            ServiceConfiguration(name: "files", listen: [TestFrames.service], routes: [RouteConfiguration(pool: 0)])
        ]
        return configuration
    }

    /// A segment from the client to the service.
    private func segment(_ flags: TCPFlags, sequence: UInt32, acknowledgement: UInt32, payload: String = "") -> [UInt8] {
        var egress = Egress()
        let outgoing = OutgoingSegment(
            side: .server, source: TestFrames.client, destination: TestFrames.service, sequence: SequenceNumber(sequence),
            acknowledgement: SequenceNumber(acknowledgement), flags: flags, window: 60_000, segmentSize: 1_460)
        let fits = Array(payload.utf8).withUnsafeBytes { egress.append(outgoing, payload: $0) }
        precondition(fits)
        return TestFrames.ethernet(type: 0x0800) + Array(egress.bytes(of: egress[0]))
    }

    private func replay(_ frames: [RecordedFrame]) -> [Replay<L73Dispatcher>.Emission] {
        var replay = Replay(engine: L73Dispatcher(configuration: configuration, seed: 77), client: frames, server: [])
        replay.run(rest: .milliseconds(1))
        return replay.emissions
    }

    @Test func theDispatcherAnswersARecordedHandshakeTheSameEachTime() throws {
        let syn = frame(5_000, segment(.syn, sequence: 100, acknowledgement: 0))
        let answer = try #require(replay([syn]).first)
        #expect(answer.side == .client)
        #expect(answer.bytes[33] == TCPFlags([.syn, .ack]).rawValue)
        // Its cookie follows from the seed, so that the rest of the recording fits.
        let cookie = answer.bytes[24..<28].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let request = frame(
            5_001,
            segment([.ack, .psh], sequence: 101, acknowledgement: cookie &+ 1, payload: "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
        let emissions = replay([syn, request])
        #expect(emissions.contains { $0.side == .server && $0.bytes[33] == TCPFlags.syn.rawValue })
        #expect(emissions == replay([syn, request]))
    }
}
