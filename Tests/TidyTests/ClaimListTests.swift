import Foundation
import Testing

/// docs/claims.md has a row for each claim of the source, and the tests that it names exist.
@Suite("The list of claims")
struct ClaimListTests {
    private struct Row {
        var claim: Int
        var tests: [(file: String, function: String)]
    }

    private func rows() throws -> [Row] {
        let text = try String(contentsOf: TidyTests.root.appendingPathComponent("docs/claims.md"), encoding: .utf8)
        return try text.split(separator: "\n").filter { $0.hasPrefix("| ") && !$0.hasPrefix("| claim") }.map { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
            try #require(cells.count == 5, "\(line)")
            let names = cells[3].split(separator: "`").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty && $0 != "," }
            try #require(!names.isEmpty && names.count.isMultiple(of: 2), "\(line)")
            let tests = stride(from: 0, to: names.count, by: 2).map { (names[$0], names[$0 + 1]) }
            return Row(claim: try #require(Int(cells[1]), "\(line)"), tests: tests)
        }
    }

    @Test("all 84 in order")
    func all() throws { #expect(try rows().map(\.claim) == Array(1...84)) }

    @Test("the tests exist")
    func exist() throws {
        for row in try rows() {
            for test in row.tests {
                let file = TidyTests.root.appendingPathComponent(test.file)
                guard let text = try? String(contentsOf: file, encoding: .utf8) else {
                    Issue.record("claim \(row.claim): there is no \(test.file)")
                    continue
                }
                let isThere: Bool
                if test.file.hasSuffix(".py") {
                    isThere = text.contains("\ndef \(test.function)(") || text.contains("\nasync def \(test.function)(")
                } else {
                    // A function that is a test, not one that helps: `@Test` stands between it and the function before it.
                    isThere =
                        text.range(of: "func \(test.function)(").map { found in
                            let before = text[..<found.lowerBound]
                            let start = before.range(of: "func ", options: .backwards)?.upperBound ?? before.startIndex
                            return before[start...].contains("@Test")
                        } ?? false
                }
                #expect(isThere, "claim \(row.claim): there is no test \(test.function) in \(test.file)")
            }
        }
    }
}
