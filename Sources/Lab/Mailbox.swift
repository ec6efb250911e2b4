import NIOCore

/// What has come through a channel and was not taken yet. Lives on the channel's event loop.
final class Mailbox<Element: Sendable> {
    private let eventLoop: any EventLoop
    private var elements: [Element] = []
    private var waiting: [EventLoopPromise<Element?>] = []
    private var isFinished = false

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Hands `element` to who waits for it longest, or keeps it.
    func put(_ element: Element) {
        if waiting.isEmpty {
            elements.append(element)
        } else {
            waiting.removeFirst().succeed(element)
        }
    }

    /// Nothing more will come.
    func finish() {
        isFinished = true
        for promise in waiting { promise.succeed(nil) }
        waiting = []
    }

    /// The next element; nil when there are no more, or none within `time`.
    func next(within time: TimeAmount?) -> EventLoopFuture<Element?> {
        if !elements.isEmpty { return eventLoop.makeSucceededFuture(elements.removeFirst()) }
        if isFinished { return eventLoop.makeSucceededFuture(nil) }
        let promise = eventLoop.makePromise(of: Element?.self)
        waiting.append(promise)
        if let time {
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            let timer = eventLoop.scheduleTask(in: time) {
                guard let index = bound.value.waiting.firstIndex(where: { $0.futureResult === promise.futureResult }) else { return }
                bound.value.waiting.remove(at: index)
                promise.succeed(nil)
            }
            promise.futureResult.whenComplete { _ in timer.cancel() }
        }
        return promise.futureResult
    }
}
