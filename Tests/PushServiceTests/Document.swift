import Foundation

/// Files of this package.
enum Document {
    private static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// The text of the file at `path` from the package's folder.
    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    /// The cells of the tables' rows whose first cell begins with `beginning`.
    static func rows(_ path: String, beginning: String) throws -> [[String]] {
        try text(path).split(separator: "\n").filter { $0.hasPrefix("| " + beginning) }.map { line in
            // A bar within a cell is written with a backslash.
            line.replacing("\\|", with: "\u{1}").split(separator: "|", omittingEmptySubsequences: false).dropFirst().dropLast()
                .map { $0.trimmingCharacters(in: .whitespaces).replacing("\u{1}", with: "|") }
        }
    }
}
