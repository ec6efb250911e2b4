import ArgumentParser
import Lab

/// `sluice ctl`: changes a running dispatcher.
struct CtlCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ctl", abstract: "Change a running dispatcher.",
        subcommands: [
            DrainCommand.self, ReadyCommand.self, DownCommand.self, LimitCommand.self, WeightCommand.self, BandCommand.self,
            ReloadCommand.self,
        ])
}

/// Where the dispatcher is.
struct AdminOptions: ParsableArguments {
    @Option(help: "Its admin listener (admin.listen).") var admin = AdminClient.standardURL

    func client() throws -> AdminClient { try AdminClient(url: admin) }
}

/// Which server.
struct ServerOptions: ParsableArguments {
    @OptionGroup var admin: AdminOptions
    @Argument(help: ArgumentHelp("The server, with its pool before it: web/10.77.2.11:8080.", valueName: "pool/server")) var name: String

    func validate() throws { _ = try parts() }

    private func parts() throws -> (pool: String, server: String) {
        guard let slash = name.firstIndex(of: "/"), slash != name.startIndex, name.index(after: slash) != name.endIndex else {
            throw ValidationError("\(name) is not POOL/SERVER, such as web/10.77.2.11:8080")
        }
        return (String(name[..<slash]), String(name[name.index(after: slash)...]))
    }

    func change(_ body: [String: any Sendable]) async throws {
        let (pool, server) = try parts()
        Output.line(try await admin.client().change(pool: pool, server: server, to: body))
    }
}

struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain", abstract: "Give a server nothing new; what it has is finished, its tunnels have stop.drain to end.")
    @OptionGroup var server: ServerOptions
    func run() async throws { try await server.change(["state": "drain"]) }
}

struct ReadyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ready", abstract: "Give a server requests again.")
    @OptionGroup var server: ServerOptions
    func run() async throws { try await server.change(["state": "ready"]) }
}

struct DownCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "down", abstract: "As drain, and close idle connections, and make no health checks.")
    @OptionGroup var server: ServerOptions
    func run() async throws { try await server.change(["state": "down"]) }
}

struct LimitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "limit", abstract: "Set a server's permissible connections; a controller goes on from there.")
    @OptionGroup var server: ServerOptions
    @Argument(help: "From 0; kept within the server's minimum and maximum.") var limit: Int

    func validate() throws {
        guard (0...65_535).contains(limit) else { throw ValidationError("\(limit) is not a number from 0 to 65535") }
    }

    func run() async throws { try await server.change(["limit": limit]) }
}

struct WeightCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "weight", abstract: "Set a server's part of the requests.")
    @OptionGroup var server: ServerOptions
    @Argument(help: "From 1.") var weight: Int

    func validate() throws {
        guard (1...65_535).contains(weight) else { throw ValidationError("\(weight) is not a number from 1 to 65535") }
    }

    func run() async throws { try await server.change(["weight": weight]) }
}

struct ReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload", abstract: "Load the configuration file again; no request is lost. What is wrong with it changes nothing.")
    @OptionGroup var admin: AdminOptions
    func run() async throws { Output.line(try await admin.client().reload()) }
}

struct BandCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "band", abstract: "Set the band in which a server's metric is held, in the units of the configuration file.")
    @OptionGroup var server: ServerOptions
    @Option(help: "The low end: 5ms, 100, 20MiB/s.") var from: String?
    @Option(help: "The high end.") var to: String?

    func validate() throws {
        guard from != nil || to != nil else { throw ValidationError("--from, --to, or both are needed") }
    }

    func run() async throws {
        var band: [String: String] = [:]
        band["from"] = from
        band["to"] = to
        try await server.change(["band": band])
    }
}
