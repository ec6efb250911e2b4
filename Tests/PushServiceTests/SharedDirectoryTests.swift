import Foundation
import Lab
import NIOCore
import PushProtocol
import PushService
import Testing

@Suite("Push: workers that share a data directory")
struct SharedDirectoryTests {
    /// Runs `body` with two workers on one directory, each with a bus of its own.
    private func withTwo(
        first: (inout WorkerConfiguration) -> Void = { _ in }, second: (inout WorkerConfiguration) -> Void = { _ in },
        _ body: (WorkerHarness, WorkerHarness) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        try await WorkerHarness.with(directory: directory, configure: first) { one in
            try await WorkerHarness.with(directory: directory, configure: second) { two in
                try await body(one, two)
            }
        }
    }

    /// The contract says 1 s; the limit here allows for a machine that is busy with other tests.
    @Test("A message taken by one worker reaches a device at the other soon, by the bus alone")
    func delivery() async throws {
        // The store is not read again during the test: what arrives came by a note.
        let slowReread: (inout WorkerConfiguration) -> Void = { $0.reread = .hours(1) }
        try await withTwo(first: slowReread, second: slowReread) { one, two in
            let (device, _) = try await two.device(token: one.token())
            let url = try await device.registerApplication("w")
            for index in 0..<20 {
                let start = NIODeadline.now()
                let messageID = try await one.push("\(index)", to: url)
                let notification = try await device.notification()
                #expect(NIODeadline.now() - start < .seconds(4))
                #expect(notification.message == "\(index)" && notification.messageID == messageID)
            }
        }
    }

    @Test("Without any monitor the store is read again after a while, so a lost note costs delay only")
    func reread() async throws {
        let noMonitor: (inout WorkerConfiguration) -> Void = {
            $0.roles = [.uaWS, .applicationServers]
            $0.reread = .milliseconds(200)
        }
        try await withTwo(first: noMonitor, second: noMonitor) { one, two in
            let (device, _) = try await two.device()
            let url = try await device.registerApplication("w")
            try await one.push("late", to: url)
            try await one.push("for now", to: url, ttl: 0)
            #expect(try await device.notification().message == "late")
            #expect(try await device.notification().message == "for now")
        }
    }

    @Test("Each role by itself: devices here, application servers there, the monitor in a third")
    func roles() async throws {
        let directory = try TemporaryDirectory()
        try await WorkerHarness.with(
            directory: directory,
            configure: {
                $0.roles = [.monitor]
                $0.reread = .hours(1)
            }
        ) { monitor in
            #expect(monitor.worker.userAgentPort == nil && monitor.worker.applicationServerPort == nil)
            try await WorkerHarness.with(
                directory: directory,
                configure: {
                    $0.roles = [.uaWS]
                    $0.reread = .hours(1)
                }
            ) { userAgents in
                try await WorkerHarness.with(directory: directory, configure: { $0.roles = [.applicationServers] }) { applicationServers in
                    let (device, _) = try await userAgents.device()
                    let url = try await device.registerApplication("w")
                    try await applicationServers.push("hello", to: url)
                    #expect(try await device.notification().message == "hello")
                }
            }
        }
    }

    @Test("A connection at one worker replaces that at the other")
    func replaced() async throws {
        try await withTwo { one, two in
            let (first, token) = try await one.device()
            let url = try await first.registerApplication("w")
            let (second, _) = try await two.device(token: token)
            try await first.expectClose(4001)
            try await one.push("to the new", to: url)
            #expect(try await second.notification().message == "to the new")
            let (third, _) = try await one.device(token: token)
            try await second.expectClose(4001)
            #expect(try await third.notification().message == "to the new")
        }
    }

    @Test("Acknowledged, then closed: the other worker has nothing for the device", arguments: [true, false])
    func acknowledgedThenClosed(withHandshake: Bool) async throws {
        // What is acknowledged would not be written by itself during the test.
        try await withTwo(first: { $0.acknowledgementDelay = .hours(1) }) { one, two in
            let (first, token) = try await one.device()
            let url = try await first.registerApplication("w")
            for round in 0..<5 {
                let (device, _) = try await one.device(token: token)
                try await two.push("\(round)", to: url)
                let notification = try await device.notification()
                #expect(notification.message == "\(round)")
                device.acknowledge(notification.messageID)
                if withHandshake {
                    // What follows the acknowledgement is done too before the close frame is answered.
                    let application: JSONValue = ["watoken": .text("\(round)"), "pbkbase64": .text(TestKeys.two.pbkbase64)]
                    device.send(["messageType": "registerWA", "data": application])
                    await device.close()
                    #expect(try await two.pending(token) == 0)
                } else {
                    try await device.expectQuiet()
                    await device.socket.drop()
                    try await eventually { try await two.pending(token) == 0 }
                }
            }
            let (other, _) = try await two.device(token: token)
            #expect(try await other.ask(#"{"messageType":"getRegisteredWA"}"#)["urls"]?.array?.count == (withHandshake ? 6 : 1))
        }
    }

    @Test("The order of a device is that of acceptance, whichever worker took the message")
    func order() async throws {
        try await withTwo { one, two in
            let (device, _) = try await two.device()
            let url = try await device.registerApplication("w")
            let senders = [try await one.sender(url), try await two.sender(url)]
            for index in 0..<30 { #expect(try await senders[index % 2].send("\(index)", id: "i").status == 200) }
            for index in 0..<30 {
                let notification = try await device.notification()
                #expect(notification.message == "\(index)")
                device.acknowledge(notification.messageID)
            }
        }
    }

    @Test("Messages and registrations survive the workers")
    func restart() async throws {
        let directory = try TemporaryDirectory()
        var (token, url) = ("", "")
        try await WorkerHarness.with(directory: directory) { harness in
            let device = try await harness.device()
            token = device.token
            url = try await device.device.registerApplication("w")
            await device.device.close()
            try await harness.push("kept", to: url)
        }
        try await WorkerHarness.with(directory: directory) { harness in
            let (device, _) = try await harness.device(token: token)
            #expect(try await device.notification().message == "kept")
            try await harness.push("more", to: url)
            #expect(try await device.notification().message == "more")
        }
    }

    @Test("Draining: status 503, posts 503 with Retry-After, sockets closed with 1012, no new sockets, acknowledgements written")
    func drain() async throws {
        let directory = try TemporaryDirectory()
        let harness = try await WorkerHarness.start(directory: directory) { $0.drain = .seconds(12) }
        let (device, token) = try await harness.device()
        let url = try await device.registerApplication("w")
        try await harness.push("one", to: url)
        device.acknowledge(try await device.notification().messageID)
        try await device.expectQuiet()
        let stopping = Task { await harness.worker.stop() }
        try await device.expectClose(1012)
        for front in WorkerHarness.Front.allCases {
            let status = try await harness.request("GET", "/status", front: front)
            #expect(status.status == 503 && status.text == "Draining")
        }
        let refused = try await harness.request("POST", ServerURL(url).path, front: .applicationServers, body: Array("{}".utf8))
        #expect(refused.status == 503)
        #expect(refused.headers.first(name: "Retry-After") == "1")
        #expect(try JSONValue(parsing: refused.body) == ["status": "ERROR", "reason": "Try again later"])
        await #expect(throws: LabError.self) { try await harness.connect() }
        await stopping.value
        try await WorkerHarness.with(directory: directory) { harness in
            let (again, _) = try await harness.device(token: token)
            try await again.expectQuiet()
        }
    }
}
