import Foundation
import Lab
import NIOCore
import PushProtocol
import Testing

@testable import PushService

@Suite("Push: TLS")
struct TLSTests {
    /// A worker with TLS, and the URL of its TLS port.
    private func withWorker(
        configure: (inout WorkerConfiguration) -> Void = { _ in }, _ body: (WorkerHarness, TestCertificate, ServerURL) async throws -> Void
    ) async throws {
        let files = try TestCertificate()
        try await WorkerHarness.with(configure: {
            $0.tls = TLSFiles(port: 0, certificate: files.certificate, key: files.key)
            configure(&$0)
        }) { harness in
            try await body(harness, files, try ServerURL("https://localhost:\(try #require(harness.worker.tlsPort))"))
        }
    }

    /// One request in TLS on a connection of its own.
    private func get(_ path: String, _ url: ServerURL, _ trust: ServerTrust, headers: [(String, String)] = []) async throws
        -> HTTPClientAnswer
    {
        let connection = try await HTTPClientConnection.connect(to: url, trust: trust)
        let answer = try await connection.request(.GET, path: path, headers: .init(headers))
        await connection.close()
        return answer
    }

    @Test("A push over HTTPS and WSS: every path of both fronts on one port")
    func push() async throws {
        try await withWorker { harness, files, url in
            let token = try await PushDevice.requestToken(from: url, trust: files.trust)
            let device = try await PushDevice.connect(to: url, trust: files.trust)
            try await device.register(token: token)
            let application = try ServerURL(try await device.registerApplication("w"))
            let sender = try await PushSender.connect(to: application, server: url, trust: files.trust, key: TestKeys.one)
            // Longer than one record of TLS.
            let long = String(repeating: "x", count: 4000)
            for message in ["hello", long] {
                #expect(try await sender.send(message, id: "i").status == 200)
                let notification = try await device.notification()
                #expect(notification.message == message)
                device.acknowledge(notification.messageID)
            }
            await sender.close()
            #expect(try await get("/status", url, files.trust).text == "OK")
            #expect(try await get("/notify/x", url, files.trust).status == 404)
            #expect(try await get("/other", url, files.trust).status == 404)
            await device.close()
            #expect(harness.worker.counters[.tlsHandshakes] == 6)
            #expect(harness.worker.counters[.tlsErrors] == 0)
            #expect(harness.worker.counters[.httpErrors] == 0)
        }
    }

    @Test("A worker with one role serves only its paths", arguments: [WorkerRole.uaWS, .applicationServers])
    func oneRole(role: WorkerRole) async throws {
        try await withWorker(configure: { $0.roles = [role] }) { _, files, url in
            #expect(try await get("/token", url, files.trust).status == (role == .uaWS ? 200 : 404))
            let answer = try await get("/notify/" + String(repeating: "0", count: 64), url, files.trust)
            #expect(answer.status == (role == .uaWS ? 404 : 405))
        }
    }

    @Test("The client is the peer: nobody can have written X-Forwarded-For in between")
    func forwardedFor() async throws {
        try await withWorker(configure: {
            $0.tokenRate = RateLimit(rate: 0.001, burst: 1)
            $0.trustedProxies = [IPNetwork("127.0.0.0/8")!]
        }) { harness, files, url in
            for (number, status) in [(1, 200), (2, 200)] {
                let answer = try await harness.request("GET", "/token", headers: [("X-Forwarded-For", "192.0.2.\(number)")])
                #expect(answer.status == status)
            }
            for (number, status) in [(3, 200), (4, 429)] {
                #expect(try await get("/token", url, files.trust, headers: [("X-Forwarded-For", "192.0.2.\(number)")]).status == status)
            }
        }
    }

    @Test("TLS 1.2 and 1.3 with HTTP/1.1 by ALPN")
    func versions() async throws {
        try await withWorker { _, files, url in
            for (option, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
                let output = try TestCertificate.openssl([
                    "s_client", "-connect", "localhost:\(url.port)", "-CAfile", files.certificate, "-verify_return_error", option, "-alpn",
                    "h2,http/1.1",
                ])
                #expect(output.contains("New, \(name)"), "\(output)")
                #expect(output.contains("ALPN protocol: http/1.1"), "\(output)")
            }
        }
    }

