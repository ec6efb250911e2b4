/// What has become of the requests of one load, each by its number.
struct RequestTally {
    private let plan: SwarmPlan
    private(set) var due = 0
    private(set) var posted = 0
    /// Answers by status; 0: the connection broke before one came.
    private var answers: [Int: Int] = [:]
    private(set) var answered = 0
    private var writing = Latencies()
    private var answering = Latencies()
    private var bySecond = PerSecond()

    init(plan: RequestPlan) {
        self.plan = plan.swarm
    }

    var count: Int { plan.messages }
    var isComplete: Bool { answered == plan.messages }

    /// So many are due `elapsed` nanoseconds after the start.
    mutating func makeDue(after elapsed: Int64) {
        due = plan.due(after: elapsed)
    }

    /// See `SwarmPlan.rest`.
    func rest(before next: Int, after elapsed: Int64) -> Int64 { plan.rest(before: next, after: elapsed) }

    /// Request `number` is written `time` nanoseconds after the start.
    mutating func post(_ number: Int, at time: Int64) {
        posted += 1
        if plan.counts(number) { writing.record(nanoseconds: time - plan.dueTime(of: number)) }
    }

    /// The answer to request `number` has come in whole; status 0: none will come.
    mutating func answer(_ number: Int, status: Int, at time: Int64) {
        answers[status, default: 0] += 1
        answered += 1
        guard status != 0 else { return }
        bySecond.record(at: time)
        if plan.counts(number) { answering.record(nanoseconds: time - plan.dueTime(of: number)) }
    }

    /// For adding up with what other processes have seen.
    func counts(lost: Int, firstLoss: String?, processorSeconds: Double, loadSeconds: Double) -> LoadCounts {
        var counts = LoadCounts()
        counts.due = due
        counts.posted = posted
        for (status, count) in answers { counts.answers[status == 0 ? "none" : "\(status)"] = count }
        counts.connectionsLost = lost
        counts.firstLoss = firstLoss
        counts.lateness = writing.counts
        counts.answer = answering.counts
        counts.answeredBySecond = bySecond.counts
        counts.loadSeconds = loadSeconds
        counts.processorSeconds = processorSeconds
        return counts
    }
}
