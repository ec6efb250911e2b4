import NIOCore
import PushProtocol

/// The state of a running swarm, all on one event loop.
final class Swarm {
    /// How often it is seen to what has become due.
    private static let tick = TimeAmount.milliseconds(1)

    private let plan: SwarmPlan
    private let eventLoop: any EventLoop
    private let messages: SwarmMessages
    private let paths: [String]
    private var tally: SwarmTally
    private var idle: [SwarmPoster] = []
    private var start = NIODeadline.now()
    /// The number of the message that is posted next.
    private var next = 0
    private var isEnding = false
    private var lostConnections = 0
    private var firstLoss: String?

    init(plan: SwarmPlan, eventLoop: any EventLoop, applications: [ApplicationPair], key: RSAPrivateKey) {
        self.plan = plan
        self.eventLoop = eventLoop
        messages = SwarmMessages(key: key, size: plan.size)
        paths = applications.map { "/notify/\($0.appToken)" }
        tally = SwarmTally(plan: plan)
    }

    // MARK: The load

    /// Begins to post; the answer comes when every message is answered and delivered, or `patience` after the last was due.
    func load(patience: TimeAmount) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        start = .now()
        let last = start + .nanoseconds(Int64(plan.seconds * 1e9)) + patience
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: Self.tick) { task in
            let swarm = bound.value
            swarm.post()
            guard swarm.tally.isComplete || NIODeadline.now() > last else { return }
            task.cancel()
            promise.succeed()
        }
        return promise.futureResult
    }

    private var elapsed: Int64 { (NIODeadline.now() - start).nanoseconds }

    private func post() {
        tally.makeDue(plan.due(after: elapsed))
        while next < tally.due, let poster = idle.popLast() {
            let number = next
            next += 1
            tally.post(number, at: elapsed)
            poster.post(number, path: paths[plan.application(of: number)], body: messages.body(number))
        }
    }

    // MARK: What connections tell

    /// A connection can take a message.
    func free(_ poster: SwarmPoster) {
        guard next < tally.due else { return idle.append(poster) }
        idle.append(poster)
        post()
    }

    /// A connection is gone.
    func remove(_ poster: SwarmPoster) {
        idle.removeAll { $0 === poster }
    }

    /// The answer to a message has come; status 0: none will come.
    func answered(_ number: Int, status: Int) {
        tally.answer(number, status: status, at: elapsed)
    }

    /// A message has come to a device.
    func delivered(_ number: Int) {
        tally.deliver(number, at: elapsed)
    }

    /// A connection has ended that should not have.
    func lost(_ reason: String) {
        guard !isEnding else { return }
        lostConnections += 1
        if firstLoss == nil { firstLoss = reason }
    }

    // MARK: The end

    /// Connections may end from now on. Returns why the first ended that ended before.
    func end() -> String? {
        isEnding = true
        return firstLoss
    }

    func result(connectSeconds: Double, processorSeconds: Double) -> SwarmResult {
        tally.result(
            connectSeconds: connectSeconds, lost: lostConnections, processorSeconds: processorSeconds, loadSeconds: Double(elapsed) / 1e9)
    }
}
