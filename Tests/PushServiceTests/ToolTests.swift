import Foundation
import Lab
import PushProtocol
import Testing

/// These run the built tool against a worker in this process.
@Suite("Push: the tool", .serialized)
struct ToolTests {
    private func json(_ line: String?) throws -> JSONObject {
        let line = try #require(line)
        return try #require(try JSONValue(parsing: Array(line.utf8)).object)
    }

    /// A worker whose public URLs lead to its own front.
    private func withWorker(_ body: (WorkerHarness, _ server: String) async throws -> Void) async throws {
        try await WorkerHarness.with { harness in
            try await body(harness, "http://127.0.0.1:\(try #require(harness.worker.userAgentPort))")
        }
    }

    /// The URL that `listen` printed, at the worker's real port.
    private func reachable(_ url: String, _ harness: WorkerHarness) throws -> String {
        url.replacing(WorkerHarness.publicURL, with: "http://127.0.0.1:\(try #require(harness.worker.applicationServerPort))")
    }

    @Test("keys new writes a private key for the owner and a public key, and overwrites nothing")
    func keys() throws {
        let directory = try TemporaryDirectory()
        let first = try Executable("sluice", ["keys", "new", "--out", "k.pem"], in: directory.path).result()
        #expect(first.code == 0)
        #expect(first.output.contains("k.pem.pub"))
        let path = directory.path + "/k.pem"
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        let key = try RSAPrivateKey(pem: String(contentsOfFile: path, encoding: .utf8))
        #expect(try String(contentsOfFile: path + ".pub", encoding: .utf8) == key.publicPEM)
        let second = try Executable("sluice", ["keys", "new", "--out", "k.pem"], in: directory.path).result()
        #expect(second.code == 1)
        #expect(second.errors.contains("exists already"))
        #expect(try Executable("sluice", ["keys", "new", "--bits", "1024"], in: directory.path).result().code == 2)
    }

    @Test("listen and push: a message goes through, then the device is away, comes back and gets the rest")
    func listenAndPush() async throws {
        let directory = try TemporaryDirectory()
        #expect(try Executable("sluice", ["keys", "new"], in: directory.path).result().code == 0)
        try await withWorker { harness, server in
            let listen = ["listen", "--server", server, "--json", "--token-file", "token"]
            let listener = try Executable("sluice", listen + ["--count", "1"], in: directory.path)
            let registered = try json(listener.outputLine())
            #expect(registered["event"] == "registered")
            let url = try reachable(try #require(registered["url"]?.text), harness)

            func push(_ message: String, _ more: [String] = []) throws -> (code: Int32, output: String, errors: String) {
                let arguments = ["push", "--url", url, "--key", "sluice-key.pem", "--message", message]
                return try Executable("sluice", arguments + more, in: directory.path).result()
            }
            let pushed = try push("hello", ["--id", "7", "--ttl", "60"])
            #expect(pushed.code == 0)
            #expect(try json(pushed.output)["status"] == "ACCEPTED")
            let message = try json(listener.outputLine())
            #expect(message["event"] == "message" && message["message"] == "hello" && message["id"] == "7")
            #expect(listener.result().code == 0)

            #expect(try push("while away").code == 0)
            let back = try Executable("sluice", listen + ["--count", "1"], in: directory.path)
            #expect(try json(back.outputLine())["url"] == registered["url"])
            #expect(try json(back.outputLine())["message"] == "while away")
            #expect(back.result().code == 0)

            // For people.
            let plain = try Executable(
                "sluice", ["listen", "--server", server, "--token-file", "token", "--count", "1"], in: directory.path)
            #expect(plain.outputLine() == "registered: \(registered["url"]?.text ?? "")")
            #expect(try push("for people", ["--id", "8"]).code == 0)
            #expect(plain.outputLine() == "message 8: for people")
            #expect(plain.result().code == 0)

            let stranger = try Executable("sluice", ["keys", "new", "--out", "other.pem"], in: directory.path).result()
            #expect(stranger.code == 0)
            let refused = try Executable(
                "sluice", ["push", "--url", url, "--key", "other.pem", "--message", "m"], in: directory.path
            ).result()
            #expect(refused.code == 1)
            #expect(refused.errors.contains("Bad signature"))
        }
    }

    @Test("listen comes back after the connection dropped, and ends when another takes over")
    func reconnects() async throws {
        let directory = try TemporaryDirectory()
        #expect(try Executable("sluice", ["keys", "new"], in: directory.path).result().code == 0)
        let data = try TemporaryDirectory()
        let first = try await WorkerHarness.start(directory: data)
        let port = try #require(first.worker.userAgentPort)
        let listener = try Executable(
            "sluice", ["listen", "--server", "http://127.0.0.1:\(port)", "--json", "--token-file", "token"], in: directory.path)
        #expect(try json(listener.outputLine())["event"] == "registered")
        await first.worker.stop()
        #expect(try json(listener.outputLine())["event"] == "disconnected")
        try await WorkerHarness.with(directory: data, configure: { $0.userAgentPort = port }) { harness in
            var event = try json(listener.outputLine())["event"]
            while event == "disconnected" { event = try json(listener.outputLine())["event"] }
            #expect(event == "reconnected")
            let token = try String(contentsOfFile: directory.path + "/token", encoding: .utf8).trimmingCharacters(in: .newlines)
            let (device, _) = try await harness.device(token: token)
            let result = listener.result()
            #expect(result.code == 1)
            #expect(result.errors.contains("taken over"))
            await device.close()
        }
    }

    @Test("Errors say what to do")
    func errors() throws {
        let directory = try TemporaryDirectory()
        func run(_ arguments: [String]) throws -> (code: Int32, output: String, errors: String) {
            try Executable("sluice", arguments, in: directory.path).result()
        }
        let noKey = try run(["push", "--url", "http://127.0.0.1:9/notify/x", "--key", "none.pem", "--message", "m"])
        #expect(noKey.code == 1)
        #expect(noKey.errors.contains("sluice keys new"))
        #expect(try run(["push", "--url", "http://x"]).code == 2)
        #expect(try run(["dance"]).code == 2)
        #expect(try run(["listen", "--server", "http://127.0.0.1:9", "--count", "0"]).code == 2)
        #expect(try run(["--help"]).code == 0)
        #expect(try run(["keys", "new"]).code == 0)
        let ftp = try run(["listen", "--server", "ftp://127.0.0.1:9"])
        #expect(ftp.code == 1)
        #expect(ftp.errors.contains("only http://, https://"))
        let noAuthority = try run(["listen", "--server", "https://127.0.0.1:9", "--ca", "none.pem"])
        #expect(noAuthority.code == 1)
        #expect(noAuthority.errors.contains("none.pem"))
        #expect(try run(["listen", "--server", "https://127.0.0.1:9", "--ca", "none.pem", "--insecure"]).code == 2)
        let nobody = try run(["listen", "--server", "http://127.0.0.1:9"])
        #expect(nobody.code == 1)
        #expect(nobody.errors.contains("127.0.0.1 port 9"))
    }
}
