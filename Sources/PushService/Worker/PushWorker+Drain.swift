import Foundation
import NIOCore

extension PushWorker {
    /// How long closed WebSockets may take to be gone: as the closing handshake, and a little.
    private static let closingTime = Duration.seconds(3)

    /// Ends the worker. `/status` says `Draining`, posts are refused and WebSockets closed with 1012, at the configured rate; after the
    /// configured time no connection is accepted any more; requests that have come are answered, what was begun is written.
    public func stop() async {
        context.phase = .draining
        context.logger.info("draining", metadata: ["sockets": "\(context.sockets.counts.open)"])
        async let sockets: Void = closeSockets()
        try? await Task.sleep(nanoseconds: UInt64(max(0, context.configuration.drain.nanoseconds)))
        for (front, channel) in fronts where front != .admin { try? await channel.close() }
        await sockets
        await wakeUpCaller?.stop()
        await wait(for: .nanoseconds(context.configuration.drainRequests.nanoseconds)) { context.requestsUnderWay.value == 0 }
        await withCheckedContinuation { continuation in
            context.acknowledgements.finish { continuation.resume() }
        }
        context.bus.close()
        // The store ends what was begun before the event loops go, so that answers to accepted messages are still written.
        context.store.close()
        try? await eventLoops.shutdownGracefully()
        context.messageLog?.close()
        context.counters.add(.notesLost, context.bus.lostNotes)
        let counts = context.counters.nonZero.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
        context.logger.info("stopped", metadata: ["counters": "\(counts)"])
    }

    /// Closes the WebSockets in random order, which spreads those of each event loop, and waits until they are gone.
    private func closeSockets() async {
        let pace = DrainPace(rate: context.configuration.drainRate)
        let start = ContinuousClock.now
        var told: Set<ObjectIdentifier> = []
        // A handshake that was under way may bring one more.
        while case let rest = context.sockets.all.filter({ !told.contains($0.id) }), !rest.isEmpty {
            let sockets = rest.shuffled()
            let before = told.count
            var closed = 0
            while closed < sockets.count {
                let due = pace.due(after: (ContinuousClock.now - start) / .seconds(1), of: before + sockets.count) - before
                for socket in sockets[closed..<max(closed, due)] { socket.execute { $0.drain() } }
                closed = max(closed, due)
                if closed < sockets.count { try? await Task.sleep(for: .seconds(DrainPace.step)) }
            }
            told.formUnion(sockets.map(\.id))
        }
        await wait(for: Self.closingTime) { context.sockets.counts.open == 0 }
    }

    /// Waits until `condition` holds, for `time` at most.
    private func wait(for time: Duration, until condition: () -> Bool) async {
        let end = ContinuousClock.now + time
        while !condition(), ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(5)) }
    }
}
