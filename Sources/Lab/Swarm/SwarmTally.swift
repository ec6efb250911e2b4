/// What a swarm has seen of one load: posts, answers and deliveries, each message by its number.
struct SwarmTally {
    let plan: SwarmPlan
    /// Whether another process posts the messages: all of them are taken for accepted.
    let isWatching: Bool
    /// Messages that were due, and those of them that were written to a connection.
    private(set) var due = 0
    private(set) var posted = 0
    /// Answers by status; 0: the connection broke before one came.
    private(set) var answers: [Int: Int] = [:]
    private(set) var answered = 0
    /// Deliveries of each message.
    private var deliveries: [Int32]
    private var isAccepted: [Bool]
    private(set) var delivered = 0
    /// Deliveries beyond one for each device of the message's application.
    private(set) var surplus = 0
    /// Deliveries that an accepted message must still have.
    private(set) var missing = 0
    /// How long after it was due a message was written: what the generator itself is late.
    private var writing = Latencies()
    private var answering = Latencies()
    private var delivering = Latencies()
    /// From due to the delivery to the last device.
    private var completing = Latencies()
    private var answersBySecond = PerSecond()
    private var deliveriesBySecond = PerSecond()
    /// Microseconds from due to the last device; -1: it has not come there. Only of one application.
    private var completions: [Int64]

    init(plan: SwarmPlan, isWatching: Bool = false) {
        self.plan = plan
        self.isWatching = isWatching
        deliveries = Array(repeating: 0, count: plan.messages)
        isAccepted = Array(repeating: isWatching, count: plan.messages)
        completions = plan.applications == 1 ? Array(repeating: -1, count: plan.messages) : []
        if isWatching { missing = (0..<plan.messages).reduce(0) { $0 + plan.devices(of: plan.application(of: $1)) } }
    }

    /// Every message that was due has been answered, and each accepted one delivered to all of its devices.
    var isComplete: Bool { missing == 0 && (isWatching || (due == plan.messages && answered == due)) }

    /// So many messages are due by now.
    mutating func makeDue(_ count: Int) {
        due = count
    }

    /// Message `number` is written `time` nanoseconds after the start.
    mutating func post(_ number: Int, at time: Int64) {
        posted += 1
        if plan.counts(number) { writing.record(nanoseconds: time - plan.dueTime(of: number)) }
    }

    /// The answer to message `number` has come. Deliveries may have come before.
    mutating func answer(_ number: Int, status: Int, at time: Int64) {
        answers[status, default: 0] += 1
        answered += 1
        guard status == 200 else { return }
        answersBySecond.record(at: time)
        isAccepted[number] = true
        missing += max(0, plan.devices(of: plan.application(of: number)) - Int(deliveries[number]))
        if plan.counts(number) { answering.record(nanoseconds: time - plan.dueTime(of: number)) }
    }

    /// Message `number` has come to a device.
    mutating func deliver(_ number: Int, at time: Int64) {
        guard deliveries.indices.contains(number) else {
            surplus += 1
            return
        }
        deliveries[number] += 1
        let wanted = plan.devices(of: plan.application(of: number))
        guard deliveries[number] <= wanted else {
            surplus += 1
            return
        }
        delivered += 1
        deliveriesBySecond.record(at: time)
        if isAccepted[number] { missing -= 1 }
        let latency = time - plan.dueTime(of: number)
        if deliveries[number] == wanted, completions.indices.contains(number) { completions[number] = max(0, latency) / 1000 }
        guard plan.counts(number) else { return }
        delivering.record(nanoseconds: latency)
        if deliveries[number] == wanted { completing.record(nanoseconds: latency) }
    }

    private var statuses: [String: Int] {
        Dictionary(uniqueKeysWithValues: answers.map { ($0.key == 0 ? "none" : "\($0.key)", $0.value) })
    }

    /// The figures.
    func result(connectSeconds: Double, lost: Int, processorSeconds: Double, loadSeconds: Double) -> SwarmResult {
        SwarmResult(
            devices: plan.devices, applications: plan.applications, connectSeconds: connectSeconds, rate: plan.rate, seconds: plan.seconds,
            messages: plan.messages, posted: posted, answers: statuses, delivered: delivered, missing: missing, surplus: surplus,
            connectionsLost: lost, loadSeconds: loadSeconds, processorSeconds: processorSeconds, lateness: writing.summary,
            answer: answering.summary, delivery: delivering.summary, completion: completing.summary)
    }

    /// The same for adding up with what other processes have seen.
    func counts(lost: Int, firstLoss: String?, processorSeconds: Double, loadSeconds: Double) -> LoadCounts {
        var counts = LoadCounts()
        counts.due = isWatching ? 0 : due
        counts.posted = posted
        counts.answers = statuses
        counts.delivered = delivered
        counts.missing = missing
        counts.surplus = surplus
        counts.connectionsLost = lost
        counts.firstLoss = firstLoss
        counts.lateness = writing.counts
        counts.answer = answering.counts
        counts.delivery = delivering.counts
        counts.answeredBySecond = answersBySecond.counts
        counts.deliveredBySecond = deliveriesBySecond.counts
        counts.completions = completions
        counts.loadSeconds = loadSeconds
        counts.processorSeconds = processorSeconds
        return counts
    }
}

/// What came of a swarm's plan. Latencies count from when a message was due, in milliseconds.
public struct SwarmResult: Hashable, Sendable, Encodable {
    public let devices: Int
    public let applications: Int
    /// From the first connection to the last registration.
    public let connectSeconds: Double
    public let rate: Double
    public let seconds: Double
    /// How many were due.
    public let messages: Int
    public let posted: Int
    /// Posts by the status of their answer; `none`: the connection broke.
    public let answers: [String: Int]
    /// Deliveries to devices, each of which acknowledged it at once; without those beyond one for each device.
    public let delivered: Int
    /// Deliveries of accepted messages that did not come.
    public let missing: Int
    public let surplus: Int
    /// WebSockets and connections of application servers that the server, or an error, ended.
    public let connectionsLost: Int
    /// From the first message to the last delivery.
    public let loadSeconds: Double
    /// What the generator itself used meanwhile.
    public let processorSeconds: Double
    /// From due to written: the generator's own part of the latencies.
    public let lateness: LatencySummary?
    /// From due to the answer of the POST.
    public let answer: LatencySummary?
    /// From due to the device, which acknowledges in the same moment.
    public let delivery: LatencySummary?
    /// From due to the last device of the message's application.
    public let completion: LatencySummary?

    /// Posts that were answered with 200.
    public var accepted: Int { answers["200"] ?? 0 }
}
