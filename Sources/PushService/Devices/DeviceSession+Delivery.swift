import NIOCore
import PushProtocol
import PushStore

/// What a session knows of the messages on their way to its device.
struct DeliveryState {
    /// A message that was sent and is not yet acknowledged.
    struct InFlight {
        let sequence: Int64
        let appToken: AppToken
        /// When it was accepted, in milliseconds; 0: not known.
        let accepted: Int64
        /// When its time is over, by the store's clock; milliseconds.
        let expires: Int64
        /// When it is sent again.
        var due: NIODeadline
        /// What passes until it is sent again after that.
        var interval: TimeAmount
    }

    /// Every pending message up to this sequence number has been sent on this connection.
    var sentThrough: Int64 = 0
    /// The greatest sequence number that a note spoke of.
    var arrivedThrough: Int64 = 0
    /// The store may have messages after `sentThrough` that no note spoke of.
    var mayHaveMore = false
    /// The store is being read.
    var isReading = false
    /// An application was unregistered on this connection: a message that comes with a note may be one of it from before.
    private(set) var hasForgotten = false
    /// In the order in which they were sent first.
    var inFlight: [InFlight] = []
    /// The task that sends again what is due first.
    var redelivery: Scheduled<Void>?
    /// The task that looks whether what fills the window is still pending.
    var review: Scheduled<Void>?

    /// Returns what was in flight; nil: nothing by that number.
    mutating func acknowledged(_ sequence: Int64) -> InFlight? {
        inFlight.firstIndex { $0.sequence == sequence }.map { inFlight.remove(at: $0) }
    }

    /// The device has unregistered the application.
    mutating func forget(_ application: AppToken) {
        hasForgotten = true
        inFlight.removeAll { $0.appToken == application }
    }
}

extension DeviceSession {
    /// After a failed read of the store the next one waits.
    private static let pauseAfterFailure = TimeAmount.seconds(1)

    /// A message as a device gets it.
    func notification(_ message: StoredMessage) -> [UInt8] {
        message.body.notification(
            messageID: MessageID(store: context.store.identity, sequence: message.sequence),
            url: context.configuration.url(of: message.appToken))
    }

    /// The store has messages for the device up to this sequence number.
    func arrived(through sequence: Int64) {
        delivery.arrivedThrough = max(delivery.arrivedThrough, sequence)
        deliver()
    }

    /// The store has accepted `message` for the device. If everything before it has been sent, it is sent without reading the store.
    ///
    /// - Parameter previous: the greatest sequence number of an earlier message that the store had for the device; 0: it had none.
    func arrived(_ message: StoredMessage, previous: Int64) {
        guard isNext(message, previous: previous) else { return arrived(through: message.sequence) }
        delivery.arrivedThrough = message.sequence
        send([message], isAll: true, known: message.sequence)
    }

    /// Nothing else comes before the message, and it may be sent now.
    private func isNext(_ message: StoredMessage, previous: Int64) -> Bool {
        // What was accepted before the device connected is in the store's hands: it may have had a ttl of 0, or have been acknowledged.
        guard case .registered(_, let connection) = stage, message.sequence > connection.sequence else { return false }
        let hasSentAll = !delivery.isReading && !delivery.mayHaveMore && delivery.arrivedThrough <= delivery.sentThrough
        let isNext = message.sequence > delivery.sentThrough && previous <= delivery.sentThrough
        let hasRoom = delivery.inFlight.count < context.configuration.inFlightLimit && output?.isWritable == true
        return hasSentAll && isNext && hasRoom && !delivery.hasForgotten && message.expires > context.store.now
    }

    /// Sends what is pending and fits into the window. The store is read in the order in which it accepted, so whatever a note speaks of,
    /// the device gets what came before first.
    func deliver() {
        guard case .registered(let device, let connection) = stage, let output, output.isWritable, !delivery.isReading,
            delivery.mayHaveMore || delivery.arrivedThrough > delivery.sentThrough
        else { return }
        let room = context.configuration.inFlightLimit - delivery.inFlight.count
        guard room > 0 else { return scheduleReview() }
        var query = PendingQuery(device: device, limit: room, now: context.store.now)
        query.after = delivery.sentThrough
        query.transientAfter = connection.sequence
        delivery.isReading = true
        let known = delivery.arrivedThrough
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        context.store.pending(query) { outcome in
            bound.execute { session in
                session.delivery.isReading = false
                switch outcome {
                case .success(let messages): session.send(messages, isAll: messages.count < room, known: known)
                case .failure(let error): session.deliverLater(error)
                }
            }
        }
    }

