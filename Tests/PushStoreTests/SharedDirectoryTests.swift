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

    // MARK: Bus

    private final class Received: Sendable {
        let notes = Mutex<[BusNote]>([])

        /// Waits until as many notes have come, 5 s at most.
        func wait(for count: Int) async throws -> [BusNote] {
            for _ in 0..<500 where notes.withLock({ $0.count }) < count { try await Task.sleep(for: .milliseconds(10)) }
            return notes.withLock { $0 }
        }
    }

    private func bus(isMonitor: Bool) throws -> (DirectoryBus, Received) {
        let bus = try DirectoryBus(directory: directory.path, isMonitor: isMonitor)
        let received = Received()
        bus.start { note in received.notes.withLock { $0.append(note) } }
        return (bus, received)
    }

    @Test("Notes reach the worker they are for, in order, however many")
    func notes() async throws {
        let (one, _) = try bus(isMonitor: false)
        let (two, received) = try bus(isMonitor: true)
        let sent = (0..<3000).map { BusNote.arrived(sequence: Int64($0), devices: [DeviceID()]) }
        for note in sent { one.send(note, to: .worker(two.name)) }
        #expect(try await received.wait(for: sent.count) == sent)
        #expect(one.lostNotes == 0)
        one.close()
        two.close()
    }

    @Test("A note for a monitor finds one; the own one first")
    func monitors() async throws {
        let (one, atOne) = try bus(isMonitor: false)
        let (two, atTwo) = try bus(isMonitor: true)
        one.send(.accepted(application: 1, sequence: 2), to: .monitor)
        two.send(.accepted(application: 3, sequence: 4), to: .monitor)
        let notes = try await atTwo.wait(for: 2)
        #expect(Set(notes) == [.accepted(application: 1, sequence: 2), .accepted(application: 3, sequence: 4)])
        #expect(atOne.notes.withLock { $0.isEmpty })
        one.close()
        two.close()
    }

    @Test("A note for a worker that is gone is lost and counted; the files of dead workers are removed")
    func gone() async throws {
        let (one, _) = try bus(isMonitor: false)
        let (two, _) = try bus(isMonitor: true)
        two.close()
        one.send(.replaced(device: DeviceID(), connection: 1), to: .worker(two.name))
        for _ in 0..<500 where one.lostNotes == 0 { try await Task.sleep(for: .milliseconds(10)) }
        #expect(one.lostNotes == 1)
        // A worker that was killed leaves its file.
        let dead = "\(directory.path)/bus/\(WorkerName()).monitor"
        try #require(FileManager.default.createFile(atPath: dead, contents: nil))
        let (three, _) = try bus(isMonitor: false)
        #expect(!FileManager.default.fileExists(atPath: dead))
        one.close()
        three.close()
    }

    @Test("Every note survives its datagram; a broken datagram is none")
    func datagrams() {
        let notes: [BusNote] = [
            .accepted(application: 7, sequence: .max), .arrived(sequence: 1, devices: []),
            .arrived(sequence: 2, devices: [DeviceID(), DeviceID()]),
            .replaced(device: DeviceID(), connection: 9),
        ]
        for note in notes {
            let datagram = note.datagram
            #expect(BusNote(datagram: datagram) == note)
            #expect(BusNote(datagram: datagram.dropLast()) == nil)
            #expect(BusNote(datagram: [9] + datagram.dropFirst()) == nil)
        }
        #expect(BusNote(datagram: [UInt8]()) == nil)
        let most = BusNote.arrived(sequence: 1, devices: (0..<BusNote.deviceLimit).map { _ in DeviceID() })
        #expect(most.datagram.count <= BusNote.longest)
        #expect(BusNote(datagram: most.datagram) == most)
    }

    @Test("The in-process bus does the same")
    func inProcess() throws {
        let hub = InProcessBus.Hub()
        let (one, two) = (InProcessBus(hub: hub, isMonitor: false), InProcessBus(hub: hub, isMonitor: true))
        let received = Received()
        one.start { _ in Issue.record("nothing is for this one") }
        two.start { note in received.notes.withLock { $0.append(note) } }
        one.send(.accepted(application: 1, sequence: 2), to: .monitor)
        one.send(.arrived(sequence: 2, devices: []), to: .worker(two.name))
        #expect(received.notes.withLock { $0.count } == 2)
        two.close()
        one.send(.accepted(application: 1, sequence: 3), to: .monitor)
        #expect(one.lostNotes == 1)
    }
}
