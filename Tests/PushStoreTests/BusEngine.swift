import PushProtocol
import Synchronization
import Testing

@testable import PushStore

/// The engines that the contract is tested with.
enum BusEngine: CaseIterable, Sendable {
    case inProcess, directory

    /// A place where buses of this engine meet.
    func meeting() throws -> Meeting {
        switch self {
        case .inProcess:
            let hub = InProcessBus.Hub()
            return Meeting(directory: nil) { InProcessBus(hub: hub, roles: $0) }
        case .directory:
            let directory = try TemporaryDirectory()
            return Meeting(directory: directory) { try DirectoryBus(directory: directory.path, roles: $0) }
        }
    }

    struct Meeting {
        /// Removed when the last bus no longer receives.
        let directory: TemporaryDirectory?
        let make: (Set<BusRole>) throws -> any MessageBus

        /// A started bus with what it receives.
        func join(_ roles: Set<BusRole> = []) throws -> (any MessageBus, ReceivedNotes) {
            let bus = try make(roles)
            let received = ReceivedNotes()
            bus.start({ [directory] note in withExtendedLifetime(directory) { received.add(note) } }, gone: { received.add(gone: $0) })
            return (bus, received)
        }
    }
}

/// The notes that a bus has received.
final class ReceivedNotes: Sendable {
    private let notes = Mutex<[BusNote]>([])
    private let names = Mutex<[WorkerName]>([])

    /// The workers that were said to be gone.
    var gone: [WorkerName] { names.withLock { $0 } }

    func add(gone name: WorkerName) {
        names.withLock { $0.append(name) }
    }

    var all: [BusNote] { notes.withLock { $0 } }

    func add(_ note: BusNote) {
        notes.withLock { $0.append(note) }
    }

    /// Waits until as many notes have come, 5 s at most; returns those that have.
    func wait(for count: Int) async throws -> [BusNote] {
        for _ in 0..<500 where all.count < count { try await Task.sleep(for: .milliseconds(10)) }
        return all
    }
}

/// Waits until `condition` holds, for 10 s at most.
func eventually(_ condition: () async throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    for _ in 0..<1000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("the condition did not become true within 10 s", sourceLocation: sourceLocation)
}
