import Foundation
import Lab
import Logging
import PushProtocol
import PushService
import Testing

/// A directory that is removed in the end.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/sluice-worker-" + Hex.encode(Randomness.bytes(6))
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// Keys are made once: that takes longer than most tests.
enum TestKeys {
    static let one = try! RSAPrivateKey.generate(bits: 2048)
    static let two = try! RSAPrivateKey.generate(bits: 2048)
}

/// A worker on loopback with free ports and a directory, its own or a shared one.
struct WorkerHarness {
    static let publicURL = "http://push.test"

    let directory: TemporaryDirectory
    let worker: PushWorker

    /// Runs `body` with a worker, and stops it.
    static func with(
        directory: TemporaryDirectory? = nil, configure: (inout WorkerConfiguration) -> Void = { _ in },
        _ body: (WorkerHarness) async throws -> Void
    ) async throws {
        let harness = try await start(directory: directory, configure: configure)
        do {
            try await body(harness)
        } catch {
            await harness.worker.stop()
            throw error
        }
        await harness.worker.stop()
    }

    static func start(
        directory: TemporaryDirectory? = nil, configure: (inout WorkerConfiguration) -> Void = { _ in }
    ) async throws -> WorkerHarness {
        let directory = try directory ?? TemporaryDirectory()
        var configuration = WorkerConfiguration(dataDirectory: directory.path, publicURL: publicURL)
        configuration.userAgentPort = 0
        configuration.applicationServerPort = 0
        configuration.tokenRate = nil
        configuration.drain = .milliseconds(0)
        configuration.eventLoops = 1
        configure(&configuration)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return WorkerHarness(directory: directory, worker: try await PushWorker.start(configuration, logger: logger))
    }

    var userAgents: ServerURL {
        get throws { try ServerURL("http://127.0.0.1:\(try #require(worker.userAgentPort))") }
    }

    var applicationServers: ServerURL {
        get throws { try ServerURL("http://127.0.0.1:\(try #require(worker.applicationServerPort))") }
    }

    // MARK: Devices

    func token() async throws -> String {
        try await PushDevice.requestToken(from: userAgents)
    }

    /// A connected device that has not registered.
    func connect() async throws -> PushDevice {
        try await PushDevice.connect(to: userAgents)
    }

    /// A registered device with its token.
    func device(token given: String? = nil) async throws -> (device: PushDevice, token: String) {
        let token = if let given { given } else { try await token() }
        let device = try await connect()
        try await device.register(token: token)
        return (device, token)
    }

    /// How many messages a device would get now; asked on a connection of its own.
    func pending(_ token: String) async throws -> Int? {
        let device = try await connect()
        let all = try await device.ask(#"{"messageType":"getAllMessages","data":{"uatoken":"\#(token)"}}"#)
        await device.close()
        return all["messages"]?.array?.count
    }

    // MARK: Application servers

    /// An application server for a public URL.
    func sender(_ url: String, key: RSAPrivateKey = TestKeys.one) async throws -> PushSender {
        try await PushSender.connect(to: ServerURL(url), server: applicationServers, key: key)
    }

    /// Posts one message and expects that it is accepted; returns its messageId.
    @discardableResult
    func push(
        _ message: String, to url: String, ttl: JSONValue? = nil, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> String {
        let sender = try await sender(url)
        let answer = try await sender.send(message, id: "id", ttl: ttl)
        await sender.close()
        #expect(answer.status == 200, "\(answer.text)", sourceLocation: sourceLocation)
        let object = try #require(JSONValue(parsing: answer.body).object, sourceLocation: sourceLocation)
        #expect(object["status"] == "ACCEPTED", sourceLocation: sourceLocation)
        return try #require(object["messageId"]?.text, sourceLocation: sourceLocation)
    }

    /// One request on a connection of its own.
    func request(
        _ method: String, _ path: String, front: Front = .userAgents, headers: [(String, String)] = [], body: [UInt8]? = nil
    ) async throws -> HTTPClientAnswer {
        let connection = try await HTTPClientConnection.connect(to: front == .userAgents ? userAgents : applicationServers)
        let answer = try await connection.request(.init(rawValue: method), path: path, headers: .init(headers), body: body)
        await connection.close()
        return answer
    }

    enum Front: CaseIterable {
        case userAgents, applicationServers
    }
}

extension PushDevice {
    /// Registers an application with the first test key; returns its URL.
    func registerApplication(_ watoken: String) async throws -> String {
        try await registerApplication(watoken: watoken, pbkbase64: TestKeys.one.pbkbase64)
    }

    /// Sends a text and returns the answer.
    func ask(_ text: String, sourceLocation: SourceLocation = #_sourceLocation) async throws -> JSONObject {
        socket.send(text)
        let event = try await next()
        guard case .answer(let object)? = event else {
            Issue.record("expected an answer, got \(String(describing: event))", sourceLocation: sourceLocation)
            return JSONObject()
        }
        return object
    }

    /// The next notification.
    func notification(sourceLocation: SourceLocation = #_sourceLocation) async throws -> Notification {
        let event = try await next()
        guard case .notification(let notification)? = event else {
            Issue.record("expected a notification, got \(String(describing: event))", sourceLocation: sourceLocation)
            throw LabError("no notification")
        }
        return notification
    }

    /// Expects that the server closes with `code`, after nothing else.
    func expectClose(_ code: UInt16, sourceLocation: SourceLocation = #_sourceLocation) async throws {
        let event = try await next()
        #expect(event == .closed(code), sourceLocation: sourceLocation)
    }

    /// Expects that the socket is open and nothing is on its way: the next thing is the answer to a PING.
    func expectQuiet(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        socket.send("PING")
        let event = try await socket.next(seconds: 10)
        #expect(event == .text("PONG"), sourceLocation: sourceLocation)
    }
}

/// Waits until `condition` holds, for 10 s at most.
func eventually(_ condition: () async throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    for _ in 0..<1000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("the condition did not become true within 10 s", sourceLocation: sourceLocation)
}
