import Lab
import NIOCore
import PushProtocol
import PushService
import Testing

@Suite("Push: delivery")
struct DeliveryTests {
    @Test("A notification has the members of the document; what the application server sent comes as it came")
    func notification() async throws {
        try await WorkerHarness.with { harness in
            let (device, _) = try await harness.device()
            let url = try await device.registerApplication("w")
            let sender = try await harness.sender(url)
            let body = PushSender.body(
                message: "Grüße \u{1F600} \"\\\n", id: .number(JSONNumber(7)), key: TestKeys.one,
                more: [("timestamp", "yesterday"), ("priority", 9), ("unknown", .bool(true))])
            let answer = try await sender.post(JSONValue.object(body).bytes)
            #expect(answer.status == 200)
            let messageID = try #require(try JSONValue(parsing: answer.body).object?["messageId"])
            let expected: JSONValue = [
                "messageType": "notification", "id": 7, "message": "Grüße \u{1F600} \"\\\n", "timestamp": "yesterday", "priority": 9,
                "messageId": messageID, "url": .text(url),
            ]
            #expect(JSONValue.object(try await device.notification().object) == expected)
        }
    }

    @Test("Messages for a device that is away come at its registration, oldest first; acknowledged ones do not come again")
    func pending() async throws {
        try await WorkerHarness.with { harness in
            let (device, token) = try await harness.device()
            let urls = [try await device.registerApplication("a"), try await device.registerApplication("b")]
            await device.close()
            for index in 0..<6 { try await harness.push("\(index)", to: urls[index % 2]) }
            let (again, _) = try await harness.device(token: token)
            for index in 0..<6 {
                let notification = try await again.notification()
                #expect(notification.message == "\(index)")
                if index != 3 { again.acknowledge(notification.messageID) }
            }
            await again.close()
            let (third, _) = try await harness.device(token: token)
            #expect(try await third.notification().message == "3")
            try await third.expectQuiet()
        }
    }

