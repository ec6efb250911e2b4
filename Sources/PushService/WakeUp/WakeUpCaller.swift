import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import NIOPosix
import PushProtocol
import PushStore
import Synchronization

/// NS-UA-UDP (chapter 4): takes the wake-ups that are due from the store and calls the NS-WakeUp of each device's operator.
///
/// What is due, and how often it was tried, is in the store: a wake-up survives a restart, and of several workers with this role one takes
/// it.
final class WakeUpCaller: Sendable {
    private struct State {
        var isTaking = false
        /// A note has come since the store was asked last.
        var hasNote = false
        var isStopped = false
        var calls = 0
        var timer: Scheduled<Void>?
    }

    /// The longest body of an answer that is read, in bytes.
    private static let answerLimit = 4096

    private let context: WorkerContext
    private let client: HTTPClient
    private let eventLoop: any EventLoop
    private let state = Mutex(State())

    init(context: WorkerContext, eventLoops: MultiThreadedEventLoopGroup) {
        self.context = context
        eventLoop = eventLoops.next()
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(connect: context.configuration.wakeUpTimeout, read: context.configuration.wakeUpTimeout)
        configuration.httpVersion = .http1Only
        // The next server is asked instead.
        configuration.connectionPool.retryConnectionEstablishment = false
        client = HTTPClient(eventLoopGroupProvider: .shared(eventLoops), configuration: configuration)
    }

    func start() {
        take()
    }

    /// The store has wake-ups that are due.
    func noted() {
        take()
    }

    /// Takes no more; calls that are under way end.
    func stop() async {
        state.withLock { state in
            state.isStopped = true
            state.timer?.cancel()
        }
        try? await client.shutdown()
    }

    // MARK: Taking

    private func take() {
        let room = state.withLock { state -> Int in
            guard !state.isTaking, !state.isStopped, state.calls < context.configuration.wakeUpCalls else {
                state.hasNote = true
                return 0
            }
            (state.isTaking, state.hasNote) = (true, false)
            return context.configuration.wakeUpCalls - state.calls
        }
        guard room > 0 else { return }
        context.store.takeWakeUps(limit: room, pauses: context.configuration.wakeUpPauses, now: context.store.now) { [self] outcome in
            var next: Int64?
            switch outcome {
            case .success(let wakeUps):
                context.counters.add(.wakeUpsNeedless, wakeUps.needless)
                for wakeUp in wakeUps.due { call(wakeUp) }
                next = wakeUps.next
            case .failure(.closed): return
            case .failure: context.counters.add(.storeWritesFailed)
            }
            taken(next: next)
        }
    }

    private func taken(next: Int64?) {
        let reread = context.configuration.wakeUpReread
        let pause = next.map { min(reread, .milliseconds(max(0, $0 - context.store.now))) } ?? reread
        let again = state.withLock { state -> Bool in
            state.isTaking = false
            guard !state.isStopped else { return false }
            let hasRoom = state.calls < context.configuration.wakeUpCalls
            // Without room the next call that ends takes more.
            if hasRoom, state.hasNote { return true }
            if !hasRoom { state.hasNote = true }
            state.timer?.cancel()
            state.timer = eventLoop.scheduleTask(in: max(pause, .milliseconds(1))) { self.take() }
            return false
        }
        if again { take() }
    }

    // MARK: Calling

    private func call(_ wakeUp: WakeUp) {
        guard let found = context.configuration.operators.find(wakeUp.target.interface, in: wakeUp.target.network) else {
            context.counters.add(.wakeUpsWithoutOperator)
            return
        }
        state.withLock { $0.calls += 1 }
        call(wakeUp, of: found, servers: found.wakeUpServers[...])
    }

    private func call(_ wakeUp: WakeUp, of found: Operator, servers: ArraySlice<String>) {
        guard let server = servers.first else {
            context.counters.add(.wakeUpsFailed)
            ended()
            return
        }
        let target = wakeUp.target.interface
        let url = "\(server)/?ip=\(target.ip)&port=\(target.port)&proto=\(found.packet.rawValue)"
        let deadline = NIODeadline.now() + context.configuration.wakeUpTimeout
        var log = context.logger
        log[metadataKey: "device"] = "\(wakeUp.device)"
        log[metadataKey: "operator"] = "\(found.name)"
        log[metadataKey: "server"] = "\(server)"
        let logger = log
        get(url, by: deadline).whenComplete { [self] outcome in
            switch outcome {
            case .success(let response) where response.status == .ok:
                context.counters.add(.wakeUpsCalled)
                logger.debug("woken", metadata: ["attempt": "\(wakeUp.attempt)"])
            case .success(let response) where (400..<500).contains(response.status.code):
                context.counters.add(.wakeUpsRefused)
                logger.warning("a wake-up was refused", metadata: ["answer": "\(response.status.code) \(Self.reason(response))"])
            case .success(let response):
                logger.warning("a wake-up failed", metadata: ["answer": "\(response.status.code) \(Self.reason(response))"])
                return call(wakeUp, of: found, servers: servers.dropFirst())
            case .failure(let error):
                logger.warning("a wake-up failed", metadata: ["error": "\(error)"])
                return call(wakeUp, of: found, servers: servers.dropFirst())
            }
            ended()
        }
    }

    private func get(_ url: String, by deadline: NIODeadline) -> EventLoopFuture<HTTPClient.Response> {
        do {
            let request = try HTTPClient.Request(url: url)
            let answer = ResponseAccumulator(request: request, maxBodySize: Self.answerLimit)
            return client.execute(request: request, delegate: answer, deadline: deadline).futureResult
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
    }

    private static func reason(_ response: HTTPClient.Response) -> String {
        response.body.map { String(buffer: $0.getSlice(at: $0.readerIndex, length: min($0.readableBytes, 200)) ?? $0) } ?? ""
    }

    private func ended() {
        let more = state.withLock { state -> Bool in
            state.calls -= 1
            return state.hasNote
        }
        if more { take() }
    }
}
