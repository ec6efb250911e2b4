import Foundation
import GRDB
import PushProtocol
import Testing

@testable import PushStore

@Suite("Push: back-ups of a store")
struct StoreBackupTests {
    private let directory: TemporaryDirectory
    private let other: TemporaryDirectory
    private let device = DeviceID()
    private let news = ApplicationPair.named("news")

    init() throws {
        directory = try TemporaryDirectory()
        other = try TemporaryDirectory()
    }

    private var file: String { other.path + "/copy" }

    private func restore(to directory: TemporaryDirectory) throws -> SQLiteStore {
        try FileManager.default.copyItem(atPath: file, toPath: SQLiteStore.path(in: directory.path))
        return try SQLiteStore(directory: directory.path)
    }

    @Test("A back-up while the store writes is one instant of it: what was accepted before is there, in one piece")
    func whileWriting() async throws {
        let store = try SQLiteStore(directory: directory.path)
        try await store.register(news, for: device)
        var before: [Int64] = []
        for index in 0..<100 { before.append(try await store.post("\(index)", to: news.appToken)) }
        let writing = Task {
            var sequences: [Int64] = []
            while !Task.isCancelled { sequences.append(try await store.post("more", to: news.appToken)) }
            return sequences
        }
        try await Task.sleep(for: .milliseconds(30))
        let report = try StoreBackup.make(of: directory.path, to: file, replacing: false)
        writing.cancel()
        let all = before + (try await writing.value)
        #expect(try await store.pendingSequences(device, limit: .max) == all)
        store.close()
        #expect(try FileManager.default.contentsOfDirectory(atPath: other.path) == ["copy"])
        #expect(try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int == 0o600)

        let restored = try TemporaryDirectory()
        let copy = try self.restore(to: restored)
        let sequences = try await copy.pendingSequences(device, limit: .max)
        #expect(sequences.count >= before.count)
        #expect(sequences == Array(all.prefix(sequences.count)))
        #expect(report.messages == sequences.count)
        #expect(report.registrations == 1)
        #expect(copy.identity == store.identity)
        copy.close()
    }

    @Test("A restored store gives no number again that may have been given after the back-up, and goes on from there")
    func numbers() async throws {
        let store = try SQLiteStore(directory: directory.path)
        try await store.register(news, for: device)
        let kept = try await store.post("kept", to: news.appToken)
        _ = try StoreBackup.make(of: directory.path, to: file, replacing: false)
        let lost = try await store.post("lost", to: news.appToken)
        store.close()
        let restored = try TemporaryDirectory()
        let copy = try restore(to: restored)
        let new = try await copy.post("new", to: news.appToken)
        #expect(new > lost + 1_000_000_000)
        #expect(try await copy.pendingSequences(device) == [kept, new])
        try await copy.acknowledge([kept, new].map { Acknowledgement(device: device, sequence: $0) })
        #expect(try copy.rowCount(of: "message") == 0)
        copy.close()
        // Once, not at each start.
        let again = try SQLiteStore(directory: restored.path)
        #expect(try await again.post("next", to: news.appToken) == new + 1)
        again.close()
    }

    @Test("A back-up is refused where the log of another database lies")
    func foreignLog() async throws {
        let store = try SQLiteStore(directory: directory.path)
        try await store.register(news, for: device)
        _ = try StoreBackup.make(of: directory.path, to: file, replacing: false)
        store.close()
        let restored = try TemporaryDirectory()
        let log = SQLiteStore.path(in: restored.path) + "-wal"
        try Data(count: 100).write(to: URL(fileURLWithPath: log))
        let error = #expect(throws: StoreError.self) { try restore(to: restored) }
        guard case .unavailable(let reason)? = error else {
            Issue.record("it is unavailable")
            return
        }
        #expect(reason.contains("remove \(log)"))
        try FileManager.default.removeItem(atPath: log)
        let copy = try SQLiteStore(directory: restored.path)
        #expect(try await copy.applications(of: device) == [news.appToken])
        copy.close()
    }

    @Test("A file that exists is replaced only when that is said")
    func replacing() async throws {
        let store = try SQLiteStore(directory: directory.path)
        defer { store.close() }
        try Data("precious".utf8).write(to: URL(fileURLWithPath: file))
        let error = #expect(throws: StoreError.self) { try StoreBackup.make(of: directory.path, to: file, replacing: false) }
        guard case .unavailable(let reason)? = error else {
            Issue.record("it is unavailable")
            return
        }
        #expect(reason.contains(file) && reason.contains("--force"))
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "precious")
        _ = try StoreBackup.make(of: directory.path, to: file, replacing: true)
        #expect(try Data(contentsOf: URL(fileURLWithPath: file)).starts(with: Array("SQLite format 3".utf8)))
    }

    @Test("Of a damaged store there is no back-up, and of none neither; nothing is left")
    func damaged() async throws {
        let store = try SQLiteStore(directory: directory.path)
        try await store.register(news, for: device)
        store.close()
        let queue = try DatabaseQueue(path: SQLiteStore.path(in: directory.path))
        try await queue.write { try $0.execute(sql: "DELETE FROM application") }
        try queue.close()
        for source in [directory.path, other.path] {
            #expect(throws: StoreError.self) { try StoreBackup.make(of: source, to: file, replacing: false) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: other.path) == [])
        }
        #expect(throws: StoreError.self) { try StoreBackup.make(of: directory.path, to: other.path + "/no/copy", replacing: false) }
    }
}
