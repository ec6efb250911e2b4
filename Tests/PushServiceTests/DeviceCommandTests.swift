import Lab
import PushProtocol
import PushService
import Testing

@Suite("Push: commands of a device")
struct DeviceCommandTests {
    private func registerUA(_ token: String) -> String {
        #"{"messageType":"registerUA","data":{"uatoken":"\#(token)"}}"#
    }

    private func command(_ name: String, _ watoken: String, token: String? = nil, key: String = TestKeys.one.pbkbase64) -> String {
        let uatoken = token.map { #""uatoken":"\#($0)","# } ?? ""
        return #"{"messageType":"\#(name)","data":{\#(uatoken)"watoken":"\#(watoken)","pbkbase64":"\#(key)"}}"#
    }

    private func error(_ code: Int64, _ reason: String, _ messageType: String?) -> JSONObject {
        var object = JSONObject()
        object["messageType"] = messageType.map { .text($0) }
        object["status"] = "ERROR"
        object["statusCode"] = .number(JSONNumber(code))
        object["reason"] = .text(reason)
        return object
    }

    @Test("The answers to good commands are those of the table")
    func goodAnswers() async throws {
        try await WorkerHarness.with { harness in
            let device = try await harness.connect()
            let token = try await harness.token()
            let registered = try await device.ask(registerUA(token))
            #expect(
                JSONValue.object(registered) == ["messageType": "registerUA", "status": "REGISTERED", "statusCode": 200, "pushMode": "ws"])
            let url = "http://push.test/notify/\(AppToken(watoken: "w", pbkbase64: TestKeys.one.pbkbase64))"
            let application = try await device.ask(command("registerWA", "w", token: token))
            #expect(
                JSONValue.object(application)
                    == ["messageType": "registerWA", "status": "REGISTERED", "statusCode": 200, "url": .text(url), "watoken": "w"])
            let list = try await device.ask(#"{"messageType":"getRegisteredWA"}"#)
            #expect(JSONValue.object(list) == ["messageType": "getRegisteredWA", "status": "OK", "statusCode": 200, "urls": [.text(url)]])
            let gone = try await device.ask(command("unregisterWA", "w"))
            #expect(
                JSONValue.object(gone) == ["messageType": "unregisterWA", "status": "UNREGISTERED", "statusCode": 200, "url": .text(url)])
            let empty = try await device.ask(#"{"messageType":"getRegisteredWA"}"#)
            #expect(empty["urls"] == [])
            let all = try await device.ask(#"{"messageType":"getAllMessages","data":{"uatoken":"\#(token)"}}"#)
            #expect(JSONValue.object(all) == ["messageType": "getAllMessages", "statusCode": 200, "messages": []])
            let end = try await device.ask(#"{"messageType":"unregisterUA"}"#)
            #expect(JSONValue.object(end) == ["messageType": "unregisterUA", "status": "UNREGISTERED", "statusCode": 200])
            try await device.expectClose(1000)
        }
    }

    @Test("What is no JSON object: 400, close 1007", arguments: ["{", "[1]", "7", "null", #"{"messageType":"\ud800"}"#, ""])
    func notJSON(text: String) async throws {
        try await WorkerHarness.with { harness in
            let device = try await harness.connect()
            #expect(try await device.ask(text) == error(400, "Data received is not a valid JSON package", nil))
            try await device.expectClose(1007)
        }
    }

    @Test("A missing member is named, the socket stays open, and the registration is checked after it")
    func missingMember() async throws {
        try await WorkerHarness.with { harness in
            let device = try await harness.connect()
            #expect(
                try await device.ask(#"{"messageType":"registerUA","data":{}}"#) == error(400, "data.uatoken must be a text", "registerUA"))
            #expect(try await device.ask(#"{"messageType":"ack"}"#) == error(400, "messageId must be a text", "ack"))
            #expect(try await device.ask(#"{"data":{}}"#) == error(400, "messageType must be a text", nil))
            let key = try await device.ask(command("registerWA", "w", key: "AAAA"))
            #expect(key["statusCode"]?.integer == 400 && key["reason"]?.text?.contains("pbkbase64") == true)
            let watoken = try await device.ask(command("registerWA", String(repeating: "w", count: 257)))
            #expect(watoken["statusCode"]?.integer == 400 && watoken["reason"]?.text?.contains("watoken") == true)
            try await device.expectQuiet()
        }
    }

    @Test("Small keys are refused; configuration can permit them")
    func keySizes() async throws {
        let small = try RSAPrivateKey.generate(bits: 1024).pbkbase64
        for (permitted, code) in [(2048...8192, 400), (1024...8192, 200)] {
            try await WorkerHarness.with(configure: { $0.permittedKeyBits = permitted }) { harness in
                let (device, _) = try await harness.device()
                let answer = try await device.ask(command("registerWA", "w", key: small))
                #expect(answer["statusCode"]?.integer == Int64(code))
            }
        }
    }

    @Test("An unknown messageType: 405, echoed, the socket stays open")
    func unknownType() async throws {
        try await WorkerHarness.with { harness in
            let device = try await harness.connect()
            #expect(try await device.ask(#"{"messageType":"dance"}"#) == error(405, "messageType not recognized", "dance"))
            try await device.expectQuiet()
        }
    }

    @Test(
        "Any command before registerUA: 401, close 1008",
        arguments: [
            #"{"messageType":"getRegisteredWA"}"#, #"{"messageType":"unregisterUA"}"#, #"{"messageType":"ack","messageId":"x"}"#,
            "registerWA",
            "unregisterWA",
        ])
    func beforeRegistration(text: String) async throws {
        try await WorkerHarness.with { harness in
            let device = try await harness.connect()
            let name = text.hasPrefix("{") ? String(text.dropFirst(16).prefix { $0 != "\"" }) : text
            let text = text.hasPrefix("{") ? text : command(text, "w")
            #expect(try await device.ask(text) == error(401, "Register the device first", name))
            try await device.expectClose(1008)
        }
    }

    @Test("registerUA with a token that does not verify: 401, close 1008", arguments: ["", "nonsense", "forged", "foreign"])
    func badToken(kind: String) async throws {
        try await WorkerHarness.with { harness in
            let device = try await harness.connect()
            let token =
                switch kind {
                case "forged": String(try await harness.token().dropLast(4)) + "AAAA"
                case "foreign": UAToken(device: DeviceID(), issued: 0).sealed(with: TokenKeys())
                default: kind
                }
            #expect(try await device.ask(registerUA(token)) == error(401, "Token is not valid for this server", "registerUA"))
            try await device.expectClose(1008)
        }
    }

    @Test("An expired token: 401, close 1008")
    func expiredToken() async throws {
        try await WorkerHarness.with(configure: { $0.tokenLifetime = 1 }) { harness in
            let token = try await harness.token()
            try await Task.sleep(for: .milliseconds(20))
            let device = try await harness.connect()
            #expect(try await device.ask(registerUA(token)) == error(401, "Token is not valid for this server", "registerUA"))
            try await device.expectClose(1008)
        }
    }

    @Test("Another device's token: 401; the socket stays open but for registerUA")
    func anotherToken() async throws {
        try await WorkerHarness.with { harness in
            let (device, _) = try await harness.device()
            let other = try await harness.token()
            for name in ["registerWA", "unregisterWA"] {
                #expect(try await device.ask(command(name, "w", token: other)) == error(401, "Token is not valid for this server", name))
            }
            let all = try await device.ask(#"{"messageType":"getAllMessages","data":{"uatoken":"\#(other)"}}"#)
            #expect(all == error(401, "Token is not valid for this server", "getAllMessages"))
            try await device.expectQuiet()
            #expect(try await device.ask(registerUA(other)) == error(401, "Token is not valid for this server", "registerUA"))
            try await device.expectClose(1008)
        }
    }

    @Test("registerUA again with the same token: 200, and nothing is sent again")
    func registerAgain() async throws {
        try await WorkerHarness.with { harness in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("w")
            try await harness.push("one", to: url)
            #expect(try await device.notification().message == "one")
            #expect(try await device.ask(registerUA(token))["statusCode"]?.integer == 200)
            try await device.expectQuiet()
        }
    }

    @Test("registerWA of more applications than a device may have: 429, until one is unregistered; what it has may be repeated")
    func tooManyApplications() async throws {
        try await WorkerHarness.with(configure: { $0.applicationLimit = 3 }) { harness in
            let (device, token) = try await harness.device()
            func registration(_ watoken: Int, _ command: String = "registerWA") -> String {
                #"{"messageType":"\#(command)","data":{"watoken":"\#(watoken)","pbkbase64":"\#(TestKeys.one.pbkbase64)"}}"#
            }
            for watoken in 0..<3 { #expect(try await device.ask(registration(watoken))["statusCode"] == 200) }
            for _ in 0..<2 {
                let refused = try await device.ask(registration(3))
                #expect(refused["statusCode"] == 429 && refused["reason"] == "Too many applications are registered")
            }
            #expect(try await device.ask(registration(1))["statusCode"] == 200, "though one more was refused before")
            await device.close()
            let (again, _) = try await harness.device(token: token)
            #expect(try await again.ask(registration(2))["statusCode"] == 200)
            #expect(try await again.ask(registration(3))["statusCode"] == 429)
            #expect(try await again.ask(registration(0, "unregisterWA"))["statusCode"] == 200)
            #expect(try await again.ask(registration(3))["statusCode"] == 200)
            try await again.expectQuiet()
        }
    }

    @Test("An AppToken that another pair has: 409, the socket stays open")
    func appTokenInUse() async throws {
        try await WorkerHarness.with { harness in
            let (device, _) = try await harness.device()
            // Text before the PEM may go to the WAToken's end: three bytes are four characters of base64.
            let key = Base64.encode(Array(("abc" + TestKeys.one.publicPEM).utf8))
            let shorter = String(key.dropFirst(4))
            let first = try await device.ask(command("registerWA", "w", key: key))
            #expect(first["statusCode"]?.integer == 200)
            let second = try await device.ask(command("registerWA", "w" + key.prefix(4), key: shorter))
            #expect(second == error(409, "AppToken already in use", "registerWA"))
            try await device.expectQuiet()
        }
    }

    @Test("unregisterWA of what is not registered, or only by another device: 404")
    func notRegistered() async throws {
        try await WorkerHarness.with { harness in
            let (device, _) = try await harness.device()
            let (other, _) = try await harness.device()
            _ = try await other.registerApplication("w")
            for watoken in ["w", "unknown"] {
                #expect(try await device.ask(command("unregisterWA", watoken)) == error(404, "Not registered", "unregisterWA"))
            }
            try await device.expectQuiet()
        }
    }

    @Test("Commands that come at once are answered in order")
    func pipelined() async throws {
        try await WorkerHarness.with { harness in
            let token = try await harness.token()
            let device = try await harness.connect()
            device.socket.send(registerUA(token))
            for index in 0..<40 { device.socket.send(command("registerWA", "w\(index)")) }
            device.socket.send(#"{"messageType":"getRegisteredWA"}"#)
            device.socket.send("PING")
            var answers: [JSONObject] = []
            for _ in 0..<42 {
                guard case .answer(let object)? = try await device.next() else { break }
                answers.append(object)
            }
            #expect(answers.count == 42)
            #expect(answers.first?["messageType"] == "registerUA")
            #expect(answers.dropFirst().dropLast().map { $0["watoken"]?.text } == (0..<40).map { "w\($0)" })
            #expect(answers.last?["urls"]?.array?.count == 40)
            #expect(try await device.socket.next(seconds: 5) == .text("PONG"))
        }
    }

    @Test("An acknowledgement of an unknown messageId is ignored and counted", arguments: ["", "x", "000000000000000000000001", "\u{0}"])
    func unknownAcknowledgement(messageID: String) async throws {
        try await WorkerHarness.with { harness in
            let (device, _) = try await harness.device()
            device.acknowledge(messageID)
            try await device.expectQuiet()
            try await eventually { harness.worker.counters[.acknowledgementsUnknown] == 1 }
        }
    }

    @Test(
        "getAllMessages before registration: without token 400, with a bad one 401, both stay open; after a good one acknowledgements work")
    func pollWithoutRegistration() async throws {
        try await WorkerHarness.with { harness in
            let (device, token) = try await harness.device()
            let url = try await device.registerApplication("w")
            await device.close()
            try await eventually { harness.worker.counters[.socketsOpened] == 1 }
            let ids = [try await harness.push("one", to: url), try await harness.push("two", to: url)]

            let poll = try await harness.connect()
            #expect(try await poll.ask(#"{"messageType":"getAllMessages","data":{}}"#)["statusCode"]?.integer == 400)
            let bad = try await poll.ask(#"{"messageType":"getAllMessages","data":{"uatoken":"bad"}}"#)
            #expect(bad == error(401, "Token is not valid for this server", "getAllMessages"))
            let good = #"{"messageType":"getAllMessages","data":{"uatoken":"\#(token)"}}"#
            let all = try await poll.ask(good)["messages"]?.array ?? []
            #expect(all.map { $0.object?["message"]?.text } == ["one", "two"])
            #expect(all.map { $0.object?["messageId"]?.text } == ids)
            #expect(all.allSatisfy { $0.object?["messageType"] == "notification" && $0.object?["url"]?.text == url })
            poll.acknowledge(ids[0])
            let left = try await poll.ask(good)["messages"]?.array ?? []
            #expect(left.map { $0.object?["messageId"]?.text } == [ids[1]])
            #expect(try await poll.ask(#"{"messageType":"getRegisteredWA"}"#) == error(401, "Register the device first", "getRegisteredWA"))
            try await poll.expectClose(1008)
        }
    }
}
