import Glibc
import Logging
import NIOCore

/// Stands in a listening socket and counts its connections: while descriptors or the kernel's memory are short, no connection is accepted. Those that come wait in
/// the socket's queue.
final class AcceptGate: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias OutboundIn = any Channel

    /// The errors of accept(2) that pass when something is closed.
    private static let shortages = [EMFILE, ENFILE, ENOBUFS, ENOMEM]
    /// How long nothing is accepted.
    private static let pause = TimeAmount.milliseconds(200)
    /// The shortage is over when so long accepting was not stopped.
    private static let calm = TimeAmount.seconds(1)

    private let front: WorkerFront
    private let connections: FrontConnections
    private let budget: DescriptorBudget
    private let counters: WorkerCounters
    private let logger: Logger
    private var isPaused = false
    /// The channel wants to accept.
    private var wantsRead = false
    /// When the shortage began; nil: there is none.
    private var since: NIODeadline?
    private var next: Scheduled<Void>?

    init(front: WorkerFront, context: WorkerContext) {
        self.front = front
        connections = context.connections
        budget = context.descriptors
        counters = context.counters
        logger = context.logger
    }

    /// For tests.
    init(
        front: WorkerFront, connections: FrontConnections, budget: DescriptorBudget, counters: WorkerCounters, logger: Logger
    ) {
        self.front = front
        self.connections = connections
        self.budget = budget
        self.counters = counters
        self.logger = logger
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        next?.cancel()
    }

    func read(context: ChannelHandlerContext) {
        if !isPaused, !budget.allows(front, isShort: since != nil) {
            pause("few descriptors are left, and they are kept for others; a higher limit (ulimit -n) lets more in", context)
        }
        if isPaused {
            wantsRead = true
        } else {
            context.read()
        }
    }

    /// Counted here: another event loop, which may be busy, sets the connection up, and others would be accepted meanwhile.
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let (connections, front) = (connections, front)
        connections.opened(front)
        unwrapInboundIn(data).closeFuture.whenComplete { _ in connections.closed(front) }
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError, Self.shortages.contains(error.errnoCode) else {
            context.fireErrorCaught(error)
            return
        }
        pause(error.description, context)
    }

    private func pause(_ reason: String, _ context: ChannelHandlerContext) {
        isPaused = true
        if since == nil {
            since = .now()
            counters.add(.acceptingStopped)
            logger.error(
                "no connection of \(front.title) is accepted: \(reason)", metadata: ["front": "\(front.rawValue)"])
        }
        schedule(in: Self.pause, context) { $0.resume($1) }
    }

    private func resume(_ context: ChannelHandlerContext) {
        isPaused = false
        schedule(in: Self.calm, context) { handler, _ in handler.end() }
        guard wantsRead else { return }
        wantsRead = false
        read(context: context)
    }

    private func end() {
        guard let since else { return }
        self.since = nil
        let seconds = (NIODeadline.now() - since).nanoseconds / 1_000_000_000
        logger.notice(
            "connections of \(front.title) are accepted again", metadata: ["front": "\(front.rawValue)", "seconds": "\(seconds)"])
    }

    private func schedule(
        in time: TimeAmount, _ context: ChannelHandlerContext, _ body: @escaping @Sendable (AcceptGate, ChannelHandlerContext) -> Void
    ) {
        next?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        next = context.eventLoop.scheduleTask(in: time) { body(bound.value.0, bound.value.1) }
    }
}
