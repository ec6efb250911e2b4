import Foundation

@testable import DispatcherService

enum TestConfigurations {
    /// The least that is accepted; one value a line, so that tests can name lines and replace values.
    static let least = """
        client-side:
          interface: fe0
        server-side:
          interface: be0
          source-addresses: [10.77.2.200]
        services:
          - name: files
            listen: 10.77.1.100:80
            routes:
              - pool: web
        pools:
          - name: web
            servers:
              - address: 10.77.2.11:8080
              - address: 10.77.2.12:8080
        """

    static func read(_ yaml: String) throws(ConfigurationError) -> Configuration { try Configuration(yaml: yaml, file: "c.yaml") }

    /// What is said of a file that is wrong.
    static func complaints(_ yaml: String) -> [String] {
        do throws(ConfigurationError) {
            _ = try read(yaml)
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    /// The repository's root, found from this file.
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func text(of path: String) throws -> String { try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8) }
}

/// A directory that goes away with its last reference.
final class TemporaryDirectory {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
