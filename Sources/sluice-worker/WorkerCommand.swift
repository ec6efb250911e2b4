import ArgumentParser
import NIOCore
import PushProtocol
import PushService

/// The command line of a worker. docs/worker.md has the same options, by a test; a configuration file has them by the same names.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sluice-worker",
        abstract: "A push service's worker: devices register over WebSocket, application servers post signed messages.",
        version: Version.text)

    @Option(
        help: ArgumentHelp("Configuration file (YAML): the options below by their names; those given here count more.", valueName: "file"))
    var config: String?

    @Flag(help: "Check the options and the configuration file, say what is wrong, and end.")
    var check = false

    @Option(help: "Directory that the workers of one machine share: messages, registrations, token keys. Made when it is missing.")
    var data: String?

    @Option(help: ArgumentHelp("Literal address to listen on.", valueName: "address"))
    var listen = "127.0.0.1"

    @Option(help: "Port of the front for devices; 0: any free one.")
    var uaPort = 8080

    @Option(help: "Port of the front for application servers; 0: any free one.")
    var asPort = 8081

    @Option(help: ArgumentHelp("Port with TLS for every path of both fronts; 0: any free one (default: none).", valueName: "port"))
    var tlsPort: Int?

    @Option(help: ArgumentHelp("Certificate for --tls-port with its intermediates (PEM).", valueName: "file"))
    var tlsCertificate: String?

    @Option(help: ArgumentHelp("Private key of the certificate (PEM).", valueName: "file"))
    var tlsKey: String?

    @Option(
        help: ArgumentHelp(
            "Listener for the operator, with /metrics and /status, for example 127.0.0.1:9910 (default: none).", valueName: "address:port"))
    var adminListen: String?

    @Option(help: "What public URLs begin with, for example https://push.example.org.")
    var publicUrl: String?

    @Option(help: "Roles of this process: ua-ws, as, monitor, ua-udp, wakeup; separated by commas. wakeup alone needs no --data.")
    var roles = "ua-ws,as,monitor,ua-udp"

    @Option(
        help: ArgumentHelp(
            "Table of the mobile operators whose sleeping devices can be woken, in YAML (for ua-ws and ua-udp).", valueName: "file"))
    var operators: String?

    @Option(help: "Port of wakeup; 0: any free one.")
    var wakeupPort = 8090

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Where wakeup may send to, for example 10.0.0.0/8. May be repeated.", valueName: "network"))
    var wakeupNetwork: [String] = []

    @Flag(help: "wakeup may also send to this host's loopback addresses, if they are in its networks.")
    var wakeupLoopback = false

    @Option(help: ArgumentHelp("File with the keys of the UATokens (default: token-keys in the data directory).", valueName: "file"))
    var tokenKeys: String?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Peers whose X-Forwarded-For is believed, for example 10.77.2.200 or 10.0.0.0/8. May be repeated.", valueName: "network"))
    var trustedProxy: [String] = []

    @Option(help: ArgumentHelp("Tokens a second and at once for each client address; 0: no limit.", valueName: "rate/burst"))
    var tokenRate = "10/20"

    @Option(help: ArgumentHelp("Notifications a second and at once for each client address; 0: no limit.", valueName: "rate/burst"))
    var notifyRate = "0"

    @Option(help: ArgumentHelp("Ping sockets that are idle for so many seconds; off: never.", valueName: "off|seconds"))
    var ping = "240"

    @Option(help: ArgumentHelp("Refuse UATokens that are older, for example 90d (s, m, h, d) (default: never).", valueName: "time"))
    var tokenLifetime: String?

    @Option(
        help: ArgumentHelp(
            "Forget devices that were not connected for so long, with what they registered: days like 180d; off: never.",
            valueName: "off|days"))
    var deviceRetention = "180d"

    @Flag(help: "Take a message whose id and signature came before, within the ttl of the first, for the first: it is not sent again.")
    var replayProtection = false

    @Flag(help: "Read and check the whole database before serving.")
    var checkStore = false

    @Option(help: ArgumentHelp("\(WorkerProcess.logLevels.joined(separator: ", ")).", valueName: "level"))
    var logLevel = "info"

    @Option(
        help: ArgumentHelp(
            "Write what happens to each message to this file, for sluice trace; SIGUSR1 opens it again (default: none).", valueName: "file")
    )
    var messageLog: String?

    @Option(help: ArgumentHelp("A stopping worker still listens for so many seconds, so that its 503 is seen.", valueName: "seconds"))
    var drainTime = 2

    @Option(help: ArgumentHelp("WebSockets a second that a stopping worker closes; 0: all at once.", valueName: "rate"))
    var drainRate = "1000/s"

    mutating func validate() throws {
        _ = try workerConfiguration()
        guard WorkerProcess.logLevels.contains(logLevel) else {
            throw ValidationError("--log-level \(logLevel): must be one of \(WorkerProcess.logLevels.joined(separator: ", "))")
        }
    }

    /// Serves until the process is told to stop.
    func run() async throws {
        if check { return }
        try await WorkerProcess.run(workerConfiguration(), logLevel: logLevel)
    }
}
