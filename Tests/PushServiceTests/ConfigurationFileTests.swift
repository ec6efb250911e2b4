import Foundation
import Lab
import PushProtocol
import Testing

/// These run the built worker with `--check`.
@Suite("Push: the worker's options and configuration file", .serialized)
struct ConfigurationFileTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/worker.yaml" }

    init() throws {
        directory = try TemporaryDirectory()
    }

    private func check(_ yaml: String, _ more: [String] = []) throws -> (code: Int32, output: String, errors: String) {
        try Data(yaml.utf8).write(to: URL(fileURLWithPath: path))
        return try Executable("sluice-worker", ["--config", path, "--check"] + more).result()
    }

    private let good = """
        # A comment.
        data: /var/lib/sluice
        public-url: https://push.example.org
        listen: 0.0.0.0
        ua-port: 8000
        roles: ua-ws,as
        trusted-proxy: [10.0.0.0/8, "fd00::/8"]
        token-rate: 20/40
        ping: off
        token-lifetime: 90d
        tls-port: 8443
        tls-certificate: c.pem
        tls-key: k.pem
        admin-listen: "[::1]:9910"
        drain-rate: 500/s
        log-level: debug

        """

    @Test("All kinds of values are taken; nothing is said")
    func takes() throws {
        let result = try check(good)
        #expect(result.code == 0, "\(result.errors)")
        #expect(result.errors.isEmpty && result.output.isEmpty)
        #expect(try check(good, ["--ua-port", "9000"]).code == 0)
        // A file without options leaves them to the command line.
        #expect(try check("# nothing\n", ["--data", "d", "--public-url", "http://x"]).code == 0)
        #expect(try check("").code != 0)
    }

    @Test(
        "What is wrong is said with the line",
        arguments: [
            ("ua-prot: 1", "17: unknown key: ua-prot"), ("config: x", "17: unknown key: config"), ("check: true", "17: unknown key: check"),
            ("as-port: 70000", "17: --as-port 70000: must be in 0...65535"), ("as-port: many", "17: "),
            ("as-port: [1]", "17: as-port: this"),
            ("as-port: { a: 1 }", "17: as-port: this must be a single value"), ("as-port:", "17: as-port: the value is missing"),
            ("as-port: ~", "17: as-port: the value is missing"), ("notify-rate: null", "17: notify-rate: the value is missing"),
            ("notify-rate: -1/1", "17: --notify-rate -1/1"), ("drain-time: 99999", "17: --drain-time"), ("? [a]\n: b", "17: unknown key"),
            ("message-log: \"\"", "17: message-log: the value is missing"), ("a: [", "18: this is not YAML"),
            ("listen: \"::\"", "given twice: listen"),
        ])
    func lines(added: String, problem: String) throws {
        let result = try check(good + added + "\n")
        #expect(result.code == 2)
        #expect(result.errors.contains("\(path):"))
        #expect(result.errors.contains(problem), "\(result.errors)")
        if added.hasPrefix("as-port: many") { #expect(result.errors.contains("many") && result.errors.contains("--as-port")) }
    }

    @Test("All unknown keys are said at once")
    func several() throws {
        let result = try check("one: 1\ndata: d\ntwo: 2\n")
        #expect(result.errors.contains("\(path):1: unknown key: one"))
        #expect(result.errors.contains("\(path):3: unknown key: two"))
    }

    @Test("Options count more than the file: also a bad value there is not looked at")
    func optionsWin() throws {
        let bad = good.replacing("listen: 0.0.0.0", with: "listen: nowhere").replacing("[10.0.0.0/8, \"fd00::/8\"]", with: "x")
        let refused = try check(bad)
        #expect(refused.code == 2)
        #expect(refused.errors.contains("\(path):4: --listen nowhere"), "\(refused.errors)")
        let both = try check(bad, ["--listen", "127.0.0.1"])
        #expect(both.errors.contains("\(path):7: --trusted-proxy x"), "\(both.errors)")
        #expect(try check(bad, ["--listen=127.0.0.1", "--trusted-proxy", "10.0.0.0/8"]).code == 0)
        // What is wrong with the command line is not put down to the file.
        let own = try check(good, ["--ua-port", "70000"])
        #expect(own.code == 2)
        #expect(!own.errors.contains(path))
    }

    @Test("A worker runs by its file")
    func runs() async throws {
        let text = "data: \(directory.path)/data\npublic-url: http://push.test\nua-port: 0\nas-port: 0\nadmin-listen: 127.0.0.1:0\n"
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        let worker = try Executable("sluice-worker", ["--config=\(path)", "--drain-time", "0"])
        let line = try #require(worker.errorLine())
        let port = try #require(line.firstRange(of: "admin on port ").map { line[$0.upperBound...].prefix { $0.isNumber } })
        let connection = try await HTTPClientConnection.connect(to: try ServerURL("http://127.0.0.1:\(port)"))
        #expect(try await connection.request(.GET, path: "/status").text == "OK")
        await connection.close()
        worker.terminate()
        #expect(worker.wait() == 0)
    }

    @Test("A file that cannot be read: 1")
    func unreadable() throws {
        let result = try Executable("sluice-worker", ["--config", directory.path + "/none.yaml", "--check"]).result()
        #expect(result.code == 1)
        #expect(result.errors.contains("none.yaml"))
    }

    @Test(
        "Options that do not go together, or are out of range",
        arguments: [
            ["--tls-port", "8443"], ["--tls-port", "8443", "--tls-certificate", "c"], ["--tls-key", "k"],
            ["--tls-port", "70000", "--tls-certificate", "c", "--tls-key", "k"],
            ["--tls-port", "8443", "--tls-certificate", "c", "--tls-key", "k", "--roles", "monitor"], ["--admin-listen", "9910"],
            ["--admin-listen", "localhost:9910"], ["--admin-listen", "::1:9910"], ["--admin-listen", "[127.0.0.1]:9910"],
            ["--admin-listen", "127.0.0.1:70000"], ["--drain-rate", "fast"], ["--drain-rate", "-1"], ["--drain-rate", "1/m"],
            ["--drain-time", "-1"], ["--drain-time", "3601"],
        ])
    func bad(arguments: [String]) throws {
        let result = try Executable("sluice-worker", ["--data", "d", "--public-url", "http://x", "--check"] + arguments).result()
        #expect(result.code == 2, "\(arguments)")
        #expect(result.errors.contains(arguments[0]), "\(result.errors)")
    }

    @Test("the programs say their version", arguments: ["sluice-worker", "sluice", "sluice-dispatcher"])
    func version(program: String) throws {
        let result = try Executable(program, ["--version"]).result()
        #expect(result.code == 0 && result.output == "\(Version.text)\n" && result.errors.isEmpty)
    }

    @Test("docs/worker.md has every option, as --help says it")
    func documented() throws {
        let help = try Executable("sluice-worker", ["--help"]).result().output
        // Options begin with two spaces; what is further in belongs to the one before.
        var options: [String] = []
        for line in help.split(separator: "\n") {
            if line.hasPrefix("  -") {
                options.append(line.trimmingCharacters(in: .whitespaces))
            } else if line.hasPrefix("     "), !options.isEmpty {
                options[options.count - 1] += " " + line.trimmingCharacters(in: .whitespaces)
            }
        }
        let words = options.filter { !$0.hasPrefix("-h") && !$0.hasPrefix("--version") }.map {
            $0.split(separator: " ").joined(separator: " ")
        }
        #expect(words.count > 15)
        let documented = try Document.rows("docs/worker.md", beginning: "`--").map { cells in
            cells[0].replacing("`", with: "") + " " + cells[1]
        }
        #expect(documented == words)
    }
}
