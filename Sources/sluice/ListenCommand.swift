import ArgumentParser
import Foundation
import Lab
import PushProtocol

/// `sluice listen`: a device that prints what it gets.
struct ListenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "listen", abstract: "Be a device: register an application, print its public URL and each message, acknowledge.")

    @Option(help: "The push service, for example http://127.0.0.1:8080 or https://push.example.org.")
    var server: String

    @OptionGroup var trust: TrustOptions

    @Option(help: "WAToken of the application (default: one of this device alone).")
    var watoken: String?

    @Option(help: ArgumentHelp("Public key of the application server (PEM).", valueName: "file"))
    var publicKey = KeyFiles.publicPath(of: KeyFiles.defaultPath)

    @Option(help: "End after so many messages.")
    var count: Int?

    @Flag(help: "Print one JSON object a line.")
    var json = false

    @Option(help: ArgumentHelp("Keep the UAToken in this file: started again with it, this is the same device.", valueName: "file"))
    var tokenFile: String?

    func validate() throws {
        if let count, count < 1 { throw ValidationError("--count \(count): must be at least 1") }
        if let watoken, watoken.isEmpty || watoken.utf8.count > ApplicationPair.watokenLimit {
            throw ValidationError("--watoken must have 1 to \(ApplicationPair.watokenLimit) bytes")
        }
    }

    func run() async throws {
        let url = try ServerURL(server)
        guard url.path == "/" else { throw ValidationError("--server \(server): must have no path, like http://127.0.0.1:8080") }
        let key = try KeyFiles.readPublic(publicKey)
        let token = try await TokenFile(path: tokenFile).tokenOrNew {
            try await PushDevice.requestToken(from: url, trust: trust.trust)
        }
        // Without a given one the WAToken follows from the UAToken, so that the same device has the same URL again.
        let watoken = watoken ?? Hex.encode(Digest.sha256(Array("sluice listen \(token)".utf8)))
        var listener = Listener(
            server: url, trust: trust.trust, token: token, application: ApplicationPair(watoken: watoken, pbkbase64: key), limit: count,
            printer: EventPrinter(isJSON: json), advice: tokenFile.map { "; to become a new device, remove \($0)" } ?? "")
        try await listener.run()
    }
}
