import PushProtocol
import Synchronization

@testable import PushStore

/// A second engine, for tests only: the contract of `MessageStore` in plain collections, without anything on disk.
final class MemoryStore: MessageStore {
    private struct Message {
        let application: Int64
        let token: AppToken
        let body: NotificationBody
        let expires: Int64
        let isTransient: Bool
        let accepted: Int64
    }

    private struct Socket {
        var worker: WorkerName?
        let connection: Int64
        var target: WakeUpTarget?
        /// When the next wake-up is due, and how many there were.
        var due: Int64?
        var attempt = 0
    }

    private struct State {
        var isClosed = false
        var sequence: Int64 = 0
        var connections: Int64 = 0
        var numbers: Int64 = 0
        var applications: [AppToken: (number: Int64, pair: ApplicationPair)] = [:]
        /// The last sequence number when the device registered the application.
        var registrations: [DeviceID: [Int64: Int64]] = [:]
        var messages: [Int64: Message] = [:]
        var acknowledged: [DeviceID: Set<Int64>] = [:]
        var sockets: [DeviceID: Socket] = [:]
        var days: [DeviceID: Int64] = [:]
        var replays: [Int64: [ReplayKey: (sequence: Int64, expires: Int64)]] = [:]
    }

    let identity = UInt32.random(in: 0 ... .max)
    private let state = Mutex(State())
    private let machine: @Sendable () -> MachineTime

    init(machine: @escaping @Sendable () -> MachineTime) {
        self.machine = machine
    }

    var now: Int64 { machine().sinceBoot }

    private func run<Value>(_ then: Completion<Value>, _ body: (inout State) -> Value) {
        let outcome: Result<Value, StoreError> = state.withLock { state in
            state.isClosed ? .failure(.closed) : .success(body(&state))
        }
        then(outcome)
    }

    // MARK: Devices

    func connect(
        _ device: DeviceID, to worker: WorkerName, wakeUp: WakeUpTarget?, then: @escaping Completion<DeviceConnection>
    ) {
        let day = now / 86_400_000
        run(then) { state in
            state.connections += 1
            let previous = state.sockets[device]
            let attempt = previous?.attempt ?? 0
            state.sockets[device] = Socket(worker: worker, connection: state.connections, target: wakeUp, attempt: attempt)
            state.days[device] = day
            return DeviceConnection(
                number: state.connections, previousWorker: previous?.worker, sequence: state.sequence,
                wasWoken: previous?.worker == nil && attempt > 0)
        }
    }

    func disconnect(
        _ device: DeviceID, connection: Int64, sentThrough: Int64, pauses: WakeUpPauses, now: Int64, then: @escaping Completion<Bool>
    ) {
        run(then) { state in
            guard var socket = state.sockets[device], socket.connection == connection else { return false }
            guard state.registrations[device] != nil else {
                state.sockets[device] = nil
                state.days[device] = nil
                return false
            }
            socket.worker = nil
            if socket.target != nil {
                if Self.hasPending(device, after: sentThrough, now: now, state) {
                    (socket.due, socket.attempt) = (now, 0)
                } else if Self.hasPending(device, after: 0, now: now, state) {
                    socket.attempt += 1
                    socket.due = pauses.due(after: socket.attempt, at: now)
                } else {
                    (socket.due, socket.attempt) = (nil, 0)
                }
            }
            state.sockets[device] = socket
            return socket.target != nil && socket.due == now
        }
    }

    // MARK: Wake-ups

    func setWakeUp(_ target: WakeUpTarget?, of device: DeviceID, connection: Int64, then: @escaping Completion<Void>) {
        run(then) { state in
            if state.sockets[device]?.connection == connection { state.sockets[device]?.target = target }
        }
    }

    func disconnectAll(of worker: WorkerName, now: Int64, then: @escaping Completion<Int>) {
        run(then) { state in
            let devices = state.sockets.filter { $0.value.worker == worker }
            for (device, socket) in devices {
                state.sockets[device] = Socket(
                    worker: nil, connection: socket.connection, target: socket.target, due: socket.target.map { _ in now })
            }
            return devices.count
        }
    }

    func requestWakeUps(of application: Int64, now: Int64, then: @escaping Completion<Int>) {
        run(then) { state in
            let sleepers = state.sockets.filter { Self.isSleeper($0.key, $0.value, of: application, state) }
            for device in sleepers.keys { (state.sockets[device]!.due, state.sockets[device]!.attempt) = (now, 0) }
            return sleepers.count
        }
    }

