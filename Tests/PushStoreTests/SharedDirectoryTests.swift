import Foundation
import PushProtocol
import Synchronization
import Testing

@testable import PushStore

@Suite("Push: stores and buses that share a directory")
struct SharedDirectoryTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test("Stores that open one empty directory at once agree")
    func openAtOnce() async throws {
        let path = directory.path
        let identities = try await withThrowingTaskGroup(of: UInt32.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let store = try SQLiteStore(directory: path)
                    defer { store.close() }
                    return store.identity
                }
            }
            return try await group.reduce(into: Set<UInt32>()) { $0.insert($1) }
        }
        #expect(identities.count == 1)
    }

    @Test("Two stores write at once; each sees what both accepted, in one order")
    func writeAtOnce() async throws {
        let stores = [try SQLiteStore(directory: directory.path), try SQLiteStore(directory: directory.path)]
        let (news, device) = (ApplicationPair.named("news"), DeviceID())
        try await stores[0].register(news, for: device)
        let sequences = try await withThrowingTaskGroup(of: Int64.self) { group in
            for index in 0..<400 {
                let store = stores[index % 2]
                group.addTask { try await store.post("\(index)", to: news.appToken) }
            }
            return try await group.reduce(into: [Int64]()) { $0.append($1) }
        }
        #expect(Set(sequences).count == 400)
        for store in stores {
            #expect(try await store.pendingSequences(device) == sequences.sorted())
            store.close()
        }
    }

    @Test("An acknowledgement through one store is seen through the other")
    func acknowledge() async throws {
        let (one, two) = (try SQLiteStore(directory: directory.path), try SQLiteStore(directory: directory.path))
        let (news, device) = (ApplicationPair.named("news"), DeviceID())
        try await one.register(news, for: device)
        let sequence = try await two.post("x", to: news.appToken)
        try await one.acknowledge([Acknowledgement(device: device, sequence: sequence)])
        #expect(try await two.pendingSequences(device).isEmpty)
        one.close()
        two.close()
    }

    @Test("Only one at a time holds the turn lock")
    func turns() async throws {
        let (one, two) = (try TurnLock(directory: directory.path), try TurnLock(directory: directory.path))
        final class Inside: Sendable {
            let count = Atomic<Int>(0)
        }
        let inside = Inside()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lock in [one, two] {
                group.addTask {
                    for _ in 0..<200 {
                        try lock.withLock {
                            #expect(inside.count.add(1, ordering: .sequentiallyConsistent).newValue == 1)
                            inside.count.subtract(1, ordering: .sequentiallyConsistent)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}
