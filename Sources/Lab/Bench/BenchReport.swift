public import Foundation

/// What a benchmark of several processes found. Encoded with underscores between words; latencies in milliseconds, from when due.
public struct BenchReport: Sendable, Encodable {
    /// `devices` or `requests`.
    public let kind: String
    /// Coordinated universal time of the start.
    public let time: String
    public let machine: [String: String]
    public let settings: [String: String]
    public var processes = 0
    public var connecting = Connecting()
    public var steps: [BenchStep] = []
    /// Messages for one application that many devices share.
    public var shared: BenchStep?
    /// Until the devices had registered that application, in seconds.
    public var shareSeconds: Double?
    /// What was still missing at the end, or came too often, of all steps together.
    public var totals: SwarmTotals?
    /// What was not as it should be; empty: all well.
    public var problems: [String] = []
    public var isInterrupted = false

    /// How the connections were made.
    public struct Connecting: Sendable, Encodable {
        public var wanted = 0
        public var connected = 0
        /// Of the slowest process.
        public var seconds = 0.0
        /// Tries that failed and were repeated, and why the first did.
        public var retries = 0
        public var firstRetry: String?
        /// How many stood when.
        public var curve: [Point] = []
    }

    /// A count at a moment, in seconds from the start.
    public struct Point: Sendable, Encodable {
        public let seconds: Double
        public let count: Int
    }

    init(kind: String, settings: [String: String]) {
        self.kind = kind
        self.settings = settings
        time = Date().formatted(.iso8601)
        machine = Self.thisMachine
    }

    /// The highest rate of the steps that held; nil: none did.
    public var highestHeld: Double? { steps.filter(\.isHeld).map(\.rate).max() }

    private static var thisMachine: [String: String] {
        let processor = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?.split(separator: "\n")
            .first { $0.hasPrefix("model name") }?.split(separator: ":", maxSplits: 1).last.map { $0.trimmingCharacters(in: .whitespaces) }
        let kernel = try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)
        return [
            "processors": "\(ProcessInfo.processInfo.activeProcessorCount)", "model": processor ?? "unknown",
            "kernel": kernel?.trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown",
        ]
    }

    /// The report for machines.
    public func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys]
        return try encoder.encode(self)
    }
}

/// One rate for some time.
public struct BenchStep: Sendable, Encodable {
    /// Messages or requests a second.
    public let rate: Double
    public let seconds: Double
    /// Whether all was answered with 200 and, of messages, delivered once, and p99 was below the limit.
    public let isHeld: Bool
    public let due: Int
    public let answers: [String: Int]
    public let delivered: Int
    public let missing: Int
    public let surplus: Int
    public let connectionsLost: Int
    public let firstLoss: String?
    public let loadSeconds: Double
    /// Of the generators, all processes together.
    public let processorSeconds: Double
    public let lateness: LatencySummary?
    public let answer: LatencySummary?
    public let delivery: LatencySummary?
    /// The distribution of what counts: of the deliveries, of requests the answers.
    public let curve: [LatencyPoint]
    public let answeredBySecond: [Int]
    public let deliveredBySecond: [Int]
    /// Of messages that many devices share: from due to the last device, in ms; -1: it did not come there.
    public let completions: [Double]

    /// - Parameter limit: of p99, in milliseconds.
    init(rate: Double, seconds: Double, counts: LoadCounts, isOfRequests: Bool, limit: Double) {
        self.rate = rate
        self.seconds = seconds
        due = counts.due
        answers = counts.answers
        delivered = counts.delivered
        missing = counts.missing
        surplus = counts.surplus
        connectionsLost = counts.connectionsLost
        firstLoss = counts.firstLoss
        loadSeconds = counts.loadSeconds
        processorSeconds = counts.processorSeconds
        lateness = Latencies(counts.lateness).summary
        answer = Latencies(counts.answer).summary
        delivery = Latencies(counts.delivery).summary
        let what = Latencies(isOfRequests ? counts.answer : counts.delivery)
        curve = what.curve
        answeredBySecond = counts.answeredBySecond
        deliveredBySecond = counts.deliveredBySecond
        completions = counts.completions.map { $0 < 0 ? -1 : Double($0) / 1000 }
        let isComplete = counts.accepted == counts.due && counts.missing == 0 && counts.surplus == 0 && counts.connectionsLost == 0
        isHeld = isComplete && (what.summary.map { $0.p99 < limit } ?? (counts.due == 0))
    }

    /// Posts or requests that were answered with 200.
    public var accepted: Int { answers["200"] ?? 0 }

    /// One line for a person.
    public var text: String {
        func number(_ value: Double?) -> String { value.map { String(format: "%.1f", $0) } ?? "-" }
        let all = answers.sorted { $0.key < $1.key }.map { "\($0.key): \(ProgressEstimate.grouped($0.value))" }.joined(separator: ", ")
        let wrong = [(missing, "missing"), (surplus, "too many"), (connectionsLost, "connections lost")].filter { $0.0 > 0 }
            .map { ", \($0.0) \($0.1)" }.joined()
        let latency = delivery ?? answer
        return "\(ProgressEstimate.grouped(Int(rate))) a second: answers \(all)\(wrong); p50 \(number(latency?.p50)), "
            + "p99 \(number(latency?.p99)), at most \(number(latency?.max)) ms; \(isHeld ? "held" : "not held")"
    }
}
