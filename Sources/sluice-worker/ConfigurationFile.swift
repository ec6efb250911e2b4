import Foundation
import Yams

/// Everything that is wrong with a configuration file, with file and line.
struct ConfigurationFileError: Error, CustomStringConvertible {
    let description: String
    /// The file could not be read at all.
    var isUnreadable = false
}

/// The file that `--config` names: YAML, one mapping from the long options without their dashes to what would stand behind them.
///
/// An option that may be repeated takes a list; one without a value takes `true` or `false`. What the values mean is checked as on the
/// command line, and what is wrong is reported with the line.
struct ConfigurationFile {
    private struct Entry {
        let name: String
        /// From 1.
        let line: Int
        /// As on a command line.
        let arguments: [String]
    }

    private let path: String
    private let entries: [Entry]

    /// The file that the last `--config` among `arguments` names; nil: none.
    static func named(in arguments: [String]) throws -> ConfigurationFile? {
        var path: String?
        for (index, argument) in arguments.enumerated() {
            if argument == "--config", index + 1 < arguments.count { path = arguments[index + 1] }
            if argument.hasPrefix("--config=") { path = String(argument.dropFirst("--config=".count)) }
        }
        return try path.map { try ConfigurationFile($0) }
    }

    private init(_ path: String) throws {
        self.path = path
        guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8) else {
            throw ConfigurationFileError(
                description:
                    "cannot read the configuration file \(path); check that it exists, that it is a text, and that you may read it",
                isUnreadable: true)
        }
        var problems: [String] = []
        var entries: [Entry] = []
        for (key, value) in try Self.mapping(text, path: path) {
            do throws(ConfigurationFileError) {
                entries.append(try Self.entry(key, value))
            } catch {
                problems.append("\(path):\(key.mark?.line ?? 1): \(error)")
            }
        }
        guard problems.isEmpty else { throw ConfigurationFileError(description: problems.joined(separator: "\n")) }
        self.entries = entries
    }

    private static func mapping(_ text: String, path: String) throws -> [(Node, Node)] {
        func problem(_ line: Int, _ text: String) -> ConfigurationFileError {
            ConfigurationFileError(description: "\(path):\(line): \(text)")
        }
        do {
            guard let node = try Yams.compose(yaml: text) else { return [] }
            guard case .mapping(let mapping) = node else {
                throw problem(node.mark?.line ?? 1, "the file must be a mapping of options, such as ua-port: 8080")
            }
            return mapping.map { ($0.key, $0.value) }
        } catch YamlError.scanner(_, let reason, let mark, _), YamlError.parser(_, let reason, let mark, _),
            YamlError.composer(_, let reason, let mark, _)
        {
            throw problem(mark.line, "this is not YAML: \(reason)")
        } catch YamlError.duplicatedKeysInMapping(let duplicates, let context) {
            throw problem(context.mark.line, "given twice: \(duplicates.joined(separator: ", "))")
        } catch let error as YamlError {
            throw problem(1, "this is not YAML: \(error)")
        }
    }

    private static func entry(_ key: Node, _ value: Node) throws(ConfigurationFileError) -> Entry {
        let line = key.mark?.line ?? 1
        guard case .scalar(let scalar) = key, let option = CommandOption.all[scalar.string],
            !CommandOption.notInFile.contains(scalar.string)
        else {
            let names = CommandOption.all.keys.filter { !CommandOption.notInFile.contains($0) }.sorted().joined(separator: ", ")
            throw ConfigurationFileError(description: "unknown key: \(key.scalar?.string ?? "a list or a mapping"); there are \(names)")
        }
        let name = scalar.string
        var values: [String] = []
        switch value {
        case .scalar(let scalar): values = [value.null == nil ? scalar.string : ""]
        case .sequence(let items) where option.isRepeating:
            for item in items {
                guard case .scalar(let scalar) = item else {
                    throw ConfigurationFileError(description: "\(name): each element must be a single value")
                }
                values.append(scalar.string)
            }
        default:
            throw ConfigurationFileError(
                description: "\(name): this must be a single value\(option.isRepeating ? " or a list of them" : "")")
        }
        guard !values.contains("") else { throw ConfigurationFileError(description: "\(name): the value is missing") }
        if option.isFlag {
            guard values == ["true"] || values == ["false"] else {
                throw ConfigurationFileError(description: "\(name): \(values[0]) is not true or false")
            }
            return Entry(name: name, line: line, arguments: values == ["true"] ? ["--\(name)"] : [])
        }
        // With the sign between them, a value that begins with a dash is no option.
        return Entry(name: name, line: line, arguments: values.map { "--\(name)=\($0)" })
    }

    /// What the file says as command line arguments, but for options that are among `given`.
    func arguments(besides given: [String]) -> [String] {
        used(besides: given).flatMap(\.arguments)
    }

    private func used(besides given: [String]) -> [Entry] {
        entries.filter { entry in !given.contains { $0 == "--\(entry.name)" || $0.hasPrefix("--\(entry.name)=") } }
    }

    /// What is wrong with the command line, at its line of the file when it speaks of an option from there.
    func located(_ error: any Error, besides given: [String]) -> any Error {
        let message = WorkerCommand.message(for: error)
        let named = used(besides: given).first { entry in
            message.ranges(of: "--\(entry.name)").contains { range in
                range.upperBound == message.endIndex || !(message[range.upperBound].isLetter || message[range.upperBound] == "-")
            }
        }
        guard let named else { return error }
        return ConfigurationFileError(description: "\(path):\(named.line): \(message)")
    }
}