    @Test("Failed handshakes are counted by reason")
    func failures() async throws {
        try await withWorker(configure: { $0.tlsHandshake = .milliseconds(300) }) { harness, files, url in
            let counters = harness.worker.counters
            // A client that does not trust the certificate.
            let untrusted = await #expect(throws: LabError.self) { try await HTTPClientConnection.connect(to: url) }
            #expect(untrusted?.description.contains("--ca") == true, "\(String(describing: untrusted))")
            try await eventually { counters[.tlsFailedAlert] == 1 }
            // One that the certificate is not for is told so by itself, after the handshake.
            let other = try ServerURL("https://127.0.0.2:\(url.port)")
            await #expect(throws: LabError.self) { try await HTTPClientConnection.connect(to: other, trust: files.trust) }

            let plain = try RawConnection(port: url.port)
            plain.send("GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
            _ = plain.readToEnd()
            try await eventually { counters[.tlsFailedNotTLS] == 1 }

            let old = try Executable(
                "/usr/bin/openssl", ["s_client", "-connect", "localhost:\(url.port)", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]
            ).result()
            #expect(old.code != 0)
            try await eventually { counters[.tlsFailedVersion] == 1 }

            let cipher = try Executable(
                "/usr/bin/openssl", ["s_client", "-connect", "localhost:\(url.port)", "-tls1_2", "-cipher", "DHE-RSA-AES256-SHA256"]
            ).result()
            #expect(cipher.code != 0)
            try await eventually { counters[.tlsFailedCipher] == 1 }

            let silent = try RawConnection(port: url.port)
            #expect(silent.readToEnd() == "")
            try await eventually { counters[.tlsFailedTimeout] == 1 }

            do {
                let gone = try RawConnection(port: url.port)
                gone.send([0x16, 0x03, 0x01])
            }
            try await eventually { counters[.tlsFailedClosed] == 1 }
            #expect(counters[.httpErrors] == 0)
        }
    }

    @Test("SIGHUP: new connections get the new certificate, open ones go on; a pair that does not fit is refused and the old stays")
    func reload() async throws {
        let other = try TestCertificate()
        try await withWorker { harness, files, url in
            let (counters, old) = (harness.worker.counters, try TestCertificate())
            try old.replace(certificate: files.certificate)
            let token = try await PushDevice.requestToken(from: url, trust: files.trust)
            let device = try await PushDevice.connect(to: url, trust: files.trust)
            try await device.register(token: token)

            try files.replace(certificate: other.certificate)
            harness.worker.reload()
            #expect(counters[.certificateRefused] == 1)
            #expect(try await get("/status", url, old.trust).status == 200)

            try files.replace(key: other.key)
            harness.worker.reload()
            #expect(counters[.certificateReloaded] == 1)
            #expect(try await get("/status", url, other.trust).status == 200)
            await #expect(throws: LabError.self) { try await get("/status", url, old.trust) }
            try await device.expectQuiet()
            #expect(counters[.tokenKeysReloaded] == 2)
        }
    }

    @Test("SIGHUP: token keys are read again; a bad file is refused and the old keys stay")
    func reloadTokenKeys() async throws {
        try await WorkerHarness.with { harness in
            let path = harness.directory.path + "/token-keys"
            let old = try String(contentsOfFile: path, encoding: .utf8)
            let token = try await harness.token()
            func put(_ text: String) throws {
                try Data(text.utf8).write(to: URL(fileURLWithPath: path))
                harness.worker.reload()
            }
            try put("what")
            #expect(harness.worker.counters[.tokenKeysRefused] == 1)
            await (try harness.device(token: token)).device.close()
            // Rotated: the old key still verifies, then no more.
            let fresh = TokenKeys().fileText
            try put(fresh + old)
            await (try harness.device(token: token)).device.close()
            let newer = try await harness.token()
            try put(fresh)
            await #expect(throws: LabError.self) { try await harness.device(token: token) }
            await (try harness.device(token: newer)).device.close()
        }
    }

    @Test("Draining closes WebSockets in TLS with 1012")
    func drain() async throws {
        let files = try TestCertificate()
        let harness = try await WorkerHarness.start(configure: {
            $0.tls = TLSFiles(port: 0, certificate: files.certificate, key: files.key)
        })
        let url = try ServerURL("wss://localhost:\(try #require(harness.worker.tlsPort))")
        let device = try await PushDevice.connect(to: url, trust: files.trust)
        try await device.register(token: try await harness.token())
        await harness.worker.stop()
        try await device.expectClose(1012)
    }

    @Test("Files that are no good: what is wrong with which")
    func badFiles() async throws {
        let (files, other) = (try TestCertificate(), try TestCertificate())
        let missing = files.directory.path + "/none.pem"
        for (pair, words) in [
            (TLSFiles(port: 0, certificate: missing, key: files.key), "certificate file \(missing)"),
            (TLSFiles(port: 0, certificate: files.certificate, key: missing), "key file \(missing)"),
            (TLSFiles(port: 0, certificate: files.key, key: files.key), "no certificate in PEM"),
            (TLSFiles(port: 0, certificate: files.certificate, key: files.certificate), "no private key in PEM"),
            (TLSFiles(port: 0, certificate: files.certificate, key: other.key), "cannot be used with"),
        ] {
            let error = await #expect(throws: WorkerError.self) { try await WorkerHarness.start(configure: { $0.tls = pair }) }
            #expect(error?.description.contains(words) == true, "\(String(describing: error))")
        }
    }

    @Test("The tool listens and pushes by https, with --ca, and with --insecure")
    func tool() async throws {
        let directory = try TemporaryDirectory()
        #expect(try Executable("sluice", ["keys", "new"], in: directory.path).result().code == 0)
        try await withWorker { harness, files, url in
            func listen(_ more: [String]) throws -> Executable {
                try Executable("sluice", ["listen", "--server", "https://\(url.authority)", "--count", "1"] + more, in: directory.path)
            }
            let refused = try listen([]).result()
            #expect(refused.code == 1)
            #expect(refused.errors.contains("not trusted"))
            for trust in [["--ca", files.certificate], ["--insecure"]] {
                let listener = try listen(trust)
                let line = try #require(listener.outputLine())
                let path = try #require(line.firstRange(of: WorkerHarness.publicURL).map { line[$0.upperBound...] })
                let pushed = try Executable(
                    "sluice", ["push", "--url", "https://\(url.authority)\(path)", "--key", "sluice-key.pem", "--message", "m"] + trust,
                    in: directory.path
                ).result()
                #expect(pushed.code == 0, "\(pushed.errors)")
                #expect(listener.outputLine()?.hasSuffix(": m") == true)
                #expect(listener.result().code == 0)
            }
        }
    }
}
