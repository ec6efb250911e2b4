import DispatcherCore
import Yams

/// A mapping of the file, read by the table of keys: unknown keys, wrong units and what is not built are reported when it is made.
struct ConfigurationSection {
    let problems: ConfigurationProblems
    /// As in the table; empty at the top.
    let path: String
    /// Where it begins.
    let line: Int
    /// Whether it was found wrong as a whole: then its keys are not missed as well.
    private var isWrong = false
    private var values: [String: Node] = [:]
    private var lines: [String: Int] = [:]

    /// - Parameters:
    ///   - node: nil when the file has none.
    ///   - isReported: whether this section was reported as not supported already; then only what is wrong with it is said.
    init(_ node: Node?, path: String, line: Int, problems: ConfigurationProblems, isReported: Bool = false) {
        self.problems = problems
        self.path = path
        self.line = node?.mark?.line ?? line
        guard let node, !node.isEmptyScalar else {
            isWrong = ConfigurationKeys.byPath[path]?.isRequired == true
            return
        }
        guard case .mapping(let mapping) = node else {
            isWrong = true
            problems.report(self.line, "\(path.isEmpty ? "the file" : path): this must be a section, a mapping of keys")
            return
        }
        for (name, value) in mapping {
            let line = name.mark?.line ?? self.line
            guard case .scalar(let scalar) = name, let key = ConfigurationKeys.byPath[full(scalar.string)] else {
                problems.report(line, "unknown key: \(full(name.shown))")
                continue
            }
            lines[scalar.string] = value.mark?.line ?? line
            values[scalar.string] = value
            judge(key, value, line: value.mark?.line ?? line, isReported: isReported)
        }
    }

    private func full(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }

    /// Reports a value that is not what its key wants, or not built.
    private func judge(_ key: ConfigurationKey, _ node: Node, line: Int, isReported: Bool) {
        switch key.kind {
        case .section where key.built == .later:
            // Such a feature is off unless named: naming it is the departure.
            if !isReported { problems.report(line, "not supported yet: \(key.path) (\(node.shown))") }
            _ = ConfigurationSection(node, path: key.path, line: line, problems: problems, isReported: true)
        case .section, .sections, .control: break
        case .anything:
            if key.built == .later && !isReported && node.shown != key.standard { reportLater(key, node, line) }
        case .endpoints, .addresses, .texts:
            let items = node.items
            if items.isEmpty { problems.report(line, "\(key.path): at least one is needed") }
            for item in items { judgeScalar(key, item, line: item.mark?.line ?? line, isReported: isReported) }
        default: judgeScalar(key, node, line: line, isReported: isReported)
        }
    }

    private func judgeScalar(_ key: ConfigurationKey, _ node: Node, line: Int, isReported: Bool) {
        guard case .scalar(let scalar) = node else { return problems.report(line, "\(key.path): this must be a single value") }
        do throws(ConfigurationValue.Misread) {
            let value = try ConfigurationValue(scalar.string, as: key.kind)
            if case .text(let text) = value, text.isEmpty, key.path != "services[].routes[].path-prefix" {
                return problems.report(line, "\(key.path): the value is missing")
            }
            guard !isReported else { return }
            switch key.built {
            case .yes: break
            case .partly:
                if !key.builtValues.isEmpty, !key.builtValues.contains(scalar.string) { reportLater(key, node, line) }
                if key.isIPv4Only, case .endpoint(let endpoint) = value, !endpoint.address.isIPv4 { reportLater(key, node, line) }
            case .later:
                guard let standard = key.standard, let usual = try? ConfigurationValue(standard, as: key.kind), usual == value else {
                    return reportLater(key, node, line)
                }
            }
        } catch {
            problems.report(line, "\(key.path): \(error.reason)")
        }
    }

    private func reportLater(_ key: ConfigurationKey, _ node: Node, _ line: Int) {
        problems.report(line, "not supported yet: \(key.path) (\(node.shown))")
    }

    // MARK: What its owner asks for

    /// The line of a key's value; the section's own when the file does not have it.
    func line(of name: String) -> Int { lines[name] ?? line }

    /// The line of the first of these keys that the file has; the section's own when it has none.
    func line(ofFirst names: [String]) -> Int { names.lazy.compactMap { lines[$0] }.first ?? line }

