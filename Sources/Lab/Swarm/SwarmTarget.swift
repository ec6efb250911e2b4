import NIOCore

/// Where a swarm's devices and application servers connect to, and from where.
struct SwarmTarget: Sendable {
    /// The front for devices.
    let server: ServerURL
    /// The front for application servers.
    let applicationServers: ServerURL
    /// The addresses that devices connect from in turn, because one has only so many ports; empty: whatever the system chooses.
    let sources: [SocketAddress]

    init(server: ServerURL, applicationServers: ServerURL, sources: [String]) throws {
        self.server = server
        self.applicationServers = applicationServers
        self.sources = try Self.addresses(sources)
    }

    /// - Parameter texts: literal addresses of this machine.
    static func addresses(_ texts: [String]) throws -> [SocketAddress] {
        try texts.map { text in
            do {
                return try SocketAddress(ipAddress: text, port: 0)
            } catch {
                throw LabError("the source address \(text) is no literal address; write one of this machine's, like 127.0.0.2")
            }
        }
    }
}
