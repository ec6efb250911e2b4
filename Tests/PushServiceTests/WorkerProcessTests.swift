import Foundation
import Lab
import PushProtocol
import Synchronization
import Testing

/// These run the built executables.
@Suite("Push: the worker as a process", .serialized)
struct WorkerProcessTests {
    /// Counts what several tasks do.
    private final class Progress: Sendable {
        let accepted = Atomic<Int>(0)
    }

    @Test("SIGKILL at any instant loses no accepted message", arguments: [1, 333])
    func killed(count: Int) async throws {
        let directory = try TemporaryDirectory()
        let worker = try WorkerExecutable(directory: directory)
        let token = try await PushDevice.requestToken(from: worker.userAgents)
        let device = try await PushDevice.connect(to: worker.userAgents)
        try await device.register(token: token)
        let url = try ServerURL(try await device.registerApplication("w"))
        await device.close()

        // Several senders at once; each remembers what was accepted.
        let server = try worker.applicationServers
        let progress = Progress()
        let senders = (0..<8).map { number in
            Task {
                var accepted: [String] = []
                guard let sender = try? await PushSender.connect(to: url, server: server, key: TestKeys.one) else { return accepted }
                for index in 0..<100_000 {
                    guard let answer = try? await sender.send("\(number)-\(index)", id: "i"), answer.status == 200 else { break }
                    accepted.append("\(number)-\(index)")
                    progress.accepted.add(1, ordering: .relaxed)
                }
                return accepted
            }
        }
        try await eventually { progress.accepted.load(ordering: .relaxed) >= count }
        worker.process.kill()
        var accepted: Set<String> = []
        for sender in senders { accepted.formUnion(await sender.value) }
        #expect(accepted.count >= count)

        let again = try WorkerExecutable(directory: directory)
        let back = try await PushDevice.connect(to: again.userAgents)
        try await back.register(token: token)
        var received: Set<String> = []
        while received.intersection(accepted).count < accepted.count,
            case .notification(let notification)? = try await back.next(seconds: 5)
        {
            back.acknowledge(notification.messageID)
            #expect(received.insert(notification.message).inserted)
        }
        #expect(received.isSuperset(of: accepted))
        // At most what each sender had under way was stored without an answer.
        #expect(received.count <= accepted.count + 8)
        again.process.terminate()
        #expect(again.process.wait() == 0)
    }

    @Test("Out of descriptors: devices wait, POST and the operator are answered, and it goes on by itself")
    func outOfDescriptors() async throws {
        let worker = try WorkerExecutable(
            directory: try TemporaryDirectory(), ["--admin-listen", "127.0.0.1:0", "--token-rate", "0"], descriptors: 256)
        let device = try await PushDevice.connect(to: worker.userAgents)
        try await device.register(token: try await PushDevice.requestToken(from: worker.userAgents))
        let url = try ServerURL(try await device.registerApplication("w"))
        var waiting = try (0..<300).map { _ in try RawConnection(port: worker.userAgentPort) }
        #expect(worker.process.errorLine()?.contains("no connection of devices is accepted: few descriptors are left") == true)

        for text in ["one", "two"] {
            let sender = try await PushSender.connect(to: url, server: worker.applicationServers, key: TestKeys.one)
            #expect(try await sender.send(text, id: "i").status == 200)
            await sender.close()
            let notification = try await device.notification()
            #expect(notification.message == text)
            device.acknowledge(notification.messageID)
        }
        let admin = try await HTTPClientConnection.connect(to: ServerURL("http://127.0.0.1:\(try #require(worker.adminPort))"))
        let page = try await admin.request(.GET, path: "/metrics").text
        #expect(page.contains("sluice_worker_accepting_stopped_total 1\n"))
        #expect(try await admin.request(.GET, path: "/status").text == "OK")
        await admin.close()

        waiting = []
        #expect(worker.process.errorLine()?.contains("connections of devices are accepted again") == true)
        let other = try await PushDevice.connect(to: worker.userAgents)
        try await other.register(token: try await PushDevice.requestToken(from: worker.userAgents))
        try await device.expectQuiet()
        worker.process.terminate()
        #expect(worker.process.wait() == 0)
        #expect(waiting.isEmpty)
    }

