import Foundation
import Glibc
import Lab
import PushProtocol
import Testing

@Suite("Push: the trace of a message")
struct MessageTraceTests {
    private let id = "00000007000000000000002a"

    private func line(_ time: String, _ event: String, worker: String = "one", id: String? = nil) -> String {
        #"{"time":"2026-01-02T03:04:\#(time)Z","worker":"\#(worker)","event":"\#(event)","messageId":"\#(id ?? self.id)","device":"d"}"#
            + "\n"
    }

    @Test("Lines of all files, in order of time; at one time in the order of a message's life; others are left out")
    func order() {
        var trace = MessageTrace(messageID: id)
        trace.take(lines: (line("05.000002", "acknowledged", worker: "two") + line("05.000001", "sent", worker: "two")).utf8)
        trace.take(lines: (line("05.000001", "routed") + line("05.000001", "accepted") + line("04.000000", "accepted", id: "other")).utf8)
        #expect(trace.steps.map(\.event) == ["accepted", "routed", "sent", "acknowledged"])
        #expect(trace.lines == 5 && trace.badLines == 0)
        #expect(trace.textLines[0] == "2026-01-02T03:04:05.000001Z         0.000 ms  one  accepted          device d")
        #expect(trace.textLines[3] == "2026-01-02T03:04:05.000002Z         0.001 ms  two  acknowledged      device d")
        #expect(trace.jsonLines[2] + "\n" == line("05.000001", "sent", worker: "two"))
    }

    @Test("Lines that are none, or were cut off, are counted and left out; the identifier elsewhere in a line is no match")
    func bad() {
        var trace = MessageTrace(messageID: id)
        let other = #"{"time":"2026-01-02T03:04:05.000000Z","worker":"\#(id)","event":"sent","messageId":"x"}"# + "\n"
        trace.take(lines: ("what\n" + other + "{\(id)}\n" + line("05.000000", "sent").dropLast(10)).utf8)
        #expect(trace.steps.isEmpty)
        #expect(trace.badLines == 3 && trace.lines == 4)
    }

    @Test("The tool puts the logs of two worker processes together")
    func tool() async throws {
        let directory = try TemporaryDirectory()
        let logs = ["one", "two"].map { directory.path + "/\($0).log" }
        let workers = try logs.map { try WorkerExecutable(directory: directory, ["--message-log", $0]) }
        let device = try await PushDevice.connect(to: workers[0].userAgents)
        try await device.register(token: try await PushDevice.requestToken(from: workers[0].userAgents))
        let url = try ServerURL(try await device.registerApplication("w"))
        let sender = try await PushSender.connect(to: url, server: workers[1].applicationServers, key: TestKeys.one)
        #expect(try await sender.send("m", id: "i").status == 200)
        let notification = try await device.notification()
        device.acknowledge(notification.messageID)
        await device.close()
        // SIGUSR1 after the file was moved away.
        try await eventually { try String(contentsOfFile: logs[0], encoding: .utf8).contains("acknowledged") }
        try FileManager.default.moveItem(atPath: logs[0], toPath: logs[0] + ".1")
        workers[0].process.signal(SIGUSR1)
        try await eventually { FileManager.default.fileExists(atPath: logs[0]) }
        for worker in workers {
            worker.process.terminate()
            #expect(worker.process.wait() == 0)
        }

        let files = [logs[0], logs[0] + ".1", logs[1]]
        let result = try Executable("sluice", ["trace", notification.messageID.uppercased()] + files).result()
        #expect(result.code == 0, "\(result.errors)")
        let events = ["accepted", "routed", "sent", "acknowledged"]
        let lines = result.output.split(separator: "\n")
        #expect(lines.map { line in events.first { line.contains("  \($0)  ") } ?? "\(line)" } == events)
        #expect(Set(lines.compactMap { $0.split(separator: " ").dropFirst(3).first }).count == 2)
        let json = try Executable("sluice", ["trace", "--json", notification.messageID] + files).result()
        let objects = try json.output.split(separator: "\n").map { try JSONValue(parsing: Array($0.utf8)).object }
        #expect(objects.map { $0?["event"]?.text } == events)
    }

    @Test("Errors say what to do")
    func errors() throws {
        let directory = try TemporaryDirectory()
        func run(_ arguments: [String]) throws -> (code: Int32, output: String, errors: String) {
            try Executable("sluice", ["trace"] + arguments, in: directory.path).result()
        }
        #expect(try run(["xyz", "file"]).code == 2)
        #expect(try run([id]).code == 2)
        let missing = try run([id, "none.log"])
        #expect(missing.code == 1)
        #expect(missing.errors.contains("none.log"))
        try Data(line("05.000000", "sent", id: "other").utf8).write(to: URL(fileURLWithPath: directory.path + "/a.log"))
        let nothing = try run([id, "a.log"])
        #expect(nothing.code == 1)
        #expect(nothing.errors.contains("nothing about \(id) in 1 lines"))
    }
}
