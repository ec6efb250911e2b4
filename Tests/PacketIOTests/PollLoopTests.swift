import Foundation
import Synchronization
import Testing

@testable import DispatcherCore
@testable import PacketIO

struct PollLoopTests {
    private static let service = IPAddress("fd77:1::100")!
    private static let responder = ARPResponder(
        client: .init(hardwareAddress: TestFrames.ownHardware, addresses: [TestFrames.service.address, service]),
        server: .init(hardwareAddress: TestFrames.ownHardware, addresses: [TestFrames.source.address]))

    /// Runs a loop over two files until every frame was read, then hands out its last report.
    private func run(
        client: [[UInt8]], server: [[UInt8]]?, engine: consuming ScriptedEngine, journal: ScriptedEngine.Journal,
        before: [LoopMessage] = [], relay: RecordRelay = RecordRelay(capacity: 1_024), recorder: CaptureRecorder? = nil
    ) throws -> LoopReport {
        let directory = try TemporaryDirectory()
        let clientCapture = try Capture(file: TestFrames.file(client, in: directory, "client.pcap"))
        var serverCapture: Capture?
        if let server { serverCapture = try Capture(file: TestFrames.file(server, in: directory, "server.pcap")) }
        let mailbox = Mailbox()
        let last = Mutex(LoopReport())
        var loop = PollLoop(
            engine: engine, sink: NotingSink(journal), client: clientCapture, server: serverCapture, responder: Self.responder,
            mailbox: mailbox, records: relay, recorder: recorder)
        for message in before { mailbox.post(message) }
        let total = client.count + (server?.count ?? 0)
        // Each report asks for the next until all frames were seen; a file is always readable, so that turns follow each other.
        @Sendable func ask(_ left: Int) {
            mailbox.post(
                .report { report in
                    last.withLock { $0 = report }
                    if left == 0 { mailbox.post(.quit) } else { ask(left - 1) }
                })
        }
        ask(3 + total / 256)
        try loop.run()
        return last.withLock { $0 }
    }

    @Test func framesOfBothSidesReachTheEngineAndItsAnswersTheSink() throws {
        let journal = ScriptedEngine.Journal()
        let report = try run(
            client: [TestFrames.frame(.client, payload: 6)], server: [TestFrames.frame(.server, payload: 16)],
            engine: ScriptedEngine(journal), journal: journal)
        #expect(journal.all.sorted() == ["client 60", "sent client 110", "sent server 100", "server 70"])
        #expect(report.snapshot.timers == 42)
        #expect(report.transmits[0].packets == 2)
        #expect(!report.isDrained)
    }

    @Test func anAbortGoesOnUntilEverythingIsReset() throws {
        let journal = ScriptedEngine.Journal()
        var engine = ScriptedEngine(journal)
        engine.toReset = 4_000
        let report = try run(client: [], server: nil, engine: engine, journal: journal, before: [.command(.abort)])
        #expect(report.transmits[0].packets == 4_000)
    }

    @Test func aSharedInterfaceIsReadOnce() throws {
        let journal = ScriptedEngine.Journal()
        _ = try run(client: [TestFrames.frame(.client, payload: 6)], server: nil, engine: ScriptedEngine(journal), journal: journal)
        #expect(journal.all == ["client 60", "sent server 100"])
    }

    @Test func arpDoesNotReachTheEngine() throws {
        let journal = ScriptedEngine.Journal()
        let report = try run(
            client: [TestFrames.arp(TestFrames.request(for: TestFrames.service.address))], server: [], engine: ScriptedEngine(journal),
            journal: journal)
        #expect(journal.all == [])
        #expect(report.arp[0].requestsAnswered == 1)
    }

    @Test func neighbourDiscoveryDoesNotReachTheEngine() throws {
        let journal = ScriptedEngine.Journal()
        let client = IPAddress("fd77:1::11")!
        var frames = [
            NeighbourMessage.solicitation(for: Self.service, from: client, at: TestFrames.clientHardware),
            .solicitation(for: client, from: IPAddress("fd77:1::12")!, at: TestFrames.clientHardware),
            .announcement(of: Self.service, at: TestFrames.clientHardware),
        ].map(TestFrames.discovery)
        frames.append(frames[0])
        frames[3][21] = 64
        let report = try run(client: frames, server: [], engine: ScriptedEngine(journal), journal: journal)
        #expect(journal.all == [])
        #expect(report.ndp[0] == NDPResponder.Counters(solicitationsAnswered: 1, conflicts: 1, ignored: 1, malformed: 1))
        #expect(report.lastConflictOfNDP?.address == Self.service)
    }

    @Test func shortFramesAreTheEnginesToCount() throws {
        let journal = ScriptedEngine.Journal()
        _ = try run(client: [[1, 2, 3]], server: [], engine: ScriptedEngine(journal, echoes: 0), journal: journal)
        #expect(journal.all == ["client 3"])
    }

