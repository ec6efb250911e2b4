import NIOCore
import PushProtocol
import Synchronization

/// A device's open WebSocket, as other threads see it.
struct DeviceSocket: Sendable {
    let id: ObjectIdentifier
    private let session: NIOLoopBound<DeviceSession>

    init(_ session: DeviceSession, eventLoop: any EventLoop) {
        id = ObjectIdentifier(session)
        self.session = NIOLoopBound(session, eventLoop: eventLoop)
    }

    var eventLoop: any EventLoop { session.eventLoop }

    /// Runs `body` with the session on its event loop.
    func execute(_ body: @escaping @Sendable (DeviceSession) -> Void) {
        session.execute(body)
    }

    /// The session; only on its event loop.
    var onLoop: DeviceSession { session.value }
}

/// The WebSockets that this worker holds.
final class DeviceSockets: Sendable {
    private struct Tables {
        var open: [ObjectIdentifier: DeviceSocket] = [:]
        var devices: [DeviceID: DeviceSocket] = [:]
    }

    private let tables = Mutex(Tables())

    /// A WebSocket has been opened.
    func add(_ socket: DeviceSocket) {
        tables.withLock { $0.open[socket.id] = socket }
    }

    /// A WebSocket has been closed.
    func remove(_ socket: DeviceSocket) {
        tables.withLock { $0.open[socket.id] = nil }
    }

    /// `socket` is the device's from now on; returns the one that was.
    func claim(_ device: DeviceID, by socket: DeviceSocket) -> DeviceSocket? {
        tables.withLock { tables in
            defer { tables.devices[device] = socket }
            return tables.devices[device]
        }
    }

    /// `socket` is no longer the device's; `previous` is again, if it is still open.
    func release(_ device: DeviceID, by socket: DeviceSocket, to previous: DeviceSocket? = nil) {
        tables.withLock { tables in
            guard tables.devices[device]?.id == socket.id else { return }
            tables.devices[device] = previous.flatMap { tables.open[$0.id] }
        }
    }

    subscript(device: DeviceID) -> DeviceSocket? {
        tables.withLock { $0.devices[device] }
    }

    /// All open WebSockets.
    var all: [DeviceSocket] {
        tables.withLock { Array($0.open.values) }
    }

    /// The devices that are connected here.
    var devices: [DeviceID] {
        tables.withLock { Array($0.devices.keys) }
    }

    /// How many WebSockets are open, and how many of them are registered devices'.
    var counts: (open: Int, devices: Int) {
        tables.withLock { ($0.open.count, $0.devices.count) }
    }

    /// Tells those of `devices` that are here that they have messages up to a sequence number: one task for each event loop.
    func wake(_ devices: some Sequence<(device: DeviceID, sequence: Int64)>) {
        let found = tables.withLock { tables in
            devices.compactMap { entry in tables.devices[entry.device].map { (socket: $0, sequence: entry.sequence) } }
        }
        for (_, group) in Dictionary(grouping: found, by: { ObjectIdentifier($0.socket.eventLoop) }) {
            group[0].socket.eventLoop.execute {
                for (socket, sequence) in group { socket.onLoop.arrived(through: sequence) }
            }
        }
    }
}
