import PacketIO

/// The filters of both sides: where they come from, and what they are for a configuration.
public struct CaptureFilters: Equatable, Sendable {
    public var client: FilterTemplate
    public var server: FilterTemplate
    /// Where they were found, for messages.
    public var origin: String

    static let clientName = "client-side.filter"
    static let serverName = "server-side.filter"

    /// The copies that are compiled in; a test holds them equal to the files.
    public static var builtIn: CaptureFilters {
        CaptureFilters(
            client: FilterTemplate(name: clientName, text: builtInClient), server: FilterTemplate(name: serverName, text: builtInServer),
            origin: "compiled in")
    }

    /// Looks in the directory that was named, else beside the executable, else takes the compiled-in copies.
    /// - Parameters:
    ///   - directory: of `--filters`; its files must be there.
    ///   - executable: the path of this program.
    ///   - read: the text of a file, nil when there is none.
    public static func find(directory: String?, executable: String, read: (String) -> String?) throws(FilterError) -> CaptureFilters {
        if let directory {
            guard let found = load(directory, read) else {
                throw FilterError("\(directory) must hold the files \(clientName) and \(serverName), readable")
            }
            return found
        }
        for candidate in directories(beside: executable) {
            if let found = load(candidate, read) { return found }
        }
        return builtIn
    }

    /// `Filters` next to the executable, and of the package whose build directory the executable lies in.
    static func directories(beside executable: String) -> [String] {
        var parts = executable.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count > 1 else { return [] }
        parts.removeLast()
        var found = [(parts + ["Filters"]).joined(separator: "/")]
        if let build = parts.lastIndex(of: ".build") { found.append((parts[..<build] + ["Filters"]).joined(separator: "/")) }
        return found
    }

    private static func load(_ directory: String, _ read: (String) -> String?) -> CaptureFilters? {
        guard let client = read("\(directory)/\(clientName)"), let server = read("\(directory)/\(serverName)") else { return nil }
        return CaptureFilters(
            client: FilterTemplate(name: "\(directory)/\(clientName)", text: client),
            server: FilterTemplate(name: "\(directory)/\(serverName)", text: server), origin: directory)
    }

    /// The expressions for a configuration, each compiled once to see that it is one.
    /// - Throws: `FilterError`.
    public func expanded(for configuration: Configuration) throws(FilterError) -> ExpandedFilters {
        let variables = [
            "SERVICE_HOSTS": FilterTemplate.services(configuration), "SOURCE_HOSTS": FilterTemplate.sources(configuration),
        ]
        let filters = ExpandedFilters(client: try client.expanded(variables), server: try server.expanded(variables))
        try Self.compile(filters.client, client.name)
        try Self.compile(filters.server, server.name)
        return filters
    }

    private static func compile(_ expression: String, _ name: String) throws(FilterError) {
        do throws(CaptureError) {
            _ = try PacketFilter(expression)
        } catch {
            throw FilterError("\(name): \(error.description)")
        }
    }
}

/// libpcap expressions, ready for a capture.
public struct ExpandedFilters: Equatable, Sendable {
    public var client: String
    public var server: String

    /// For one capture that serves both sides.
    public var both: String { "(\(client)) or (\(server))" }
}