    func has(_ name: String) -> Bool { values[name] != nil }

    private func key(_ name: String) -> ConfigurationKey {
        guard let key = ConfigurationKeys.byPath[full(name)] else { preconditionFailure("\(full(name)) is not in the table of keys") }
        return key
    }

    private func requireThere(_ name: String, _ key: ConfigurationKey) {
        if key.isRequired && !isWrong && values[name] == nil { problems.report(line, "\(key.path): this key is missing") }
    }

    /// The value, or the default; nil when there is neither, or when it was wrong and has been reported.
    private func value(_ name: String) -> ConfigurationValue? {
        let key = key(name)
        if let node = values[name] {
            guard case .scalar(let scalar) = node else { return nil }
            if let value = try? ConfigurationValue(scalar.string, as: key.kind) { return value }
        }
        requireThere(name, key)
        return key.standard.flatMap { try? ConfigurationValue($0, as: key.kind) }
    }

    /// Empty when missing.
    func text(_ name: String) -> String {
        guard case .text(let text)? = value(name) else { return "" }
        return text
    }

    func optionalText(_ name: String) -> String? { has(name) ? text(name) : nil }

    /// - Parameter otherwise: the default where it follows from other keys.
    func number(_ name: String, otherwise: Int = 0) -> Int {
        guard case .number(let number)? = value(name) else { return otherwise }
        return number
    }

    func flag(_ name: String) -> Bool {
        guard case .flag(let flag)? = value(name) else { return false }
        return flag
    }

    func interval(_ name: String) -> Interval {
        guard case .interval(let interval)? = value(name) else { return .zero }
        return interval
    }

    func endpoint(_ name: String) -> Endpoint? {
        guard case .endpoint(let endpoint)? = value(name) else { return nil }
        return endpoint
    }

    /// One of a Swift enum's raw values; the table and the enum agree.
    func choice<T: RawRepresentable>(_ name: String, _ type: T.Type) -> T where T.RawValue == String {
        if let known = T(rawValue: text(name)) { return known }
        guard let standard = key(name).standard, let usual = T(rawValue: standard) else {
            preconditionFailure("\(full(name)) has no default")
        }
        return usual
    }

    /// The elements of a value that may be one or a list, each with its line; wrong ones, reported already, are left out.
    func each(_ name: String) -> [(value: ConfigurationValue, line: Int)] {
        let key = key(name)
        guard let node = values[name] else {
            requireThere(name, key)
            return []
        }
        return node.items.compactMap { item in
            guard case .scalar(let scalar) = item, let value = try? ConfigurationValue(scalar.string, as: key.kind) else { return nil }
            return (value, item.mark?.line ?? line(of: name))
        }
    }

    func section(_ name: String) -> ConfigurationSection {
        let key = key(name)
        requireThere(name, key)
        return ConfigurationSection(values[name], path: key.path, line: line(of: name), problems: problems)
    }

    /// The elements of a list of sections.
    func sections(_ name: String) -> [ConfigurationSection] {
        let key = key(name)
        guard let node = values[name] else {
            requireThere(name, key)
            return []
        }
        guard case .sequence(let sequence) = node, !sequence.isEmpty else {
            problems.report(line(of: name), "\(key.path): this must be a list with at least one element")
            return []
        }
        return sequence.map {
            ConfigurationSection($0, path: "\(key.path)[]", line: $0.mark?.line ?? line(of: name), problems: problems)
        }
    }

    /// The node of a key with a shape of its own.
    func node(_ name: String) -> Node? { values[name] }
}

extension Node {
    var isEmptyScalar: Bool {
        if case .scalar(let scalar) = self { return scalar.string.isEmpty }
        return false
    }

    /// Itself, or the elements of a list.
    fileprivate var items: [Node] {
        if case .sequence(let sequence) = self { return Array(sequence) }
        return [self]
    }

    /// On one line, as a person would write it.
    var shown: String {
        switch self {
        case .scalar(let scalar): scalar.string
        case .sequence(let sequence): "[" + sequence.map(\.shown).joined(separator: ", ") + "]"
        case .mapping(let mapping): "{ " + mapping.map { "\($0.key.shown): \($0.value.shown)" }.joined(separator: ", ") + " }"
        case .alias(let alias): "*\(alias.anchor.rawValue)"
        }
    }
}
