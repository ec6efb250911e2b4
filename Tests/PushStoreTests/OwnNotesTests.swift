import Synchronization
import Testing

@testable import PushStore

@Suite("Store: notes to the own worker")
struct OwnNotesTests {
    /// As a worker has after a minute: with anything that grows by a layer for each note, the stack would end long before.
    private static let many = 300_000

    @Test("the buses hand on the three hundred thousandth note like the first", arguments: [true, false])
    func many(inDirectory: Bool) throws {
        let directory = try TemporaryDirectory()
        let bus: any MessageBus =
            try inDirectory
            ? DirectoryBus(directory: directory.path, roles: [.monitor]) : InProcessBus(hub: InProcessBus.Hub(), roles: [.monitor])
        defer { bus.close() }
        let received = Mutex<Int64>(0)
        bus.start({ note in if case .accepted(_, let sequence) = note { received.withLock { $0 += sequence } } }, gone: { _ in })
        for number in 1...Int64(Self.many) {
            bus.send(.accepted(application: 1, sequence: number), to: number.isMultiple(of: 2) ? .any(.monitor) : .worker(bus.name))
        }
        #expect(received.withLock { $0 } == Int64(Self.many) * Int64(Self.many + 1) / 2)
        #expect(bus.lostNotes == 0)
    }
}
