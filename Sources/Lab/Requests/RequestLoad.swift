import NIOCore
import NIOHTTP1
import NIOPosix

/// Requests over many kept connections: an open loop, on one event loop.
///
/// A request that is due while every connection waits for an answer is written as soon as one is free; its latency counts from when it was
/// due all the same.
final class RequestLoad {
    private let eventLoop: any EventLoop
    private var tally: RequestTally?
    private var start = NIODeadline.now()
    private var idle: [RequestConnection] = []
    private var next = 0
    private var lost = 0
    private var lostBefore = 0
    private var firstLoss: String?
    /// Connections that are gone and are to be opened again.
    private(set) var gone = 0
    /// Opens one connection.
    private let open: (RequestLoad) -> EventLoopFuture<Void>

    init(eventLoop: any EventLoop, open: @escaping (RequestLoad) -> EventLoopFuture<Void>) {
        self.eventLoop = eventLoop
        self.open = open
    }

    /// The answer comes when every request is answered, or `patience` after the last was due.
    func run(_ plan: RequestPlan, start: NIODeadline, patience: TimeAmount) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        tally = RequestTally(plan: plan)
        self.start = start
        next = 0
        lostBefore = lost
        let last = start + .nanoseconds(Int64(plan.seconds * 1e9)) + patience
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(deadline: start) { bound.value.goOn(until: last, done: promise) }
        return promise.futureResult
    }

    /// Asks for what is due, and comes back when there is more to do.
    private func goOn(until last: NIODeadline, done: EventLoopPromise<Void>) {
        reopen()
        ask()
        guard let tally, !tally.isComplete, NIODeadline.now() <= last else { return done.succeed() }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: .nanoseconds(tally.rest(before: next, after: elapsed))) { bound.value.goOn(until: last, done: done) }
    }

    private var elapsed: Int64 { (NIODeadline.now() - start).nanoseconds }

    private func ask() {
        let elapsed = elapsed
        tally?.makeDue(after: elapsed)
        while let due = tally?.due, next < due, let connection = idle.popLast() {
            let number = next
            next += 1
            tally?.post(number, at: elapsed)
            connection.ask(number)
        }
    }

    private func reopen() {
        let count = gone
        gone = 0
        for _ in 0..<count {
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            open(self).whenFailure { error in bound.value.failed("cannot open a connection again: \(error)") }
        }
    }

    private func failed(_ reason: String) {
        lose(reason)
        gone += 1
    }

    // MARK: What connections tell

    /// A connection can take a request.
    func free(_ connection: RequestConnection) {
        idle.append(connection)
        if let due = tally?.due, next < due { ask() }
    }

    /// A connection has ended; another takes its place.
    func ended(_ connection: RequestConnection, asServerSaid: Bool) {
        idle.removeAll { $0 === connection }
        gone += 1
        if !asServerSaid { lose("a connection broke") }
    }

    private func lose(_ reason: String) {
        lost += 1
        if firstLoss == nil { firstLoss = reason }
    }

    /// The answer to a request has come; status 0: none will come.
    func answered(_ number: Int, status: Int) {
        tally?.answer(number, status: status, at: elapsed)
    }

    // MARK: What it has seen

    /// Of the load that runs: due, written and answered so far.
    var progress: (due: Int, posted: Int, answered: Int) { (tally?.due ?? 0, tally?.posted ?? 0, tally?.answered ?? 0) }

    /// What the load that began last has seen.
    func counts(processorSeconds: Double) -> LoadCounts {
        tally?.counts(
            lost: lost - lostBefore, firstLoss: lost > lostBefore ? firstLoss : nil, processorSeconds: processorSeconds,
            loadSeconds: Double(elapsed) / 1e9) ?? LoadCounts()
    }
}

/// The connections of a `RequestLoad`.
struct RequestClients: Sendable {
    /// How many connections are opened at once.
    private static let width = 32

    let load: NIOLoopBound<RequestLoad>
    private let eventLoop: any EventLoop
    private let open: @Sendable (RequestLoad) -> EventLoopFuture<Void>

    /// - Parameter sources: what connections are bound to in turn; empty: whatever the system chooses.
    init(url: ServerURL, sources: [SocketAddress], eventLoop: any EventLoop) async throws {
        self.eventLoop = eventLoop
        let counter = try await eventLoop.submit { NIOLoopBoundBox(0, eventLoop: eventLoop) }.get()
        open = { load in
            let bound = NIOLoopBound(load, eventLoop: eventLoop)
            var bootstrap = ClientBootstrap(group: eventLoop).connectTimeout(.seconds(10))
                .channelOption(.socketOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    }
                }
            if !sources.isEmpty { bootstrap = bootstrap.bind(to: sources[counter.value % sources.count]) }
            counter.value += 1
            return bootstrap.connect(host: url.host, port: url.port).flatMapThrowing { channel in
                try channel.pipeline.syncOperations.addHandler(RequestConnection(load: bound.value, url: url))
            }
        }
        let open = open
        load = try await eventLoop.submit { NIOLoopBound(RequestLoad(eventLoop: eventLoop, open: open), eventLoop: eventLoop) }.get()
    }

    /// Opens so many connections; `done` is called after each.
    func connect(_ count: Int, to authority: String, done: @escaping @Sendable () -> Void) async throws {
        let width = min(Self.width, count)
        let (load, open, eventLoop) = (load, open, eventLoop)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for first in 0..<width {
                group.addTask {
                    for _ in stride(from: first, to: count, by: width) {
                        do {
                            try await eventLoop.flatSubmit { open(load.value) }.get()
                        } catch {
                            throw LabError("cannot connect to \(authority): \(error); check that the server runs, and `ulimit -n`")
                        }
                        done()
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