    @Test("A worker that is killed holds up no other: writes go on, and its devices' messages wait")
    func oneOfTwoKilled() async throws {
        let directory = try TemporaryDirectory()
        let one = try WorkerExecutable(directory: directory)
        let two = try WorkerExecutable(directory: directory)
        let token = try await PushDevice.requestToken(from: one.userAgents)
        let device = try await PushDevice.connect(to: one.userAgents)
        try await device.register(token: token)
        let url = try ServerURL(try await device.registerApplication("w"))
        let sender = try await PushSender.connect(to: url, server: two.applicationServers, key: TestKeys.one)
        #expect(try await sender.send("before", id: "i").status == 200)
        device.acknowledge(try await device.notification().messageID)
        try await device.expectQuiet()
        try await Task.sleep(for: .milliseconds(300))
        one.process.kill()
        #expect(try await sender.send("after", id: "i").status == 200)
        let back = try await PushDevice.connect(to: two.userAgents)
        try await back.register(token: token)
        #expect(try await back.notification().message == "after")
        two.process.terminate()
        #expect(two.process.wait() == 0)
    }

    @Test("SIGTERM: sockets are closed with 1012, the process ends with 0")
    func terminated() async throws {
        let directory = try TemporaryDirectory()
        let worker = try WorkerExecutable(directory: directory)
        let device = try await PushDevice.connect(to: worker.userAgents)
        try await device.register(token: try await PushDevice.requestToken(from: worker.userAgents))
        let start = ContinuousClock.now
        worker.process.terminate()
        try await device.expectClose(1012)
        let connection = try await HTTPClientConnection.connect(to: worker.userAgents)
        let status = try await connection.request(.GET, path: "/status")
        #expect(status.status == 503 && status.text == "Draining")
        #expect(worker.process.wait() == 0)
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    @Test("Exit codes: 0 for help, 2 for usage, 1 when it fails, 3 when it is not permitted")
    func exitCodes() throws {
        let directory = try TemporaryDirectory()
        let good = ["--data", directory.path, "--public-url", "http://push.test", "--ua-port", "0", "--as-port", "0"]
        #expect(try Executable("sluice-worker", ["--help"]).result().code == 0)
        let usage: [[String]] = [
            [], ["--data", directory.path], good + ["--nonsense"], good + ["--roles", "as,dance"], good + ["--listen", "localhost"],
            good + ["--ua-port", "70000"], good + ["--trusted-proxy", "10.0.0.1/8"], good + ["--token-rate", "10"], good + ["--ping", "0"],
            good + ["--token-lifetime", "soon"], good + ["--device-retention", "180"],
            good + ["--device-retention", "0d"], good + ["--public-url", "ftp://x"], good + ["--log-level", "loud"],
        ]
        for arguments in usage { #expect(try Executable("sluice-worker", arguments).result().code == 2, "\(arguments)") }
        for (arguments, error) in [
            (good + ["--roles", "ua-ws,wakeup"], "--wakeup-network"), (["--roles", "wakeup"], "--wakeup-network"),
            (["--roles", "wakeup", "--wakeup-network", "10.0.0.1/8"], "--wakeup-network 10.0.0.1/8"),
            (good + ["--operators", "/nonexistent"], "--operators /nonexistent"), (["--data", directory.path], "--public-url"),
            (["--roles", "monitor"], "--data"),
        ] {
            let result = try Executable("sluice-worker", arguments).result()
            #expect(result.code == 2 && result.errors.contains(error), "\(arguments): \(result.errors)")
        }
        let file = directory.path + "/file"
        #expect(FileManager.default.createFile(atPath: file, contents: nil))
        let failed = try Executable("sluice-worker", ["--data", file, "--public-url", "http://push.test"]).result()
        #expect(failed.code == 1)
        #expect(failed.errors.contains(file))
        let keys = directory.path + "/keys"
        #expect(
            FileManager.default.createFile(atPath: keys, contents: Data(TokenKeys().fileText.utf8), attributes: [.posixPermissions: 0o644]))
        let refused = try Executable("sluice-worker", good + ["--token-keys", keys]).result()
        #expect(refused.code == 3)
        #expect(refused.errors.contains("chmod 600"))
    }

    @Test("A taken port: 1, with the port in the text")
    func portTaken() throws {
        let directory = try TemporaryDirectory()
        let worker = try WorkerExecutable(directory: directory)
        let second = try Executable(
            "sluice-worker",
            ["--data", directory.path, "--public-url", "http://push.test", "--ua-port", "\(worker.userAgentPort)", "--as-port", "0"]
        ).result()
        #expect(second.code == 1)
        #expect(second.errors.contains("\(worker.userAgentPort)"))
    }
}
