import Glibc
import Lab
import PushProtocol
import Testing

@testable import PushService

@Suite("Push: draining")
struct DrainTests {
    @Test("The pace: so many a second, the first step at once; without a rate all")
    func pace() {
        let pace = DrainPace(rate: 1000)
        #expect(pace.due(after: 0, of: 5000) == 20)
        #expect(pace.due(after: 1, of: 5000) == 1020)
        #expect(pace.due(after: 10, of: 5000) == 5000)
        #expect(DrainPace(rate: 0.5).due(after: 1, of: 5) == 0)
        #expect(DrainPace(rate: 0.5).due(after: 2, of: 5) == 1)
        #expect(DrainPace(rate: nil).due(after: 0, of: 5) == 5)
        #expect(DrainPace(rate: 1e9).due(after: 1e9, of: 5) == 5)
    }

    @Test("WebSockets are closed at the rate, and the worker waits for the last")
    func paced() async throws {
        let harness = try await WorkerHarness.start(configure: { $0.drainRate = 20 })
        var devices: [PushDevice] = []
        for _ in 0..<12 { devices.append(try await harness.device().device) }
        let start = ContinuousClock.now
        let stopping = Task { await harness.worker.stop() }
        let ends = try await withThrowingTaskGroup(of: Duration.self) { group in
            for device in devices {
                group.addTask {
                    try await device.expectClose(1012)
                    return ContinuousClock.now - start
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }.sorted()
        }
        await stopping.value
        #expect(harness.worker.counters[.socketsClosedDraining] == 12)
        // 12 at 20 a second: the last no earlier than after 0.55 s, and half of them not before 0.25 s.
        #expect(ends[11] >= .milliseconds(500))
        #expect(ends[6] >= .milliseconds(250))
        #expect(ends[11] - ends[0] >= .milliseconds(250))
    }

    @Test("A request whose head has come is answered, though the worker no longer listens")
    func underWay() async throws {
        let harness = try await WorkerHarness.start()
        let (device, _) = try await harness.device()
        let path = try ServerURL(try await device.registerApplication("w")).path
        let body = JSONValue.object(PushSender.body(message: "late", id: "i", key: TestKeys.one)).bytes
        let port = try #require(harness.worker.applicationServerPort)
        let connection = try RawConnection(port: port)
        connection.send("POST \(path) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.count)\r\n\r\n")
        try await eventually { harness.worker.context.requestsUnderWay.value == 1 }
        let stopping = Task { await harness.worker.stop() }
        try await device.expectClose(1012)
        try await eventually { (try? RawConnection(port: port)) == nil }
        connection.send(body)
        #expect(connection.read(until: "}").hasPrefix("HTTP/1.1 200 OK\r\n"))
        await stopping.value
        #expect(harness.worker.counters[.notifiesAccepted] == 1)
    }

    @Test("A request that does not end holds the worker up for a bounded time")
    func stalled() async throws {
        let harness = try await WorkerHarness.start(configure: { $0.drainRequests = .milliseconds(300) })
        let connection = try RawConnection(port: try #require(harness.worker.userAgentPort))
        connection.send("POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        try await eventually { harness.worker.context.requestsUnderWay.value == 1 }
        let start = ContinuousClock.now
        await harness.worker.stop()
        #expect((.milliseconds(300)...(.seconds(5))).contains(ContinuousClock.now - start))
        #expect(connection.readToEnd() == "")
    }

    @Test("Requests under way are counted back whatever becomes of them")
    func counted() async throws {
        try await WorkerHarness.with { harness in
            let gauge = harness.worker.context.requestsUnderWay
            let port = try #require(harness.worker.userAgentPort)
            for text in [
                "GET /status HTTP/1.1\r\nHost: x\r\n\r\n", "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n",
                "what\r\n\r\n", "GET /status HTTP/1.1\r\n\r\n", "FOO /token HTTP/1.1\r\n\r\n", "FOO",
                "GET /status HTTP/1.1\r\nHost: x\r\n\r\nGET /status HTTP/1.1\r\nHost: x\r\n\r\n",
                "POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab",
            ] {
                let connection = try RawConnection(port: port)
                connection.send(text)
            }
            await (try harness.device()).device.close()
            try await eventually { harness.worker.context.connections[.userAgents].open == 0 }
            #expect(gauge.value == 0)
            #expect(harness.worker.context.connections[.userAgents].all == 10)
        }
    }

    @Test("A second SIGTERM ends the process at once")
    func secondSignal() async throws {
        let worker = try WorkerExecutable(directory: try TemporaryDirectory(), ["--drain-time", "600"])
        let device = try await PushDevice.connect(to: worker.userAgents)
        try await device.register(token: try await PushDevice.requestToken(from: worker.userAgents))
        worker.process.terminate()
        try await device.expectClose(1012)
        let start = ContinuousClock.now
        worker.process.terminate()
        #expect(worker.process.wait() == 0)
        #expect(ContinuousClock.now - start < .seconds(10))
    }
}