    @Test("At most 32 are unacknowledged in flight; each acknowledgement makes room for the next")
    func window() async throws {
        try await WorkerHarness.with { harness in
            let (device, _) = try await harness.device()
            let url = try await device.registerApplication("w")
            let sender = try await harness.sender(url)
            for index in 0..<40 { #expect(try await sender.send("\(index)", id: "i").status == 200) }
            var ids: [String] = []
            for index in 0..<32 {
                let notification = try await device.notification()
                #expect(notification.message == "\(index)")
                ids.append(notification.messageID)
            }
            try await Task.sleep(for: .milliseconds(200))
            try await device.expectQuiet()
            device.acknowledge(ids[5])
            device.acknowledge(ids[31])
            #expect(try await device.notification().message == "32")
            #expect(try await device.notification().message == "33")
            try await device.expectQuiet()
        }
    }

    @Test("What has expired makes room in the window at once, though it was never acknowledged")
    func expiredInWindow() async throws {
        try await WorkerHarness.with { harness in
            let (device, _) = try await harness.device()
            let url = try await device.registerApplication("w")
            for index in 0..<32 { try await harness.push("\(index)", to: url, ttl: 2) }
            for index in 0..<32 { #expect(try await device.notification().message == "\(index)") }
            try await harness.push("33rd", to: url)
            // Long before anything is sent again.
            #expect(try await device.notification().message == "33rd")
            #expect(harness.worker.counters[.notificationsSentAgain] == 0)
        }
    }

    @Test("What the device acknowledges on another connection makes room in the window")
    func acknowledgedElsewhere() async throws {
        try await WorkerHarness.with(configure: { $0.reread = .milliseconds(100) }) { harness in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("w")
            for index in 0..<33 { try await harness.push("\(index)", to: url) }
            for index in 0..<32 { #expect(try await device.notification().message == "\(index)") }
            let other = try await harness.connect()
            let answer = try await other.ask(#"{"messageType":"getAllMessages","data":{"uatoken":"\#(token)"}}"#)
            let all = try #require(answer["messages"]?.array)
            #expect(all.count == 33)
            for message in all.prefix(32) { other.acknowledge(try #require(message.object?["messageId"]?.text)) }
            #expect(try await device.notification().message == "32")
            #expect(harness.worker.counters[.notificationsSentAgain] == 0)
        }
    }

    @Test("What is not acknowledged is sent again, at doubling intervals, with the same messageId, until it is acknowledged")
    func redelivery() async throws {
        try await WorkerHarness.with(configure: { $0.redelivery = .milliseconds(150) }) { harness in
            let (device, _) = try await harness.device()
            let url = try await device.registerApplication("w")
            let start = NIODeadline.now()
            let messageID = try await harness.push("one", to: url)
            for earliest in [0, 150, 150 + 300, 150 + 300 + 600] {
                #expect(try await device.notification().messageID == messageID)
                #expect(NIODeadline.now() - start >= .milliseconds(Int64(earliest)))
            }
            device.acknowledge(messageID)
            // On a busy machine it may have been sent once more before the acknowledgement came.
            device.socket.send("PING")
            while let event = try await device.socket.next(seconds: 10), event != .text("PONG") {}
            let again = harness.worker.counters[.notificationsSentAgain]
            #expect(again >= 3)
            try await Task.sleep(for: .milliseconds(300 + 150 << again))
            try await device.expectQuiet()
            #expect(harness.worker.counters[.notificationsSentAgain] == again)
        }
    }

    @Test("Expired messages are neither delivered nor sent again")
    func expiry() async throws {
        try await WorkerHarness.with(configure: {
            $0.redelivery = .milliseconds(1500)
            $0.expiry = .milliseconds(100)
        }) { harness in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("w")
            try await harness.push("short", to: url, ttl: 1)
            #expect(try await device.notification().message == "short")
            let (other, otherToken) = try await harness.device()
            _ = try await other.registerApplication("w")
            await other.close()
            try await harness.push("long", to: url, ttl: "60")
            #expect(try await device.notification().message == "long")
            try await harness.push("short again", to: url, ttl: Int64(1).json)
            // On a busy machine what is not acknowledged may have come again before it.
            var message = try await device.notification().message
            while message == "long" { message = try await device.notification().message }
            #expect(message == "short again")
            try await eventually { harness.worker.counters[.messagesExpired] == 2 }
            let (back, _) = try await harness.device(token: otherToken)
            #expect(try await back.notification().message == "long")
            try await back.expectQuiet()
            // Only what has not expired comes again.
            #expect(try await device.notification().message == "long")
            await device.close()
            let (again, _) = try await harness.device(token: token)
            #expect(try await again.notification().message == "long")
            try await again.expectQuiet()
        }
    }

    @Test("ttl 0 goes to devices that are connected, once, and to nobody later")
    func connectedOnly() async throws {
        try await WorkerHarness.with(configure: { $0.redelivery = .milliseconds(100) }) { harness in
            let (device, _) = try await harness.device()
            let url = try await device.registerApplication("w")
            let (away, awayToken) = try await harness.device()
            _ = try await away.registerApplication("w")
            await away.close()
            let messageID = try await harness.push("now", to: url, ttl: 0)
            let notification = try await device.notification()
            #expect(notification.message == "now" && notification.messageID == messageID)
            try await Task.sleep(for: .milliseconds(400))
            try await device.expectQuiet()
            let (back, _) = try await harness.device(token: awayToken)
            let all = try await back.ask(#"{"messageType":"getAllMessages","data":{"uatoken":"\#(awayToken)"}}"#)
            #expect(all["messages"] == [])
            // The order holds between both kinds.
            try await harness.push("first", to: url, ttl: 0)
            try await harness.push("second", to: url)
            #expect(try await device.notification().message == "first")
            #expect(try await device.notification().message == "second")
        }
    }

    @Test("One WAToken and key on several devices: one URL, a copy for each, acknowledged apart")
    func broadcast() async throws {
        try await WorkerHarness.with { harness in
            var devices: [(device: PushDevice, token: String)] = []
            var urls: Set<String> = []
            for _ in 0..<5 {
                devices.append(try await harness.device())
                urls.insert(try await devices[devices.count - 1].device.registerApplication("all"))
            }
            #expect(urls.count == 1)
            let messageID = try await harness.push("to all", to: urls.first!)
            for (device, _) in devices {
                let notification = try await device.notification()
                #expect(notification.message == "to all" && notification.messageID == messageID)
            }
            devices[0].device.acknowledge(messageID)
            for (device, _) in devices { await device.close() }
            let (first, _) = try await harness.device(token: devices[0].token)
            try await first.expectQuiet()
            let (second, _) = try await harness.device(token: devices[1].token)
            #expect(try await second.notification().messageID == messageID)
        }
    }

    @Test("A device gets no message from before its registration")
    func notEarlier() async throws {
        try await WorkerHarness.with { harness in
            let (early, _) = try await harness.device()
            let url = try await early.registerApplication("w")
            try await harness.push("before", to: url)
            let (late, token) = try await harness.device()
            _ = try await late.registerApplication("w")
            try await harness.push("after", to: url)
            #expect(try await late.notification().message == "after")
            let all = try await late.ask(#"{"messageType":"getAllMessages","data":{"uatoken":"\#(token)"}}"#)
            #expect(all["messages"]?.array?.count == 1)
        }
    }

    @Test("After unregisterWA the pending messages of it are gone; after unregisterUA everything is")
    func unregistered() async throws {
        try await WorkerHarness.with { harness in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("a")
            let other = try await device.registerApplication("b")
            try await harness.push("gone", to: url)
            try await harness.push("stays", to: other)
            #expect(try await device.notification().message == "gone")
            #expect(try await device.notification().message == "stays")
            let key = TestKeys.one.pbkbase64
            _ = try await device.ask(#"{"messageType":"unregisterWA","data":{"watoken":"a","pbkbase64":"\#(key)"}}"#)
            let sender = try await harness.sender(url)
            #expect(try await sender.send("x", id: "i").status == 404)
            await device.close()
            let (back, _) = try await harness.device(token: token)
            #expect(try await back.notification().message == "stays")
            try await back.expectQuiet()

            _ = try await back.ask(#"{"messageType":"unregisterUA"}"#)
            try await back.expectClose(1000)
            let toOther = try await harness.sender(other)
            #expect(try await toOther.send("x", id: "i").status == 404)
            let (again, _) = try await harness.device(token: token)
            try await again.expectQuiet()
            #expect(try await again.ask(#"{"messageType":"getRegisteredWA"}"#)["urls"] == [])
        }
    }

    @Test("A second connection with the same UAToken replaces the first: 4001 to the old, messages to the new")
    func replaced() async throws {
        try await WorkerHarness.with { harness in
            let (first, token) = try await harness.device()
            let url = try await first.registerApplication("w")
            let (second, _) = try await harness.device(token: token)
            try await first.expectClose(4001)
            try await harness.push("one", to: url)
            #expect(try await second.notification().message == "one")
            #expect(harness.worker.counters[.socketsClosedReplaced] == 1)
            // The end of the old connection does not end the new one's deliveries.
            try await harness.push("two", to: url)
            #expect(try await second.notification().message == "two")
        }
    }

    @Test("A device that reads slowly gets everything")
    func slowReader() async throws {
        try await WorkerHarness.with { harness in
            let (device, _) = try await harness.device()
            let url = try await device.registerApplication("w")
            let sender = try await harness.sender(url)
            let text = String(repeating: "m", count: 4096)
            for index in 0..<100 { #expect(try await sender.send("\(index) \(text.dropFirst(8))", id: "i").status == 200) }
            for index in 0..<100 {
                let notification = try await device.notification()
                #expect(notification.message.hasPrefix("\(index) "))
                device.acknowledge(notification.messageID)
            }
            try await device.expectQuiet()
        }
    }
}

extension Int64 {
    /// As a JSON number with a fraction of zero.
    fileprivate var json: JSONValue {
        (try? JSONValue(parsing: Array("\(self).0".utf8))) ?? .null
    }
}
