import ArgumentParser
import Foundation
import Lab
import PushStore

/// `sluice store`: the database of a push service, beside the workers that use it (docs/store.md).
struct StoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "store", abstract: "The store of a push service: check it, back it up, while workers run or not.",
        subcommands: [Check.self, Backup.self])

    /// `sluice store check DATA`
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read the whole database and say what is wrong with it; exit code 1 when something is.")

        @Argument(help: "The data directory of the workers.")
        var data: String

        func run() throws {
            let report = try StoreCommand.reporting { try StoreCheck.run(directory: data) }
            guard report.problems.isEmpty else {
                for problem in report.problems { Output.line("problem: \(problem)") }
                throw LabError(
                    "the store in \(data) is damaged; stop the workers, keep a copy of its files, and restore a back-up (docs/store.md)")
            }
            Output.line("whole: \(StoreCommand.summary(report))")
        }
    }

    /// `sluice store backup DATA FILE`
    struct Backup: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Copy the database into one file as it is at one instant, and check the copy; workers go on writing.")

        @Argument(help: "The data directory of the workers.")
        var data: String

        @Argument(help: "The copy.")
        var file: String

        @Flag(help: "Replace a file of that name.")
        var force = false

        func run() throws {
            let report = try StoreCommand.reporting { try StoreBackup.make(of: data, to: file, replacing: force) }
            Output.line("\(file): \(StoreCommand.summary(report))")
            Output.remark("the token keys are not in it: keep a copy of \(data)/token-keys in a safe place")
        }
    }

    private static func summary(_ report: StoreReport) -> String {
        "\(report.messages) messages, \(report.registrations) registrations, \(report.bytes) bytes, "
            + "\(String(format: "%.1f", report.seconds)) s"
    }

    /// The store's errors as the tool's.
    private static func reporting<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch StoreError.unavailable(let reason) {
            throw LabError(reason)
        }
    }
}
