import Lab
import PushProtocol

/// Prints what happens to a listening device: for people, or as one JSON object a line.
struct EventPrinter {
    let isJSON: Bool

    func registered(url: String) {
        write("registered: \(url)", "registered", [("url", .text(url))])
    }

    func reconnected(url: String) {
        write("reconnected: \(url)", "reconnected", [("url", .text(url))])
    }

    func disconnected(_ why: String, retryIn seconds: Double) {
        guard isJSON else { return Output.remark("\(why); trying again in \(seconds) s") }
        write("", "disconnected", [("reason", .text(why))])
    }

    func message(_ notification: PushDevice.Notification) {
        let names = ["id", "message", "timestamp", "priority", "messageId", "url"]
        let members = names.compactMap { name in notification.object[name].map { (name, $0) } }
        let id = notification.object["id"].map { $0.text ?? String(decoding: $0.bytes, as: UTF8.self) } ?? ""
        write("message \(id): \(notification.message)", "message", members)
    }

    private func write(_ text: String, _ event: String, _ members: [(String, JSONValue)]) {
        let object = JSONValue.object(JSONObject([("event", .text(event))] + members))
        Output.line(isJSON ? String(decoding: object.bytes, as: UTF8.self) : text)
    }
}