    func takeWakeUps(limit: Int, pauses: WakeUpPauses, now: Int64, then: @escaping Completion<WakeUps>) {
        run(then) { state in
            let due = state.sockets.filter { $0.value.worker == nil && $0.value.due ?? .max <= now }
            var (taken, needless): ([WakeUp], Int) = ([], 0)
            for (device, socket) in due.sorted(by: { $0.value.due! < $1.value.due! }).prefix(limit) {
                var socket = socket
                if let target = socket.target, Self.hasPending(device, after: 0, now: now, state) {
                    socket.attempt += 1
                    socket.due = pauses.due(after: socket.attempt, at: now)
                    taken.append(WakeUp(device: device, target: target, attempt: socket.attempt))
                } else {
                    needless += 1
                    (socket.due, socket.attempt) = (nil, 0)
                }
                state.sockets[device] = socket
            }
            return WakeUps(due: taken, needless: needless, next: state.sockets.values.compactMap(\.due).min())
        }
    }

    func noteAwake(_ device: DeviceID, then: @escaping Completion<Bool>) {
        run(then) { state in
            guard let socket = state.sockets[device], socket.worker == nil, socket.attempt > 0 else { return false }
            (state.sockets[device]!.due, state.sockets[device]!.attempt) = (nil, 0)
            return true
        }
    }

    private static func isSleeper(_ device: DeviceID, _ socket: Socket, of application: Int64, _ state: State) -> Bool {
        socket.worker == nil && socket.target != nil && socket.due == nil && state.registrations[device]?[application] != nil
    }

    private static func hasPending(_ device: DeviceID, after: Int64, now: Int64, _ state: State) -> Bool {
        state.messages.contains { sequence, message in
            isFor(device, sequence, message, state) && sequence > after && !message.isTransient && message.expires > now
                && state.acknowledged[device]?.contains(sequence) != true
        }
    }

    // MARK: Retention

    func noteConnected(_ devices: [DeviceID], then: @escaping Completion<Void>) {
        let day = now / 86_400_000
        run(then) { state in
            for device in devices where state.days[device] != nil { state.days[device] = day }
        }
    }

    func forget(_ device: DeviceID, then: @escaping Completion<Void>) {
        run(then) { Self.forget(device, &$0) }
    }

    func removeUnseen(since: Int64, then: @escaping Completion<Int>) {
        run(then) { state in
            let devices = state.days.filter { $0.value < since / 86_400_000 }.keys.prefix(SQLiteStore.unseenBatch)
            for device in devices { Self.forget(device, &state) }
            return devices.count
        }
    }

    private static func forget(_ device: DeviceID, _ state: inout State) {
        let applications = state.registrations.removeValue(forKey: device)?.keys.map { $0 } ?? []
        state.acknowledged[device] = nil
        state.sockets[device] = nil
        state.days[device] = nil
        for application in applications { removeIfUnregistered(application, &state) }
    }

    private static func removeIfUnregistered(_ application: Int64, _ state: inout State) {
        guard !state.registrations.values.contains(where: { $0[application] != nil }) else { return }
        state.applications = state.applications.filter { $0.value.number != application }
        state.messages = state.messages.filter { $0.value.application != application }
    }

    // MARK: Registrations

    func register(
        _ application: ApplicationPair, for device: DeviceID, limit: Int, then: @escaping Completion<RegistrationOutcome>
    ) {
        let day = now / 86_400_000
        run(then) { state in
            let token = application.appToken
            let found = state.applications[token]
            if let found, found.pair != application { return .appTokenInUse }
            let own = state.registrations[device] ?? [:]
            if found.map({ own[$0.number] == nil }) ?? true, own.count >= limit { return .tooMany }
            if found == nil {
                state.numbers += 1
                state.applications[token] = (state.numbers, application)
            }
            guard let number = state.applications[token]?.number else { return .appTokenInUse }
            if state.registrations[device]?[number] == nil { state.registrations[device, default: [:]][number] = state.sequence }
            state.days[device] = day
            return .registered
        }
    }

    func unregister(_ application: ApplicationPair, for device: DeviceID, then: @escaping Completion<Bool>) {
        run(then) { state in
            guard let found = state.applications[application.appToken], found.pair == application else { return false }
            let number = found.number
            guard state.registrations[device]?.removeValue(forKey: number) != nil
            else { return false }
            if state.registrations[device]?.isEmpty == true { state.registrations[device] = nil }
            Self.removeIfUnregistered(number, &state)
            return true
        }
    }

    func applications(of device: DeviceID, then: @escaping Completion<[AppToken]>) {
        run(then) { state in
            let numbers = state.registrations[device] ?? [:]
            return state.applications.filter { numbers[$0.value.number] != nil }.sorted { $0.value.number < $1.value.number }.map(\.key)
        }
    }

    func application(_ token: AppToken, then: @escaping Completion<Application?>) {
        run(then) { state in state.applications[token].map { Application(number: $0.number, pbkbase64: $0.pair.pbkbase64) } }
    }

