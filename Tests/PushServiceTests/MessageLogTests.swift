import Foundation
import Glibc
import Lab
import Logging
import NIOCore
import PushProtocol
import PushStore
import Testing

@testable import PushService

@Suite("Push: the message log")
struct MessageLogTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/messages.log" }

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func lines(_ path: String? = nil) throws -> [JSONObject] {
        try String(contentsOfFile: path ?? self.path, encoding: .utf8).split(separator: "\n").map {
            try #require(JSONValue(parsing: Array($0.utf8)).object)
        }
    }

    private func open(_ path: String? = nil, counters: WorkerCounters = WorkerCounters()) throws -> MessageLog {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return try MessageLog(path: path ?? self.path, worker: WorkerName(), store: 7, counters: counters, logger: logger)
    }

    private func events(_ messageID: String) throws -> [String] {
        var trace = MessageTrace(messageID: messageID)
        try trace.read(path)
        #expect(trace.badLines == 0)
        return trace.steps.map(\.event)
    }

    @Test("A message's life: accepted, routed, sent, sent again, acknowledged, with worker, device and application")
    func life() async throws {
        let path = path
        var messageID = ""
        var (worker, application) = ("", "")
        try await WorkerHarness.with(configure: {
            $0.messageLog = path
            $0.redelivery = .milliseconds(100)
        }) { harness in
            worker = harness.worker.name
            let (device, _) = try await harness.device()
            let url = try await device.registerApplication("w")
            application = String(url.split(separator: "/").last?.prefix(12) ?? "")
            messageID = try await harness.push("m", to: url)
            _ = try await device.notification()
            device.acknowledge(try await device.notification().messageID)
            try await eventually { harness.worker.counters[.acknowledged] == 1 }
            await device.close()
        }
        // On a busy machine it is sent again more than once.
        let events = try events(messageID).reduce(into: [String]()) { if $0.last != $1 { $0.append($1) } }
        #expect(events == ["accepted", "routed", "sent", "sent-again", "acknowledged"])
        let lines = try lines()
        #expect(lines.allSatisfy { $0["worker"]?.text == worker })
        #expect(lines[0]["application"]?.text == application && lines[2]["application"]?.text == application)
        #expect(lines[0]["took"]?.text?.hasSuffix(" ms") == true)
        #expect(lines[1]["to"]?.text == worker && lines[1]["devices"]?.integer == 1)
        #expect(lines[2]["device"]?.text?.utf8.count == 8)
        #expect(Set(lines[2...].map { $0["device"]?.text }).count == 1)
        #expect(lines.map { $0["time"]?.text ?? "" } == lines.map { $0["time"]?.text ?? "" }.sorted())
        let mode = try #require(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int)
        #expect(mode & 0o007 == 0)
    }

    @Test("Refused, nobody there, sent on request, expired")
    func otherSteps() async throws {
        let path = path
        var ids: [String: String] = [:]
        try await WorkerHarness.with(configure: {
            $0.messageLog = path
            $0.expiry = .milliseconds(100)
        }) { harness in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("w")
            ids["transient"] = try await harness.push("m", to: url, ttl: 0)
            _ = try await device.notification()
            let stranger = try await harness.sender(url, key: TestKeys.two)
            #expect(try await stranger.send("m", id: "i").status == 403)
            await stranger.close()
            await device.close()
            try await eventually { harness.worker.context.sockets.counts.open == 0 }
            ids["polled"] = try await harness.push("m", to: url)
            #expect(try await harness.pending(token) == 1)
            ids["late"] = try await harness.push("m", to: url, ttl: 1)
            try await eventually { harness.worker.counters[.messagesExpired] == 1 }
        }
        #expect(try events(ids["polled"]!) == ["accepted", "routed", "sent-on-request"])
        #expect(try events(ids["late"]!) == ["accepted", "routed", "expired"])
        #expect(try events(ids["transient"]!) == ["accepted", "routed", "sent"])
        let lines = try lines()
        #expect(lines.contains { $0["event"] == "refused" && $0["reason"] == "Bad signature, dropping notification" })
        #expect(lines.contains { $0["messageId"]?.text == ids["polled"] && $0["devices"] == 0 && $0["reason"] != nil })
    }

    @Test("Every message of a burst is routed in the log, though their notes are joined")
    func burst() async throws {
        let path = path
        var ids: [String] = []
        try await WorkerHarness.with(configure: { $0.messageLog = path }) { harness in
            let (device, _) = try await harness.device()
            let url = try await device.registerApplication("w")
            ids = try await withThrowingTaskGroup(of: String.self) { group in
                for number in 0..<40 { group.addTask { try await harness.push("\(number)", to: url) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            for _ in ids { device.acknowledge(try await device.notification().messageID) }
            try await eventually { harness.worker.counters[.acknowledged] == 40 }
            await device.close()
        }
        for id in ids {
            // One may be sent because of the note of the one before.
            let events = try events(id).filter { $0 != "routed" }
            #expect(events == ["accepted", "sent", "acknowledged"])
            #expect(try self.events(id).count == 4)
        }
    }

    @Test("Moved away and opened again: nothing is lost")
    func reopened() async throws {
        let log = try open()
        log.add(MessageStep(event: .accepted, sequence: 1))
        try await eventually { try lines().count == 1 }
        try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
        log.add(MessageStep(event: .accepted, sequence: 2))
        try await eventually { try lines(path + ".1").count == 2 }
        log.reopen()
        log.add(MessageStep(event: .accepted, sequence: 3))
        log.close()
        #expect(try lines(path + ".1").map { $0["messageId"]?.text?.last } == ["1", "2"])
        #expect(try lines().map { $0["messageId"]?.text } == ["000000070000000000000003"])
    }

    @Test("What cannot be written is counted, and so is what comes after the end")
    func lost() throws {
        let counters = WorkerCounters()
        let log = try open("/dev/full", counters: counters)
        for sequence in 1...5 { log.add(MessageStep(event: .accepted, sequence: Int64(sequence))) }
        log.close()
        #expect(counters[.messageLogLinesLost] == 5)
        log.add(MessageStep(event: .accepted, sequence: 6))
        #expect(counters[.messageLogLinesLost] == 6)
    }

    @Test("More than may wait: the newest are lost and counted, who adds does not wait")
    func bounded() throws {
        // A pipe that nobody reads holds the thread up when it is full.
        #expect(mkfifo(path, 0o600) == 0)
        let reader = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        let counters = WorkerCounters()
        let log = try open(counters: counters)
        let count = 2 * MessageLog.waitingLimit + 100_000
        for sequence in 0..<count { log.add(MessageStep(event: .accepted, sequence: Int64(sequence))) }
        // One batch is being written, one waits; a pipe takes some hundred lines.
        #expect(counters[.messageLogLinesLost] >= 99_000)
        // The end of the reader lets the thread go on: its writes fail.
        signal(SIGPIPE, SIG_IGN)
        Glibc.close(reader)
        log.close()
        #expect(counters[.messageLogLinesLost] <= count)
    }

    @Test("A file that takes no more holds the end up for a bounded time; what waits is counted as lost")
    func heldUp() throws {
        #expect(mkfifo(path, 0o600) == 0)
        let reader = Glibc.open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        defer { Glibc.close(reader) }
        let counters = WorkerCounters()
        let log = try open(counters: counters)
        for sequence in 0..<10_000 { log.add(MessageStep(event: .accepted, sequence: Int64(sequence))) }
        // The thread has taken them and stands before the full pipe.
        usleep(500_000)
        while counters[.messageLogLinesLost] == 0 { log.add(MessageStep(event: .accepted, sequence: 1)) }
        let before = counters[.messageLogLinesLost]
        let start = ContinuousClock.now
        log.close()
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(counters[.messageLogLinesLost] == before + MessageLog.waitingLimit)
    }

    @Test("A file that cannot be opened, or a pipe that nobody reads, is said at the start")
    func cannotOpen() async throws {
        #expect(mkfifo(path, 0o600) == 0)
        for path in [directory.path + "/none/messages.log", path] {
            let error = await #expect(throws: WorkerError.self) { try await WorkerHarness.start(configure: { $0.messageLog = path }) }
            #expect(error?.description.contains(path) == true)
        }
    }

    @Test("Times", arguments: [(0, "1970-01-01T00:00:00.000000Z"), (1_700_000_000_000_042, "2023-11-14T22:13:20.000042Z")])
    func times(microseconds: Int, text: String) {
        #expect(MessageStep.text(microseconds: Int64(microseconds)) == text)
    }
}
