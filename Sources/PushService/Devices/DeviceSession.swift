import NIOCore
import PushProtocol
import PushStore

/// One device's side of a WebSocket: commands in, answers and notifications out. Lives on its event loop.
///
/// Commands are handled one after the other: the next waits until the store has answered the one before.
final class DeviceSession {
    enum Stage {
        /// No valid token has come; then `polled`, `registering` or `closed`.
        case anonymous
        /// getAllMessages has shown a token of this device, which may acknowledge; then as `anonymous`.
        case polled(DeviceID)
        /// registerUA waits for the store; then `registered`, or back to `anonymous` when the store failed.
        case registering(DeviceID)
        /// Messages come; then `closed`.
        case registered(DeviceID, DeviceConnection)
        /// The socket is gone.
        case closed
    }

    /// As many commands may wait before the socket is no longer read.
    private static let waitingLimit = 16
    private static let ping = Array("PING".utf8)
    private static let pong = Array("PONG".utf8)

    let context: WorkerContext
    let eventLoop: any EventLoop
    weak var output: (any DeviceOutput)?
    var stage = Stage.anonymous
    /// The greatest number of a newer connection that has taken over while this one was registering.
    var replacedBy: Int64 = 0
    var delivery = DeliveryState()
    private var waiting: [ByteBuffer] = []
    private var isBusy = false
    private var isEnding = false
    /// The device has closed; called when all that it said before is done.
    private var finished: (@Sendable () -> Void)?
    /// The device has acknowledged something on this connection.
    var hasAcknowledged = false
    /// The device has as many applications as it may; the store need not be asked again.
    var hasAllApplications = false
    /// The device can be woken, so its socket ends when nothing has passed for a while.
    var sleeps = false
    /// When a message, command or answer passed last; pings are none.
    var lastTraffic = NIODeadline.now()
    var sleepTask: Scheduled<Void>?

    init(context: WorkerContext, eventLoop: any EventLoop) {
        self.context = context
        self.eventLoop = eventLoop
    }

    /// How other threads reach the session.
    var socket: DeviceSocket { DeviceSocket(self, eventLoop: eventLoop) }

    /// More commands wait than should.
    var isCongested: Bool { waiting.count >= Self.waitingLimit }

    // MARK: Life

    func opened() {
        context.sockets.add(socket)
    }

    /// The device closes: `then` is called on the event loop when the commands that came before are done and its acknowledgements are
    /// written. Whoever waits for it does not get an acknowledged message again, whichever worker it goes to next.
    func finish(then: @escaping @Sendable () -> Void) {
        finished = then
        handleWaiting()
    }

    /// The socket is gone.
    func closed() {
        context.sockets.remove(socket)
        if hasAcknowledged { context.acknowledgements.flush() }
        if case .registered(let device, let connection) = stage {
            context.sockets.release(device, by: socket)
            context.noteDisconnected(device, connection: connection.number, sentThrough: delivery.sentThrough)
        }
        stage = .closed
        ended()
    }

    /// Nothing more is to be done: the closing handshake has begun.
    func ended() {
        isEnding = true
        waiting = []
        finished = nil
        delivery.redelivery?.cancel()
        delivery.review?.cancel()
        delivery.redelivery = nil
        sleepTask?.cancel()
        sleepTask = nil
    }

    /// Closes the socket with `code`.
    func end(_ code: UInt16) {
        output?.close(code)
    }

    /// The worker drains.
    func drain() {
        guard !isEnding else { return }
        context.counters.add(.socketsClosedDraining)
        end(CloseCode.restart)
    }

    /// The device has a newer connection, here or at another worker.
    func replaced(by connection: Int64) {
        switch stage {
        case .registering: replacedBy = max(replacedBy, connection)
        case .registered(_, let mine) where connection > mine.number:
            context.counters.add(.socketsClosedReplaced)
            end(CloseCode.replaced)
        default: break
        }
    }

    // MARK: Commands

    /// A text has come.
    func receive(_ text: ByteBuffer) {
        guard !isEnding else { return }
        waiting.append(text)
        handleWaiting()
    }

    private func handleWaiting() {
        while !isBusy, !isEnding, !waiting.isEmpty { handle(waiting.removeFirst()) }
        guard !isBusy, !isEnding, let then = finished.take() else { return }
        guard hasAcknowledged else { return then() }
        let eventLoop = eventLoop
        context.acknowledgements.flush { eventLoop.execute(then) }
    }

    private func handle(_ text: ByteBuffer) {
        guard !text.readableBytesView.elementsEqual(Self.ping) else {
            output?.send(Self.pong)
            return
        }
        lastTraffic = .now()
        let outcome = text.withUnsafeReadableBytes { bytes -> Result<DeviceCommand, DeviceRefusal> in
            do throws(DeviceRefusal) {
                return .success(try DeviceCommand(frame: bytes, permittedBits: context.configuration.permittedKeyBits))
            } catch {
                return .failure(error)
            }
        }
        switch outcome {
        case .success(let command): perform(command)
        case .failure(let refusal): refuse(refusal)
        }
    }

    func reply(_ reply: DeviceReply) {
        send(reply.bytes)
    }

    /// Sends anything but an answer to a ping.
    func send(_ text: [UInt8]) {
        lastTraffic = .now()
        output?.send(text)
    }

    func refuse(_ refusal: DeviceRefusal) {
        context.counters.add(refusal.statusCode == 503 ? .deviceCommandsUnavailable : .deviceCommandsRefused)
        send(refusal.bytes)
        if let code = refusal.closeCode { end(code) }
    }

    /// Holds back the next command until the store has answered; `then` runs on the event loop.
    func ask<Value: Sendable>(
        _ start: (@escaping @Sendable (Result<Value, StoreError>) -> Void) -> Void,
        then: @escaping @Sendable (DeviceSession, Result<Value, StoreError>) -> Void
    ) {
        isBusy = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        start { result in
            bound.execute { session in
                if case .failure(let error) = result { session.context.storeTrouble.failed(error) }
                then(session, result)
                session.isBusy = false
                session.handleWaiting()
                session.output?.resumeReading()
            }
        }
    }
}
