import PushProtocol
import Synchronization

@testable import PushStore

/// The engines that the contract is tested with.
enum StoreEngine: CaseIterable, Sendable {
    case sqlite, memory

    /// A new, empty store.
    func make(machine: TestMachine = TestMachine()) throws -> EngineUnderTest {
        let directory = try TemporaryDirectory()
        let store: any MessageStore =
            switch self {
            case .sqlite: try SQLiteStore(directory: directory.path, machine: { machine.time }, reserve: 0)
            case .memory: MemoryStore(machine: { machine.time })
            }
        return EngineUnderTest(store: store, machine: machine, directory: directory)
    }
}

/// A store with what it stands on, until it is closed.
final class EngineUnderTest: Sendable {
    let store: any MessageStore
    let machine: TestMachine
    private let directory: TemporaryDirectory

    init(store: any MessageStore, machine: TestMachine, directory: TemporaryDirectory) {
        self.store = store
        self.machine = machine
        self.directory = directory
    }

    func close() {
        store.close()
    }
}

/// A machine whose clocks a test sets.
final class TestMachine: Sendable {
    static let day: Int64 = 86_400_000
    private let current: Mutex<MachineTime>

    init(wall: Int64 = 1_750_000_000_000, sinceBoot: Int64 = 1_000_000, boot: String = "first") {
        current = Mutex(MachineTime(wall: wall, sinceBoot: sinceBoot, boot: boot))
    }

    var time: MachineTime { current.withLock { $0 } }

    /// Time passes, in milliseconds.
    func pass(_ time: Int64) {
        current.withLock { current in
            current.wall += time
            current.sinceBoot += time
        }
    }

    /// Somebody sets the clock.
    func step(by time: Int64) {
        current.withLock { $0.wall += time }
    }

    /// The machine starts anew, its clock as given.
    func boot(_ name: String, wall: Int64) {
        current.withLock { $0 = MachineTime(wall: wall, sinceBoot: 5000, boot: name) }
    }
}
