import ArgumentParser
import Foundation
import Lab
import PushProtocol

/// `sluice push`: an application server that sends one message.
struct PushCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "push", abstract: "Sign a message and post it to a public URL, as an application server does.")

    @Option(help: "Public URL of the application, as sluice listen prints it.")
    var url: String

    @OptionGroup var trust: TrustOptions

    @Option(help: ArgumentHelp("Private key of the application server (PEM).", valueName: "file"))
    var key: String

    @Option(help: "Text of the message.")
    var message: String

    @Option(help: "Your identifier of the message (default: a random one).")
    var id: String?

    @Option(help: ArgumentHelp("Time to live; 0: only to devices that are connected now (default: 30 days).", valueName: "seconds"))
    var ttl: Int64?

    func validate() throws {
        if let ttl, ttl < 0 { throw ValidationError("--ttl \(ttl): must not be negative") }
        if id == "" { throw ValidationError("--id must not be empty") }
    }

    func run() async throws {
        let key = try KeyFiles.readPrivate(key)
        let sender = try await PushSender.connect(to: ServerURL(url), trust: trust.trust, key: key)
        let answer = try await sender.send(
            message, id: .text(id ?? Hex.encode(Randomness.bytes(8))), ttl: ttl.map { .number(JSONNumber($0)) })
        await sender.close()
        guard answer.status == 200 else {
            throw LabError("the server refused the message: \(answer.status) \(Self.reason(answer))\(Self.advice(answer.status))")
        }
        Output.line(answer.text)
    }

    private static func reason(_ answer: HTTPClientAnswer) -> String {
        (try? JSONValue(parsing: answer.body))?.object?["reason"]?.text ?? answer.text
    }

    private static func advice(_ status: Int) -> String {
        switch status {
        case 403: "; sign with the private key whose public half the device registered"
        case 404: "; check the URL, and that a device still has the application registered"
        case 413: "; send a shorter message"
        case 429, 503: "; wait a moment and send it again"
        default: ""
        }
    }
}