    func recipients(of application: Int64, then: @escaping Completion<Recipients>) {
        run(then) { state in
            Recipients(
                connected: state.sockets.compactMap { device, socket in
                    guard state.registrations[device]?[application] != nil, let worker = socket.worker else { return nil }
                    return Recipient(device: device, worker: worker)
                }, hasSleepers: state.sockets.contains { Self.isSleeper($0.key, $0.value, of: application, state) })
        }
    }

    // MARK: Messages

    func accept(_ message: NewMessage, then: @escaping Completion<Acceptance?>) {
        run(then) { state in
            guard let token = state.applications.first(where: { $0.value.number == message.application })?.key else { return nil }
            if let key = message.replayKey, let first = state.replays[message.application]?[key], first.expires > message.accepted {
                return Acceptance(sequence: first.sequence, isReplay: true)
            }
            state.sequence += 1
            let expires = message.accepted + (message.ttl == 0 ? SQLiteStore.transientLifetime : message.ttl * 1000)
            state.messages[state.sequence] = Message(
                application: message.application, token: token, body: message.body, expires: expires, isTransient: message.ttl == 0,
                accepted: message.accepted)
            if let key = message.replayKey { state.replays[message.application, default: [:]][key] = (state.sequence, expires) }
            return Acceptance(sequence: state.sequence, isReplay: false, routes: Self.routes(of: message, expires: expires, state))
        }
    }

    private static func routes(of message: NewMessage, expires: Int64, _ state: State) -> MessageRoutes? {
        let devices = state.registrations.filter { $0.value[message.application] != nil }.keys
        let hasSleepers = state.sockets.contains { isSleeper($0.key, $0.value, of: message.application, state) }
        guard message.wantsRoutes, devices.count <= MessageRoutes.limit, !hasSleepers else { return nil }
        let connected = devices.compactMap { device -> MessageRoute? in
            guard let worker = state.sockets[device]?.worker else { return nil }
            let earlier = state.messages.filter { $0.key < state.sequence && state.registrations[device]?[$0.value.application] != nil }
            return MessageRoute(recipient: Recipient(device: device, worker: worker), previous: earlier.keys.max() ?? 0)
        }
        return MessageRoutes(expires: expires, connected: connected)
    }

    /// The message is for the device: it was accepted after the registration.
    private static func isFor(_ device: DeviceID, _ sequence: Int64, _ message: Message, _ state: State) -> Bool {
        state.registrations[device]?[message.application].map { sequence > $0 } ?? false
    }

    func acknowledge(_ acknowledgements: [Acknowledgement], then: @escaping Completion<Int>) {
        run(then) { state in
            var ignored = 0
            for acknowledgement in acknowledgements {
                guard let message = state.messages[acknowledgement.sequence],
                    Self.isFor(acknowledgement.device, acknowledgement.sequence, message, state),
                    message.isTransient
                        || state.acknowledged[acknowledgement.device, default: []].insert(acknowledgement.sequence).inserted
                else {
                    ignored += 1
                    continue
                }
            }
            return ignored
        }
    }

    func pending(_ query: PendingQuery, then: @escaping Completion<[StoredMessage]>) {
        run(then) { state in
            let messages = state.messages.filter { sequence, message in
                Self.isFor(query.device, sequence, message, state) && sequence > query.after && sequence <= query.through
                    && message.expires > query.now && state.acknowledged[query.device]?.contains(sequence) != true
                    && (!message.isTransient || sequence > query.transientAfter ?? .max)
            }
            return messages.sorted { $0.key < $1.key }.prefix(query.limit).map {
                StoredMessage(
                    sequence: $0.key, appToken: $0.value.token, body: $0.value.body, isTransient: $0.value.isTransient,
                    accepted: $0.value.accepted, expires: $0.value.expires)
            }
        }
    }

    func arrivals(for worker: WorkerName, after: Int64, then: @escaping Completion<Arrivals>) {
        run(then) { state in
            var devices: [DeviceID: Int64] = [:]
            for (device, socket) in state.sockets where socket.worker == worker {
                for (sequence, message) in state.messages where sequence > after {
                    if state.registrations[device]?[message.application] != nil { devices[device] = max(devices[device] ?? 0, sequence) }
                }
            }
            return Arrivals(devices: devices, through: state.sequence)
        }
    }

    func removeExpired(now: Int64, then: @escaping Completion<[ExpiredMessage]>) {
        run(then) { state in
            let expired = state.messages.filter { $0.value.expires <= now }.prefix(SQLiteStore.expiryBatch)
            for sequence in expired.map(\.key) { state.messages[sequence] = nil }
            return expired.map { ExpiredMessage(sequence: $0.key, isTransient: $0.value.isTransient) }
        }
    }

    func close() {
        state.withLock { $0.isClosed = true }
    }
}
