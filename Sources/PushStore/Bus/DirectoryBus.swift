import Foundation
import PushProtocol
import Synchronization

/// The bus between the processes that share a data directory: one Unix datagram socket a worker, in the directory `bus` there.
///
/// A socket's file is the worker's name, with a dot and its name behind it for each role that notes are for. Notes to the own worker take
/// no socket.
public final class DirectoryBus: MessageBus {
    /// How many notes may wait for one worker that does not read.
    static let waitingLimit = 8192
    /// How long a full queue is left alone.
    static let pause: TimeInterval = 0.001

    public let name = WorkerName()
    private let roles: Set<BusRole>
    private let path: String
    private let file: String
    private let socket: DatagramSocket
    private let outbox = Outbox()
    private let listener = Mutex<BusListener?>(nil)
    /// The files of workers that were found.
    private let found = Mutex<[WorkerName: String]>([:])
    private let isClosed = Atomic<Bool>(false)
    private let lost = Atomic<Int>(0)

    /// Binds a socket beneath `directory`, which must exist, and removes the files of workers that are gone.
    public init(directory: String, roles: Set<BusRole>) throws {
        self.roles = roles
        path = "\(directory)/bus"
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw StoreError.unavailable("cannot make the bus directory \(path): \(error.localizedDescription)")
        }
        file = BusRole.allCases.filter { roles.contains($0) }.reduce(name.description) { "\($0).\($1.rawValue)" }
        socket = try DatagramSocket(path: path, file: file)
        for other in files() where other != file && socket.send([], to: other) == .nobody { socket.remove(other) }
    }

    private func files() -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    }

    public func start(_ receive: @escaping @Sendable (BusNote) -> Void, gone: @escaping @Sendable (WorkerName) -> Void) {
        listener.withLock { $0 = BusListener(receive: receive, gone: gone) }
        let receiving = Thread { [self] in receiveLoop(receive) }
        receiving.name = "bus-receive"
        receiving.start()
        let sending = Thread { [self] in sendLoop() }
        sending.name = "bus-send"
        sending.start()
    }

    public func send(_ note: BusNote, to address: BusAddress) {
        if isOwn(address) {
            listener.withLock { $0 }?.receive(note)
            return
        }
        let datagram = note.datagram
        guard !sendsAtOnce(datagram, to: address) else { return }
        if !outbox.put(datagram, to: address, limit: Self.waitingLimit) { lost.add(1, ordering: .relaxed) }
    }

    /// Sends on the caller's thread if the worker is known and nothing waits for it; false: the outbox is to do it.
    private func sendsAtOnce(_ datagram: [UInt8], to address: BusAddress) -> Bool {
        guard case .worker(let name) = address, let target = found.withLock({ $0[name] }), outbox.isEmpty(for: address)
        else { return false }
        return socket.send(datagram, to: target) == .done
    }

    private func isOwn(_ address: BusAddress) -> Bool {
        switch address {
        case .worker(let name): name == self.name
        case .any(let role): roles.contains(role)
        }
    }

    public var lostNotes: Int { lost.load(ordering: .relaxed) }

    public func close() {
        guard !isClosed.exchange(true, ordering: .relaxed) else { return }
        outbox.close()
        // An empty datagram ends the receiving thread.
        _ = socket.send([], to: file)
        socket.remove(file)
        listener.withLock { $0 = nil }
    }

    // MARK: Receiving

    private func receiveLoop(_ receive: @Sendable (BusNote) -> Void) {
        var buffer = [UInt8](repeating: 0, count: BusNote.longest)
        while let datagram = socket.receive(into: &buffer), !isClosed.load(ordering: .relaxed) {
            // Empty ones ask whether somebody is there.
            if let note = BusNote(datagram: datagram) { receive(note) }
        }
    }

    // MARK: Sending

    private func sendLoop() {
        while let batch = outbox.take() {
            for address in batch {
                guard let target = target(of: address) else {
                    drop(address)
                    continue
                }
                send(to: target, address: address)
            }
        }
    }

    private func send(to target: String, address: BusAddress) {
        while let datagram = outbox.first(of: address) {
            switch socket.send(datagram, to: target) {
            case .done: outbox.removeFirst(of: address)
            case .later:
                outbox.postpone(address, by: Self.pause)
                return
            case .nobody:
                socket.remove(target)
                // Another one with the role may be there; a worker that is gone does not come back.
                if case .worker = address { drop(address) }
                return
            }
        }
    }

    private func drop(_ address: BusAddress) {
        lost.add(outbox.drop(address), ordering: .relaxed)
        guard case .worker(let name) = address else { return }
        found.withLock { $0[name] = nil }
        listener.withLock { $0 }?.gone(name)
    }

    /// The file of the socket that `address` stands for.
    private func target(of address: BusAddress) -> String? {
        switch address {
        case .any(let role): files().filter { $0.split(separator: ".").dropFirst().contains(role.rawValue[...]) }.randomElement()
        case .worker(let name): file(of: name)
        }
    }

    private func file(of worker: WorkerName) -> String? {
        if let known = found.withLock({ $0[worker] }) { return known }
        let file = files().first { $0.prefix { $0 != "." } == worker.description }
        if let file { found.withLock { $0[worker] = file } }
        return file
    }
}
