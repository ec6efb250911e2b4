import NIOCore
import PushProtocol

/// The state of a running swarm, all on one event loop: its devices, and one load after the other.
final class Swarm {
    /// The `id` of a message is its number within its load, and above these bits the number of the load.
    private static let numberBits = 32

    private let eventLoop: any EventLoop
    private let messages: SwarmMessages
    private let ownPaths: [String]
    /// All loads so far; messages of an earlier one may still come.
    private var loads: [Load] = []
    private var devices: [SwarmDevice] = []
    private var posters: [SwarmPoster] = []
    private var idle: [SwarmPoster] = []
    /// The number of the message that is posted next.
    private var next = 0
    private var isEnding = false
    private var lostConnections = 0
    private var firstLoss: String?

    /// A load that is running or over.
    private struct Load {
        let number: Int
        let start: NIODeadline
        let paths: [String]
        var tally: SwarmTally
        /// Connections that had broken when it began.
        let lostBefore: Int

        var elapsed: Int64 { (NIODeadline.now() - start).nanoseconds }
    }

    init(size: Int, eventLoop: any EventLoop, applications: [ApplicationPair], key: RSAPrivateKey) {
        self.eventLoop = eventLoop
        messages = SwarmMessages(key: key, size: size)
        ownPaths = applications.map { "/notify/\($0.appToken)" }
    }

    // MARK: The load

    /// Begins to post at `start`; the answer comes when every message is answered and delivered, or `patience` after the last was due.
    ///
    /// - Parameters:
    ///   - number: another one for each load, 0...
    ///   - shared: the one application that all messages are for; nil: the devices' own ones, one after the other.
    ///   - isWatching: another process posts the messages; they only come here.
    func load(
        _ plan: SwarmPlan, number: Int = 0, start: NIODeadline = .now(), shared: ApplicationPair? = nil, isWatching: Bool = false,
        patience: TimeAmount
    ) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        let paths = shared.map { ["/notify/\($0.appToken)"] } ?? ownPaths
        loads.append(
            Load(
                number: number, start: start, paths: paths, tally: SwarmTally(plan: plan, isWatching: isWatching),
                lostBefore: lostConnections))
        next = isWatching ? plan.messages : 0
        let last = start + .nanoseconds(Int64(plan.seconds * 1e9)) + patience
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(deadline: start) { bound.value.goOn(until: last, done: promise) }
        return promise.futureResult
    }

    /// Posts what is due, and comes back when there is more to do.
    private func goOn(until last: NIODeadline, done: EventLoopPromise<Void>) {
        post()
        guard let current = loads.last, !current.tally.isComplete, NIODeadline.now() <= last else { return done.succeed() }
        let rest = current.tally.plan.rest(before: next, after: current.elapsed)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: .nanoseconds(rest)) { bound.value.goOn(until: last, done: done) }
    }

    /// What the load that began last has seen so far.
    var tally: SwarmTally? { loads.last?.tally }

    private func post() {
        guard let current = loads.indices.last else { return }
        let elapsed = loads[current].elapsed
        loads[current].tally.makeDue(loads[current].tally.plan.due(after: elapsed))
        let due = loads[current].tally.due
        while next < due, let poster = idle.popLast() {
            let number = next
            next += 1
            loads[current].tally.post(number, at: elapsed)
            let id = loads[current].number << Self.numberBits | number
            let paths = loads[current].paths
            poster.post(
                id, path: paths[loads[current].tally.plan.application(of: number) % paths.count], body: messages.body(number, id: id))
        }
    }

    private func index(ofMessage id: Int) -> (load: Int, number: Int)? {
        guard let load = loads.lastIndex(where: { $0.number == id >> Self.numberBits }) else { return nil }
        return (load, id & (1 << Self.numberBits - 1))
    }

    // MARK: What connections tell

    /// A connection can take a message.
    func free(_ poster: SwarmPoster) {
        idle.append(poster)
        // No copy of the tally may be alive while it is written to.
        if let current = loads.indices.last, next < loads[current].tally.due { post() }
    }

    func add(_ poster: SwarmPoster) {
        posters.append(poster)
    }

    /// A connection is gone.
    func remove(_ poster: SwarmPoster) {
        idle.removeAll { $0 === poster }
        posters.removeAll { $0 === poster }
    }

    /// The answer to a message has come; status 0: none will come.
    func answered(_ id: Int, status: Int) {
        guard let place = index(ofMessage: id) else { return }
        loads[place.load].tally.answer(place.number, status: status, at: loads[place.load].elapsed)
    }

    /// A message has come to a device.
    func delivered(_ id: Int) {
        guard let place = index(ofMessage: id) else { return }
        loads[place.load].tally.deliver(place.number, at: loads[place.load].elapsed)
    }

    /// A connection has ended that should not have.
    func lost(_ reason: String) {
        guard !isEnding else { return }
        lostConnections += 1
        if firstLoss == nil { firstLoss = reason }
    }

    // MARK: Devices

    /// A device that is registered.
    func registered(_ device: SwarmDevice) {
        devices.append(device)
    }

    var registeredCount: Int { devices.count }

    /// The device that became registered as number `number` (0...).
    func device(_ number: Int) -> SwarmDevice? {
        devices.indices.contains(number) ? devices[number] : nil
    }

    // MARK: The end

    /// The application servers hang up: nothing is to be posted for now.
    func hangUp() {
        for poster in posters { poster.hangUp() }
        posters = []
        idle = []
    }

    /// Connections may end from now on. Returns why the first ended that ended before.
    func end() -> String? {
        isEnding = true
        return firstLoss
    }

    /// Of all loads together, what is missing and what came too often by now.
    var totals: SwarmTotals {
        loads.reduce(into: SwarmTotals(connectionsLost: lostConnections, firstLoss: firstLoss)) {
            $0.missing += $1.tally.missing
            $0.surplus += $1.tally.surplus
        }
    }

    /// The figures of a swarm with at most one load.
    func result(plan: SwarmPlan, connectSeconds: Double, processorSeconds: Double) -> SwarmResult {
        (tally ?? SwarmTally(plan: plan)).result(
            connectSeconds: connectSeconds, lost: lostConnections, processorSeconds: processorSeconds,
            loadSeconds: loads.last.map { Double($0.elapsed) / 1e9 } ?? 0)
    }

    /// What the load that began last has seen.
    func counts(processorSeconds: Double) -> LoadCounts {
        guard let load = loads.last else { return LoadCounts() }
        return load.tally.counts(
            lost: lostConnections - load.lostBefore, firstLoss: lostConnections > load.lostBefore ? firstLoss : nil,
            processorSeconds: processorSeconds, loadSeconds: Double(load.elapsed) / 1e9)
    }
}

/// What is left at the end of all loads.
public struct SwarmTotals: Hashable, Sendable, Codable {
    public var missing = 0
    public var surplus = 0
    public var connectionsLost = 0
    public var firstLoss: String?

    mutating func add(_ other: SwarmTotals) {
        missing += other.missing
        surplus += other.surplus
        connectionsLost += other.connectionsLost
        firstLoss = firstLoss ?? other.firstLoss
    }
}
