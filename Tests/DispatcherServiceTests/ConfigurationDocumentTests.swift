import Foundation
import Testing

@testable import DispatcherService

/// docs/configuration.md and the reader's table of keys say the same.
struct ConfigurationDocumentTests {
    struct Row: Equatable, CustomStringConvertible {
        var key: String
        var unit: String
        var standard: String
        var built: String

        var description: String { "\(key) | \(unit) | \(standard) | \(built)" }
    }

    private func documented() throws -> [Row] {
        try TestConfigurations.text(of: "docs/configuration.md").split(separator: "\n").filter { $0.hasPrefix("| `") }.map { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
            try #require(cells.count == 7, "\(line)")
            return Row(
                key: cells[1].trimmingCharacters(in: ["`"]), unit: cells[3], standard: cells[4].trimmingCharacters(in: ["`"]),
                built: cells[5])
        }
    }

    private var known: [Row] {
        ConfigurationKeys.all.map { key in
            Row(key: key.path, unit: key.unit, standard: key.isRequired ? "required" : key.standard ?? "-", built: key.built.rawValue)
        }
    }

    @Test func everyKeyIsDocumented() throws {
        let documented = try documented()
        for row in known { #expect(documented.contains(row), "\(row)") }
    }

    @Test func everythingDocumentedIsAKey() throws {
        for row in try documented() { #expect(known.contains(row), "\(row)") }
    }

    @Test func theExampleIsAccepted() throws {
        let text = try TestConfigurations.text(of: "docs/configuration.md")
        let start = try #require(text.range(of: "```yaml\n"))
        let end = try #require(text.range(of: "```", range: start.upperBound..<text.endIndex))
        #expect(TestConfigurations.complaints(String(text[start.upperBound..<end.lowerBound])) == [])
    }

    @Test func everyPlainDefaultReadsAsItsKind() {
        let inWords = ["limit.initial", "limit.minimum", "limit.maximum", "half of capacity", "4/5 of refuse-above"]
        for key in ConfigurationKeys.all {
            guard let standard = key.standard, !inWords.contains(standard) else { continue }
            #expect(throws: Never.self, "\(key.path)") { _ = try ConfigurationValue(standard, as: key.kind) }
        }
    }
}
