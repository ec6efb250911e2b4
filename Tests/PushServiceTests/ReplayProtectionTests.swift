import Lab
import PushProtocol
import PushService
import Testing

@Suite("Push: replay protection")
struct ReplayProtectionTests {
    /// The body of a post with a signature in the given form.
    private func body(_ message: String, id: JSONValue, sign: ([UInt8]) -> String = Hex.encode) -> [UInt8] {
        let signature = sign(TestKeys.one.sign(Array(message.utf8)))
        let content: JSONValue = ["messageType": "notification", "id": "", "message": .text(message), "signature": .text(signature)]
        var object = content.object!
        object["id"] = id
        return JSONValue.object(object).bytes
    }

    private func post(_ harness: WorkerHarness, _ url: String, _ body: [UInt8]) async throws -> String {
        let path = String(url.dropFirst(WorkerHarness.publicURL.count))
        let answer = try await harness.request("POST", path, front: .applicationServers, body: body)
        #expect(answer.status == 200)
        return try #require(JSONValue(parsing: answer.body).object?["messageId"]?.text)
    }

    @Test("On: the same id and signature, in whatever form, are one message, also through another worker")
    func once() async throws {
        try await WorkerHarness.with(configure: { $0.replayProtection = true }) { one in
            try await WorkerHarness.with(directory: one.directory, configure: { $0.replayProtection = true }) { two in
                let (device, token) = try await one.device()
                let url = try await device.registerApplication("w")
                let first = try await post(one, url, body("hello", id: "1"))
                #expect(try await device.notification().messageID == first)
                #expect(try await post(one, url, body("hello", id: "1")) == first)
                #expect(try await post(two, url, body("hello", id: "1")) == first)
                #expect(try await post(two, url, body("hello", id: "1") { Hex.encode($0).uppercased() }) == first)
                #expect(try await post(one, url, body("hello", id: "1") { Base64.encode($0) }) == first)
                try await device.expectQuiet()
                #expect(one.worker.counters[.notifiesReplayed] == 2 && two.worker.counters[.notifiesReplayed] == 2)
                #expect(one.worker.counters[.notifiesAccepted] == 1 && two.worker.counters[.notifiesAccepted] == 0)
                #expect(try await post(one, url, body("hello", id: "2")) != first)
                #expect(try await post(one, url, body("hello", id: .number(JSONNumber(1)))) != first)
                #expect(try await post(one, url, body("hello!", id: "1")) != first)
                #expect(try await one.pending(token) == 4)
            }
        }
    }

    @Test("Off, the default: each post is a message")
    func off() async throws {
        try await WorkerHarness.with { harness in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("w")
            let first = try await post(harness, url, body("hello", id: "1"))
            #expect(try await post(harness, url, body("hello", id: "1")) != first)
            #expect(try await harness.pending(token) == 2)
            #expect(harness.worker.counters[.notifiesReplayed] == 0)
        }
    }
}
