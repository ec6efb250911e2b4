import PushProtocol
import Yams

/// The text of an operator table is bad.
public struct OperatorTableError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, with its line where it has one, for a person.
    public let description: String
}

extension OperatorTable {
    /// The table in a YAML text, whose one key `operators` has a list of:
    ///
    ///     - name: example                          # for the log
    ///       mcc: "214"
    ///       mnc: "07"
    ///       networks: [10.20.0.0/16, fd20::/48]    # where its devices are
    ///       wakeup: [http://10.20.0.1:8090]        # its NS-WakeUps, in the order in which they are asked
    ///       packet: udp                            # or tcp
    ///
    /// - Throws: `OperatorTableError`.
    public init(yaml: String) throws(OperatorTableError) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw OperatorTableError(description: "is no YAML: \(error)")
        }
        guard let root else { throw OperatorTableError(description: "is empty: it must have the key operators") }
        let top = try Entry(root, what: "the file", keys: ["operators"])
        var operators: [Operator] = []
        for node in try top.list("operators") {
            let entry = try Entry(node, what: "an operator", keys: ["name", "mcc", "mnc", "networks", "wakeup", "packet"])
            let one = try Self.operator(entry)
            // The second of two would never be asked.
            if let other = operators.first(where: { $0.network == one.network && !Set($0.networks).isDisjoint(with: one.networks) }) {
                throw entry.error("the networks of \(one.network.mcc)-\(one.network.mnc) are \(other.name)'s too", of: "networks")
            }
            operators.append(one)
        }
        self.init(operators)
    }

    private static func `operator`(_ entry: Entry) throws(OperatorTableError) -> Operator {
        let (mcc, mnc) = (try entry.code("mcc", digits: 3...3), try entry.code("mnc", digits: 2...3))
        var networks: [IPNetwork] = []
        for node in try entry.list("networks") {
            guard let network = IPNetwork(node.scalar?.string ?? "") else {
                throw entry.error("networks must be addresses or ADDRESS/LENGTH with zeros past the length", at: node)
            }
            networks.append(network)
        }
        var servers: [String] = []
        for node in try entry.list("wakeup") {
            let text = node.scalar?.string ?? ""
            guard let url = WakeUpServerURL(text) else { throw entry.error("wakeup must be URLs like http://10.20.0.1:8090", at: node) }
            servers.append(url.base)
        }
        let name = try entry.text("name") ?? "\(mcc)-\(mnc)"
        var result = Operator(name: name, network: MobileNetwork(mcc: mcc, mnc: mnc), networks: networks, wakeUpServers: servers)
        if let text = try entry.text("packet") {
            guard let packet = Operator.Packet(rawValue: text) else { throw entry.error("packet must be udp or tcp", of: "packet") }
            result.packet = packet
        }
        return result
    }

    /// A mapping whose keys are known.
    private struct Entry {
        let node: Node
        let mapping: Node.Mapping

        init(_ node: Node, what: String, keys: Set<String>) throws(OperatorTableError) {
            guard let mapping = node.mapping else { throw Self.error("\(what) must be a mapping", at: node) }
            for (key, _) in mapping where !keys.contains(key.scalar?.string ?? "") {
                throw Self.error("\(what) has no key \(key.scalar?.string ?? "of that kind")", at: key)
            }
            self.node = node
            self.mapping = mapping
        }

        private static func error(_ text: String, at node: Node) -> OperatorTableError {
            OperatorTableError(description: (node.mark.map { "line \($0.line): " } ?? "") + text)
        }

        func error(_ text: String, at node: Node) -> OperatorTableError { Self.error(text, at: node) }
        func error(_ text: String, of key: String) -> OperatorTableError { Self.error(text, at: mapping[Node(key)] ?? node) }

        /// A list that is not empty.
        func list(_ key: String) throws(OperatorTableError) -> [Node] {
            guard let value = mapping[Node(key)] else { throw error("\(key) is missing", at: node) }
            guard let list = value.sequence, !list.isEmpty else { throw error("\(key) must be a list with at least one entry", at: value) }
            return Array(list)
        }

        func text(_ key: String) throws(OperatorTableError) -> String? {
            guard let value = mapping[Node(key)] else { return nil }
            guard let text = value.scalar?.string, !text.isEmpty else { throw error("\(key) must be a text", at: value) }
            return text
        }

        /// A network's code: digits, whose leading zeros count.
        func code(_ key: String, digits: ClosedRange<Int>) throws(OperatorTableError) -> String {
            guard let text = try text(key) else { throw error("\(key) is missing", at: node) }
            guard digits.contains(text.utf8.count), text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
                let count = digits.count == 1 ? "\(digits.lowerBound)" : "\(digits.lowerBound) or \(digits.upperBound)"
                throw error("\(key) must have \(count) digits", of: key)
            }
            return text
        }
    }
}
