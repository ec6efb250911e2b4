/// What one process has seen of a load, in a form that several can be added up; sums are exact, latencies included.
public struct LoadCounts: Hashable, Sendable, Codable {
    /// How many messages or requests were due, and how many of them were written to a connection.
    public var due = 0
    public var posted = 0
    /// By status; `none`: the connection broke before an answer.
    public var answers: [String: Int] = [:]
    /// Deliveries to devices, without those beyond one for each device.
    public var delivered = 0
    /// Deliveries of accepted messages that did not come.
    public var missing = 0
    public var surplus = 0
    /// Connections that broke meanwhile.
    public var connectionsLost = 0
    public var firstLoss: String?
    /// From due to written: the generator's own part of the latencies.
    public var lateness = LatencyCounts()
    /// From due to the answer.
    public var answer = LatencyCounts()
    /// From due to the device.
    public var delivery = LatencyCounts()
    /// Since the start of the load.
    public var answeredBySecond: [Int] = []
    public var deliveredBySecond: [Int] = []
    /// Of a message that all devices share: microseconds from due to this process's last device; -1: it is not complete.
    public var completions: [Int64] = []
    /// From the start to the last delivery or answer, in seconds; the longest of all processes.
    public var loadSeconds = 0.0
    /// User and system time of the generators meanwhile, in seconds.
    public var processorSeconds = 0.0

    public init() {}

    /// What was answered with 200.
    public var accepted: Int { answers["200"] ?? 0 }

    /// Answers of any status.
    public var answered: Int { answers.values.reduce(0, +) - (answers["none"] ?? 0) }

    /// Adds what another process has seen of the same load.
    public mutating func add(_ other: LoadCounts) {
        due += other.due
        posted += other.posted
        answers.merge(other.answers, uniquingKeysWith: +)
        delivered += other.delivered
        missing += other.missing
        surplus += other.surplus
        connectionsLost += other.connectionsLost
        firstLoss = firstLoss ?? other.firstLoss
        lateness.add(other.lateness)
        answer.add(other.answer)
        delivery.add(other.delivery)
        answeredBySecond = PerSecond.sum(answeredBySecond, other.answeredBySecond)
        deliveredBySecond = PerSecond.sum(deliveredBySecond, other.deliveredBySecond)
        completions = Self.last(completions, other.completions)
        loadSeconds = max(loadSeconds, other.loadSeconds)
        processorSeconds += other.processorSeconds
    }

    /// A message is complete when every process has it complete: at the latest of their times.
    private static func last(_ one: [Int64], _ other: [Int64]) -> [Int64] {
        if one.isEmpty || other.isEmpty { return one + other }
        return zip(one, other).map { $0 < 0 || $1 < 0 ? -1 : max($0, $1) }
    }
}
