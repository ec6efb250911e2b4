import Foundation
import PushProtocol
import Testing

@testable import PushService

@Suite("Push: token key file")
struct TokenKeyFileTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/token-keys" }

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test("Workers that start at once agree on one key, in a file that only the owner can read")
    func atOnce() async throws {
        let path = path
        let found = try await withThrowingTaskGroup(of: TokenKeys.self) { group in
            for _ in 0..<16 { group.addTask { try TokenKeyFile.loadOrCreate(path) } }
            return try await group.reduce(into: Set<TokenKeys>()) { $0.insert($1) }
        }
        #expect(found.count == 1)
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["token-keys"])
    }

    @Test("A file that others can read is refused with what to do")
    func open() throws {
        _ = try TokenKeyFile.loadOrCreate(path)
        try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
        let error = #expect(throws: WorkerError.self) { try TokenKeyFile.loadOrCreate(path) }
        #expect(error?.description.contains("chmod 600") == true)
        #expect(error?.isPermission == true)
    }

    @Test("A damaged file is refused and not overwritten")
    func damaged() throws {
        #expect(FileManager.default.createFile(atPath: path, contents: Data("what".utf8), attributes: [.posixPermissions: 0o600]))
        #expect(throws: WorkerError.self) { try TokenKeyFile.loadOrCreate(path) }
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "what")
    }
}
