/// One thing that is wrong with a configuration file.
public struct ConfigurationProblem: Equatable, Sendable, CustomStringConvertible {
    public var file: String
    /// From 1.
    public var line: Int
    public var text: String

    public var description: String { "\(file):\(line): \(text)" }
}

/// Everything that is wrong with a configuration file, by line.
public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
    public var problems: [ConfigurationProblem]

    public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// Collects what is wrong, so that a person sees all of it at once.
final class ConfigurationProblems {
    let file: String
    private(set) var list: [ConfigurationProblem] = []

    init(file: String) { self.file = file }

    func report(_ line: Int, _ text: String) {
        let problem = ConfigurationProblem(file: file, line: line, text: text)
        if !list.contains(problem) { list.append(problem) }
    }

    /// By line; of one line, in the order of their finding.
    var sorted: [ConfigurationProblem] {
        list.enumerated().sorted { ($0.element.line, $0.offset) < ($1.element.line, $1.offset) }.map(\.element)
    }
}
