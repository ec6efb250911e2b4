import Foundation
public import PushProtocol

/// The life of one message, put together from the message logs of the workers (docs/worker.md, "The message log").
public struct MessageTrace {
    /// One line of a log about the message.
    public struct Step: Hashable, Sendable {
        /// RFC 3339 in UTC; sorts as text.
        public let time: String
        public let event: String
        public let object: JSONObject
        /// The line as it is.
        let line: String
    }

    /// The order of steps at the same microsecond.
    private static let order = ["accepted", "routed", "sent", "sent-again", "sent-on-request", "acknowledged"]

    public let messageID: String
    /// How many lines have been read.
    public private(set) var lines = 0
    /// How many of them were none of a message log.
    public private(set) var badLines = 0
    private var found: [Step] = []

    /// The trace of the message with this identifier, in lower case.
    public init(messageID: String) {
        self.messageID = messageID
    }

    /// Takes what the file at `path` says of the message.
    public mutating func read(_ path: String) throws(LabError) {
        guard let file = FileHandle(forReadingAtPath: path) else {
            throw LabError("cannot read the message log \(path); check that it exists and that you may read it")
        }
        var rest = Data()
        while let part = try? file.read(upToCount: 1 << 20), !part.isEmpty {
            rest.append(part)
            guard let end = rest.lastIndex(of: UInt8(ascii: "\n")) else { continue }
            take(lines: rest[...end])
            rest = Data(rest[rest.index(after: end)...])
        }
        take(lines: rest)
    }

    /// Takes what these lines say of the message.
    public mutating func take(lines text: some Collection<UInt8>) {
        let wanted = Data(messageID.utf8)
        for line in Data(text).split(separator: UInt8(ascii: "\n")) {
            lines += 1
            guard line.first == UInt8(ascii: "{"), line.last == UInt8(ascii: "}") else {
                badLines += 1
                continue
            }
            // Most lines are about other messages, and are not taken apart.
            guard line.range(of: wanted) != nil else { continue }
            guard let object = (try? JSONValue(parsing: Array(line)))?.object, let time = object["time"]?.text,
                let event = object["event"]?.text
            else {
                badLines += 1
                continue
            }
            guard object["messageId"]?.text == messageID else { continue }
            found.append(Step(time: time, event: event, object: object, line: String(decoding: line, as: UTF8.self)))
        }
    }

    /// What happened, in order.
    public var steps: [Step] {
        func rank(_ step: Step) -> Int { Self.order.firstIndex(of: step.event) ?? Self.order.count }
        return found.enumerated().sorted { one, other in
            (one.element.time, rank(one.element), one.offset) < (other.element.time, rank(other.element), other.offset)
        }.map(\.element)
    }

    /// The lines of the logs, in order.
    public var jsonLines: [String] { steps.map(\.line) }

    /// For people: the time, what has passed since the first step in milliseconds, the worker, what happened.
    public var textLines: [String] {
        let steps = steps
        let start = steps.first.flatMap { Self.seconds($0.time) }
        return steps.map { step in
            var passed = "?"
            if let start, let now = Self.seconds(step.time) { passed = String(format: "%.3f", (now - start) * 1000) }
            let columns = [
                step.time, String(repeating: " ", count: max(0, 12 - passed.count)) + passed + " ms",
                step.object["worker"]?.text ?? "?", step.event.padding(toLength: max(16, step.event.count), withPad: " ", startingAt: 0),
            ]
            return (columns + [Self.details(step.object)]).joined(separator: "  ").trimmingCharacters(in: .whitespaces)
        }
    }

    private static func details(_ object: JSONObject) -> String {
        ["application", "device", "to", "devices", "took", "reason"].compactMap { name in
            guard let value = object[name] else { return nil }
            let text = value.text ?? String(decoding: value.bytes, as: UTF8.self)
            return name == "reason" ? "(\(text))" : "\(name) \(text)"
        }.joined(separator: "  ")
    }

    /// Seconds since some moment of a day in the month: enough for differences; nil: no such time.
    private static func seconds(_ time: String) -> Double? {
        guard time.count == 27, time.hasSuffix("Z"), let dot = time.firstIndex(of: "."),
            let fraction = Double("0" + time[dot...].dropLast()),
            let date = ISO8601DateFormatter().date(from: time[..<dot] + "Z")
        else { return nil }
        return date.timeIntervalSince1970 + fraction
    }
}
