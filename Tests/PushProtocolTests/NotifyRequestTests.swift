import PushProtocol
import Testing

@Suite("Push: notify requests")
struct NotifyRequestTests {
    private let limits = NotifyLimits()

    private func parse(_ text: String) throws -> NotifyRequest {
        try Array(text.utf8).withUnsafeBytes { try NotifyRequest(body: $0, limits: limits, now: 1234) }
    }

    private func body(_ changes: [String: String?] = [:]) -> String {
        var members: [(String, String?)] = [
            ("messageType", #""notification""#), ("id", #""i""#), ("message", #""m""#), ("signature", #""s""#),
        ]
        for (name, value) in changes.sorted(by: { $0.key < $1.key }) {
            members.removeAll { $0.0 == name }
            members.append((name, value))
        }
        return "{" + members.compactMap { name, value in value.map { "\"\(name)\":\($0)" } }.joined(separator: ",") + "}"
    }

    private func refusal(_ text: String) -> NotifyRefusal? {
        #expect(throws: NotifyRefusal.self) { try parse(text) }
    }

    @Test(
        "Id, timestamp and priority are delivered as they came",
        arguments: [(#""7""#, #""7""#), ("7", "7"), ("7.50", "7.50"), ("1e400", "1e400")])
    func passedThrough(id: String, delivered: String) throws {
        let request = try parse(body(["id": id, "timestamp": "12.0", "priority": #""high""#]))
        let text = String(decoding: request.body.notification(messageID: MessageID(store: 1, sequence: 2), url: "u"), as: UTF8.self)
        let expected =
            #"{"messageType":"notification","id":\#(delivered),"message":"m","timestamp":12.0,"priority":"high","#
            + #""messageId":"000000010000000000000002","url":"u"}"#
        #expect(text == expected)
    }

    @Test("Timestamp and priority have defaults; null counts as missing", arguments: [nil, "null"])
    func defaults(value: String?) throws {
        let request = try parse(body(["timestamp": value, "priority": value, "ttl": value]))
        #expect(String(decoding: request.body.bytes, as: UTF8.self) == #""id":"i","message":"m","timestamp":1234,"priority":"4""#)
        #expect(request.ttl == 30 * 86400)
    }

    @Test(
        "ttl",
        arguments: [
            ("0", 0), ("60", 60), ("60.0", 60), ("6e1", 60), (#""60""#, 60), ("-0", 0), ("2592001", 2_592_000), ("1e400", 2_592_000),
            (#""99999999999999999999""#, 2_592_000),
        ])
    func ttl(text: String, seconds: Int64) throws {
        #expect(try parse(body(["ttl": text])).ttl == seconds)
    }

    @Test("A bad ttl is refused", arguments: ["-1", "0.5", "true", "[]", #""""#, #""-1""#, #""60.0""#, #""1 ""#, "-1e400"])
    func badTTL(text: String) {
        #expect(refusal(body(["ttl": text])) == .notTTL)
    }

    @Test("Refusals come in the order of the table")
    func order() {
        var text =
            ["messageType": "1", "id": "true", "message": "1", "ttl": "-1", "timestamp": "[]", "signature": nil] as [String: String?]
        let steps: [(NotifyRefusal, String, String)] = [
            (.notNotification, "messageType", #""notification""#), (.notID, "id", "1"), (.notMessage, "message", #""""#),
            (.notTTL, "ttl", "1"),
            (.badMember("timestamp"), "timestamp", "1"),
        ]
        for (expected, name, good) in steps {
            #expect(refusal(body(text)) == expected)
            text[name] = good
        }
        #expect(refusal(body(text)) == .notSigned)
    }

    @Test("What is no JSON object is refused", arguments: ["", "[]", "1", #""x""#, "null", "{", #"{"id":"\ud800"}"#])
    func notJSON(text: String) {
        #expect(refusal(text) == .notJSON)
    }

    @Test("Wrong members", arguments: ["true", "{}", "[]"])
    func wrongTypes(value: String) {
        #expect(refusal(body(["id": value])) == .notID)
        #expect(refusal(body(["priority": value])) == .badMember("priority"))
        #expect(refusal(body(["timestamp": value])) == .badMember("timestamp"))
        #expect(refusal(body(["signature": value])) == .notSigned)
        #expect(refusal(body(["messageType": value])) == .notNotification)
    }

    @Test("Empty id and signature are refused, an empty message is not")
    func empty() throws {
        #expect(refusal(body(["id": #""""#])) == .notID)
        #expect(refusal(body(["signature": #""""#])) == .notSigned)
        #expect(try parse(body(["message": #""""#])).message == "")
    }

    @Test("Sizes are checked as soon as the JSON is read")
    func sizes() throws {
        let message = String(repeating: "m", count: limits.message)
        #expect(try parse(body(["message": "\"\(message)\""])).message == message)
        #expect(refusal(body(["message": "\"\(message)m\"", "messageType": "1"])) == .bodyTooBig)
        let id = String(repeating: "é", count: limits.id / 2)
        #expect(throws: Never.self) { try parse(body(["id": "\"\(id)\""])) }
        #expect(refusal(body(["id": "\"\(id)i\"", "messageType": "1"])) == .bodyTooBig)
        #expect(refusal(body(["id": String(repeating: "1", count: limits.id + 1)])) == .bodyTooBig)
        #expect(refusal(String(repeating: " ", count: limits.body) + "{") == .bodyTooBig)
    }

    @Test("The bodies of answers")
    func answers() {
        #expect(String(decoding: NotifyRefusal.noAppToken.body, as: UTF8.self) == #"{"status":"ERROR","reason":"No valid AppToken"}"#)
        let accepted = ErrorBody.accepted(MessageID(store: 0, sequence: 1))
        #expect(String(decoding: accepted, as: UTF8.self) == #"{"status":"ACCEPTED","messageId":"000000000000000000000001"}"#)
    }
}
