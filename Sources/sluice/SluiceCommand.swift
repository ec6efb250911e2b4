import ArgumentParser
import Foundation
import PushProtocol

/// The tool: what a person runs beside dispatcher and workers.
struct SluiceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice",
        abstract:
            "A dispatcher's operator: ctl, top. A push service's user: keys, listen, push; operator: store, trace, radio. Loads: swarm, bench.",
        version: Version.text,
        subcommands: [
            KeysCommand.self, ListenCommand.self, PushCommand.self, StoreCommand.self, TraceCommand.self, CtlCommand.self, TopCommand.self,
            SwarmCommand.self, BenchCommand.self, RadioCommand.self,
        ])

    /// Runs the command that the process was started with.
    static func parseAndRun() async throws {
        var command = try parseAsRoot()
        if var command = command as? any AsyncParsableCommand {
            try await command.run()
        } else {
            try command.run()
        }
    }
}

/// Lines on standard output, each visible at once, also in a pipe.
enum Output {
    static func line(_ text: String) {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }

    /// A remark on standard error.
    static func remark(_ text: String) {
        FileHandle.standardError.write(Data("sluice: \(text)\n".utf8))
    }
}
