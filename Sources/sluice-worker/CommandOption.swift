import Foundation

/// One long option of the command line, as the argument parser describes it.
struct CommandOption {
    /// It has no value.
    let isFlag: Bool
    let isRepeating: Bool

    /// Options that make no sense in the file that they lead to.
    static let notInFile: Set<String> = ["config", "check", "help"]

    /// All of them by name, without dashes.
    static let all: [String: CommandOption] = {
        guard let help = try? JSONDecoder().decode(Help.self, from: Data(WorkerCommand._dumpHelp().utf8)) else {
            preconditionFailure("the argument parser describes its options as JSON")
        }
        var options: [String: CommandOption] = [:]
        for argument in help.command.arguments ?? [] {
            for name in argument.names ?? [] where name.kind == "long" {
                options[name.name] = CommandOption(isFlag: argument.kind == "flag", isRepeating: argument.isRepeating)
            }
        }
        return options
    }()

    // What of the description is read.
    private struct Help: Decodable {
        struct Command: Decodable { let arguments: [Argument]? }
        struct Argument: Decodable {
            let kind: String
            let isRepeating: Bool
            let names: [Name]?
        }
        struct Name: Decodable {
            let kind: String
            let name: String
        }
        let command: Command
    }
}