    private func deliverLater(_ error: StoreError) {
        context.storeTrouble.failed(error)
        context.counters.add(.storeReadsFailed)
        delivery.mayHaveMore = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: Self.pauseAfterFailure) { bound.value.deliver() }
    }

    /// - Parameters:
    ///   - isAll: there are no more up to `known`, the greatest sequence number that was known when the store was asked.
    private func send(_ messages: [StoredMessage], isAll: Bool, known: Int64) {
        guard case .registered(let device, _) = stage, output != nil else { return }
        let interval = context.configuration.redelivery
        for message in messages {
            send(notification(message))
            context.counters.add(.notificationsSent)
            context.note(.sent, message.sequence, device: device, application: message.appToken)
            delivery.sentThrough = message.sequence
            if !message.isTransient {
                delivery.inFlight.append(
                    .init(
                        sequence: message.sequence, appToken: message.appToken, accepted: message.accepted, expires: message.expires,
                        due: .now() + interval, interval: interval))
            }
        }
        delivery.mayHaveMore = !isAll
        if isAll { delivery.sentThrough = max(delivery.sentThrough, known) }
        scheduleRedelivery()
        deliver()
    }

    // MARK: A full window

    /// More waits than fits: what has expired makes room at its time; what was acknowledged elsewhere, or unregistered, is seen a little later.
    private func scheduleReview() {
        guard delivery.review == nil, let first = delivery.inFlight.map(\.expires).min() else { return }
        let left = max(1, first - context.store.now)
        let longest = context.configuration.reread.nanoseconds / 1_000_000
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        delivery.review = eventLoop.scheduleTask(in: .milliseconds(min(left, longest))) { bound.value.review() }
    }

    /// Asks the store which of the messages in flight are still pending.
    private func review() {
        delivery.review = nil
        guard case .registered(let device, _) = stage, delivery.inFlight.count >= context.configuration.inFlightLimit,
            let first = delivery.inFlight.map(\.sequence).min(), let last = delivery.inFlight.map(\.sequence).max()
        else { return deliver() }
        var query = PendingQuery(device: device, limit: context.configuration.allMessagesLimit, now: context.store.now)
        query.after = first - 1
        query.through = last
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        context.store.pending(query) { outcome in
            bound.execute { session in
                switch outcome {
                case .success(let messages): session.settle(through: last, pending: Set(messages.map(\.sequence)))
                case .failure(let error): session.deliverLater(error)
                }
            }
        }
    }

    private func settle(through last: Int64, pending: Set<Int64>) {
        guard case .registered(let device, _) = stage else { return }
        delivery.inFlight.removeAll { message in
            guard message.sequence <= last, !pending.contains(message.sequence) else { return false }
            noteSettled(message.sequence, device)
            return true
        }
        deliver()
    }

    private func noteSettled(_ sequence: Int64, _ device: DeviceID) {
        context.note(.settled, sequence, device: device, reason: "expired, acknowledged elsewhere, or unregistered")
    }

    // MARK: Redelivery

    private func scheduleRedelivery() {
        guard delivery.redelivery == nil, let due = delivery.inFlight.map(\.due).min() else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        delivery.redelivery = eventLoop.scheduleTask(deadline: due) { bound.value.redeliver() }
    }

    /// Asks the store which of the messages that are due are still pending: not expired, not unregistered.
    private func redeliver() {
        delivery.redelivery = nil
        guard case .registered(let device, _) = stage else { return }
        let now = NIODeadline.now()
        let due = delivery.inFlight.filter { $0.due <= now }.map(\.sequence)
        guard let first = due.min(), let last = due.max() else { return scheduleRedelivery() }
        var query = PendingQuery(device: device, limit: context.configuration.allMessagesLimit, now: context.store.now)
        query.after = first - 1
        query.through = last
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        context.store.pending(query) { outcome in
            bound.execute { session in
                switch outcome {
                case .success(let messages): session.sendAgain(messages, due: due)
                case .failure(let error): session.redeliverLater(error)
                }
            }
        }
    }

    private func redeliverLater(_ error: StoreError) {
        context.storeTrouble.failed(error)
        context.counters.add(.storeReadsFailed)
        let later = NIODeadline.now() + Self.pauseAfterFailure
        for index in delivery.inFlight.indices { delivery.inFlight[index].due = max(delivery.inFlight[index].due, later) }
        scheduleRedelivery()
    }

    private func sendAgain(_ pending: [StoredMessage], due: [Int64]) {
        guard case .registered(let device, _) = stage, output != nil else { return }
        for sequence in due {
            guard let index = delivery.inFlight.firstIndex(where: { $0.sequence == sequence }) else { continue }
            guard let message = pending.first(where: { $0.sequence == sequence }) else {
                delivery.inFlight.remove(at: index)
                noteSettled(sequence, device)
                continue
            }
            send(notification(message))
            context.counters.add(.notificationsSentAgain)
            context.note(.sentAgain, sequence, device: device, application: message.appToken)
            delivery.inFlight[index].interval = delivery.inFlight[index].interval * 2
            delivery.inFlight[index].due = .now() + delivery.inFlight[index].interval
        }
        scheduleRedelivery()
        deliver()
    }
}
