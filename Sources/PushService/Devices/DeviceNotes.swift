import NIOCore
import PushProtocol
import PushStore
import Synchronization

/// What the front for devices does with notes: it wakes the sessions; and it reads the store for what lost notes spoke of.
final class DeviceNotes: Sendable {
    private let context: WorkerContext
    private let eventLoop: any EventLoop
    /// The store has been looked through up to here; nil: not at all.
    private let seen = Mutex<Int64?>(nil)

    init(context: WorkerContext, eventLoop: any EventLoop) {
        self.context = context
        self.eventLoop = eventLoop
    }

    /// Begins to read the store at intervals.
    func start() {
        reread()
        scheduleConnectedNote()
    }

    /// Devices have a new message.
    func arrived(sequence: Int64, devices: [DeviceID]) {
        context.sockets.wake(devices.lazy.map { (device: $0, sequence: sequence) })
    }

    /// A device has a new message, which came with the note.
    func arrived(_ message: StoredMessage, device: DeviceID, previous: Int64) {
        context.sockets[device]?.execute { $0.arrived(message, previous: previous) }
    }

    /// A device has connected elsewhere.
    func replaced(device: DeviceID, connection: Int64) {
        context.sockets[device]?.execute { $0.replaced(by: connection) }
    }

    private func reread() {
        // Nobody is connected at the start: what is there already is read when devices register.
        let after = seen.withLock { $0 } ?? .max
        context.store.arrivals(for: context.bus.name, after: after) { [self] outcome in
            switch outcome {
            case .success(let arrivals):
                seen.withLock { $0 = arrivals.through }
                context.sockets.wake(arrivals.devices.lazy.map { (device: $0.key, sequence: $0.value) })
            case .failure(.closed): return
            case .failure(let error):
                context.storeTrouble.failed(error)
                context.counters.add(.storeReadsFailed)
            }
            eventLoop.scheduleTask(in: context.configuration.reread) { self.reread() }
        }
    }

    // MARK: Retention

    /// The most devices of one operation.
    private static let noteBatch = 500

    private func scheduleConnectedNote() {
        eventLoop.scheduleTask(in: context.configuration.connectedNote) { self.noteConnected(self.context.sockets.devices[...]) }
    }

    /// Devices that stay connected for long are not taken for gone. One operation after the other, so that others come between.
    private func noteConnected(_ devices: ArraySlice<DeviceID>) {
        guard !devices.isEmpty else { return scheduleConnectedNote() }
        context.store.noteConnected(Array(devices.prefix(Self.noteBatch))) { [self] outcome in
            switch outcome {
            case .success: noteConnected(devices.dropFirst(Self.noteBatch))
            case .failure(.closed): break
            case .failure(let error):
                context.storeTrouble.failed(error)
                scheduleConnectedNote()
            }
        }
    }
}
