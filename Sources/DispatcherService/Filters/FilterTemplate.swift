import DispatcherCore

/// A libpcap expression with `$`-variables and comment lines, as the files in `Filters/` have them.
public struct FilterTemplate: Equatable, Sendable {
    /// The file's name, for messages.
    public var name: String
    public var text: String

    public init(name: String, text: String) {
        self.name = name
        self.text = text
    }

    /// What `$SERVICE_HOSTS` stands for: everything to an address that is ours alone; of what goes to one that the kernel owns as well, TCP
    /// to its services and ICMP, among which is what routers say of our segments.
    static func services(_ configuration: Configuration) -> String {
        let shared = configuration.kernelServiceAddresses.map { address in
            let ports = configuration.services.flatMap(\.listen).filter { $0.address == address }.map { "tcp dst port \($0.port)" }
            return kernels(address, ports)
        }
        return any(configuration.ownServiceAddresses.map { "dst host \($0)" } + shared)
    }

    /// What `$SOURCE_HOSTS` stands for: the same of the source addresses, and what servers that see their clients' own addresses send.
    static func sources(_ configuration: Configuration) -> String {
        let range = "tcp dst portrange \(configuration.ports.first)-\(configuration.ports.last)"
        let own = configuration.sourceAddresses.map { configuration.sourceIsKernels ? kernels($0, [range]) : "dst host \($0)" }
        let kept = configuration.keptServers.map { server in
            "(src host \(server.address) and (tcp src port \(server.port) or \(server.address.isIPv4 ? "icmp" : "icmp6")))"
        }
        return any(own + kept)
    }

    /// What `$SERVICE_GROUPS` and `$SOURCE_GROUPS` stand for: the IPv6 groups that our own addresses are members of; without an IPv6 address, all nodes alone, which harms nobody.
    static func groups(_ addresses: [IPAddress]) -> String {
        var groups = [IPAddress.allNodes]
        for address in addresses where !address.isIPv4 && !groups.contains(address.solicitedNodeGroup) {
            groups.append(address.solicitedNodeGroup)
        }
        return any(groups.map { "dst host \($0)" })
    }

    private static func kernels(_ address: IPAddress, _ ports: [String]) -> String {
        "(dst host \(address) and \(any([address.isIPv4 ? "icmp" : "icmp6"] + ports)))"
    }

    private static func any(_ terms: [String]) -> String { "(" + terms.joined(separator: " or ") + ")" }

    /// The expression, on one line, without comments.
    /// - Parameter variables: by name, without the `$`.
    /// - Throws: `FilterError` for a variable that nobody knows, and when nothing is left.
    public func expanded(_ variables: [String: String]) throws(FilterError) -> String {
        var words: [String] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let trimmed = line.drop { $0 == " " || $0 == "\t" }
            if trimmed.hasPrefix("#") { continue }
            let replaced = try replace(in: String(trimmed), variables, line: index + 1)
            words += replaced.split { $0 == " " || $0 == "\t" || $0 == "\r" }.map(String.init)
        }
        guard !words.isEmpty else { throw FilterError("\(name): there is no expression in it") }
        return words.joined(separator: " ")
    }

    private func replace(in line: String, _ variables: [String: String], line number: Int) throws(FilterError) -> String {
        var result = ""
        var rest = Substring(line)
        while let dollar = rest.firstIndex(of: "$") {
            result += rest[..<dollar]
            let after = rest[rest.index(after: dollar)...]
            let variable = after.prefix { $0.isASCII && ($0.isLetter || $0 == "_") }
            guard let value = variables[String(variable)] else {
                throw FilterError("\(name):\(number): unknown variable: $\(variable)")
            }
            result += value
            rest = after.dropFirst(variable.count)
        }
        return result + rest
    }
}

/// What is wrong with a capture filter.
public struct FilterError: Error, Equatable, CustomStringConvertible {
    public var description: String

    public init(_ description: String) { self.description = description }
}
