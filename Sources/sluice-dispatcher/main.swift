import ArgumentParser
import DispatcherService
import Foundation
import Logging

/// The command line. Exit codes: 0, 1 failed, 2 usage, 3 not permitted.
struct DispatcherCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice-dispatcher",
        abstract: "A packet-level HTTP dispatcher that controls how much work each back-end server does at a time.",
        version: Version.text)

    @Option(help: ArgumentHelp("The configuration file (docs/configuration.md).", valueName: "file"))
    var config: String

    @Flag(help: "Check the file, print the capture filters and exit; needs no network and no permission.")
    var check = false

    @Option(help: ArgumentHelp("The directory with client-side.filter and server-side.filter.", valueName: "dir"))
    var filters: String?

    @Option(help: ArgumentHelp("Record every frame into capture files in this directory; slow, for finding faults.", valueName: "dir"))
    var record: String?

    func run() throws {
        var prepared = try PreparedService(file: config, filterDirectory: filters, executable: Self.executablePath)
        prepared.recordDirectory = record
        if check {
            print(prepared.description)
            return
        }
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        var logger = Logger(label: "sluice-dispatcher")
        logger.logLevel = prepared.logLevel
        try DispatcherService(prepared, logger: logger).run()
    }

    private static var executablePath: String {
        (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
    }
}

do {
    var command = try DispatcherCommand.parseAsRoot()
    try command.run()
} catch let error as ServiceError {
    FileHandle.standardError.write(Data((error.description + "\n").utf8))
    exit(error.code.rawValue)
} catch {
    // ArgumentParser's own: help and version are no errors, anything else is a wrong command line.
    let isAsked = DispatcherCommand.exitCode(for: error).isSuccess
    let text = DispatcherCommand.fullMessage(for: error)
    (isAsked ? FileHandle.standardOutput : FileHandle.standardError).write(Data((text + "\n").utf8))
    exit(isAsked ? 0 : ServiceError.Code.usage.rawValue)
}