    @Test func aTurnTakes256FramesOfASide() throws {
        let journal = ScriptedEngine.Journal()
        let frames = (0..<600).map { _ in TestFrames.frame(.client, payload: 0) }
        let report = try run(client: frames, server: [], engine: ScriptedEngine(journal, echoes: 0), journal: journal)
        #expect(journal.all.count == 600)
        #expect(report.turns >= 3)
    }

    @Test func aFullEgressIsSentInsideATurn() throws {
        let journal = ScriptedEngine.Journal()
        let frames = (0..<40).map { _ in TestFrames.frame(.client, payload: 0) }
        let report = try run(client: frames, server: [], engine: ScriptedEngine(journal, echoes: 100), journal: journal)
        #expect(report.transmits[0].packets == 4_000)
        #expect(report.transmits[0].calls >= 4)
    }

    @Test func aDeadlineFires() throws {
        let journal = ScriptedEngine.Journal()
        _ = try run(
            client: [], server: [], engine: ScriptedEngine(journal, deadline: Instant(nanoseconds: 1)), journal: journal)
        #expect(journal.all == ["timer", "sent client 41"])
    }

    @Test func aDeadlineToComeIsWaitedFor() throws {
        let journal = ScriptedEngine.Journal()
        let mailbox = Mailbox()
        let start = MonotonicClock.now()
        let directory = try TemporaryDirectory()
        let path = try TestFrames.file([], in: directory, "a.pcap")
        let capture = try Capture(file: path)
        var loop = PollLoop(
            engine: ScriptedEngine(journal, deadline: start + .milliseconds(20)), sink: NotingSink(journal), client: capture, server: nil,
            responder: Self.responder, mailbox: mailbox, records: RecordRelay(capacity: 2))
        @Sendable func ask() {
            mailbox.post(.report { _ in if journal.all.isEmpty { ask() } else { mailbox.post(.quit) } })
        }
        ask()
        try loop.run()
        #expect(MonotonicClock.now() - start >= .milliseconds(20))
        #expect(journal.all == ["timer", "sent client 41"])
    }

    @Test func commandsReachTheEngineBeforeALaterReport() throws {
        let journal = ScriptedEngine.Journal()
        let report = try run(
            client: [], server: [], engine: ScriptedEngine(journal), journal: journal,
            before: [.command(.stop), .command(.setLimit(pool: 1, server: TestFrames.server, limit: 3))])
        #expect(journal.all == ["stop", "setLimit(pool: 1, server: \(TestFrames.server), limit: 3)"])
        #expect(report.isDrained)
    }

    @Test func anotherConfigurationReachesTheEngineAndItsAnswerTheOther() throws {
        let journal = ScriptedEngine.Journal()
        let answers = Mutex<[String]>([])
        var other = EngineConfiguration()
        other.pools = [PoolConfiguration(name: "web", servers: [])]
        let note: @Sendable (String?) -> Void = { answer in answers.withLock { $0.append(answer ?? "taken") } }
        _ = try run(
            client: [], server: [], engine: ScriptedEngine(journal), journal: journal,
            before: [.reconfigure(EngineConfiguration(), note), .reconfigure(other, note)])
        #expect(journal.all == ["reconfigure []", "reconfigure [\"web\"]", "sent server 42"])
        #expect(answers.withLock { $0 } == ["no pool", "taken"])
    }

    @Test func recordsComeOutOfTheRelay() throws {
        let journal = ScriptedEngine.Journal()
        let relay = RecordRelay(capacity: 1_024)
        _ = try run(
            client: [TestFrames.frame(.client, payload: 6), TestFrames.frame(.client, payload: 7)], server: [],
            engine: ScriptedEngine(journal), journal: journal, relay: relay)
        var statuses: [UInt16] = []
        relay.drain { statuses.append($0.status) }
        #expect(statuses == [60, 61])
    }

    @Test func aRunCanBeRecorded() throws {
        let journal = ScriptedEngine.Journal()
        let directory = try TemporaryDirectory()
        let frame = TestFrames.frame(.client, payload: 6)
        do {
            let recorder = try CaptureRecorder(directory: directory.path)
            _ = try run(client: [frame], server: [], engine: ScriptedEngine(journal), journal: journal, recorder: recorder)
        }
        var incoming = try CaptureFileReader(path: directory.path + "/" + CaptureRecorder.incomingName(.client))
        #expect(try incoming.readAll().map(\.bytes) == [frame])
        var outgoing = try CaptureFileReader(path: directory.path + "/" + CaptureRecorder.outgoingName(.server))
        #expect(try outgoing.readAll().map(\.bytes.count) == [14 + 40 + frame.count])
    }
}
