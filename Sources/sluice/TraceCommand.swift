import ArgumentParser
import Lab
import PushProtocol

/// `sluice trace`: the life of one message.
struct TraceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace",
        abstract: "Print what happened to a message, in order, from the message logs of all workers (sluice-worker --message-log).")

    @Argument(help: ArgumentHelp("The messageId, as the POST was answered and the device got it.", valueName: "message-id"))
    var messageID: String

    @Argument(help: ArgumentHelp("Message logs, of every worker that may have had the message.", valueName: "file"))
    var files: [String]

    @Flag(help: "Print the lines of the logs as they are, one JSON object a line.")
    var json = false

    func validate() throws {
        if MessageID(messageID) == nil {
            throw ValidationError("\(messageID) is no messageId: it has 24 hexadecimal digits, as in the answer to a POST")
        }
    }

    func run() async throws {
        var trace = MessageTrace(messageID: messageID.lowercased())
        for file in files { try trace.read(file) }
        if trace.badLines > 0 { Output.remark("\(trace.badLines) lines were no lines of a message log and are left out") }
        guard !trace.steps.isEmpty else {
            throw LabError(
                "nothing about \(messageID) in \(trace.lines) lines of \(files.joined(separator: ", ")); "
                    + "give the logs of all workers, also those that were moved away")
        }
        for line in json ? trace.jsonLines : trace.textLines { Output.line(line) }
    }
}
