import ArgumentParser
import Foundation
import Lab

/// `sluice swarm`: many devices and the application servers that send to them, to measure a push service.
struct SwarmCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swarm", abstract: "Connect many devices, send them messages at a fixed rate, and measure the push service.",
        discussion: """
            Each device gets a token, opens a WebSocket, registers itself and one application, and acknowledges what comes. Messages \
            are due at even distances, whatever becomes of those before them, and go to the applications in turn; their latencies count \
            from when they were due. They are signed beforehand, with one RSA key of 2048 bits. The workers must run with --token-rate 0.

            Prints two lines: when all devices are registered, and at the end. Exit code 0 only if every message was accepted and \
            delivered once to each device of its application, and no connection broke.
            """)

    @Option(help: "Server with the front for devices, for example http://127.0.0.1:8080.") var server: String

    @Option(help: ArgumentHelp("Server with the front for application servers (default: the same).", valueName: "url")) var posts: String?

    @Option(help: "Devices; each needs a descriptor here and at the server.") var devices = 1000

    @Option(help: "Applications that the devices share evenly (default: one for each device).") var applications: Int?

    @Option(help: ArgumentHelp("Messages a second; 0: none, the devices are idle.", valueName: "messages")) var rate: Double = 0

    @Option(help: ArgumentHelp("How long messages become due.", valueName: "seconds")) var seconds: Double = 10

    @Option(help: ArgumentHelp("Messages of the first seconds are not in the latencies.", valueName: "seconds")) var warmUp: Double = 0

    @Option(help: "Connections of application servers.") var connections = 256

    @Option(help: ArgumentHelp("Length of a message's text.", valueName: "bytes")) var size = 100

    @Option(help: ArgumentHelp("Wait between the registrations and the first message.", valueName: "seconds")) var stay: Double = 0

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp("Address that devices connect from. May be repeated: more than 28,000 need several.", valueName: "address"))
    var source: [String] = []

    @Flag(help: "Print one JSON object a line.") var json = false

    func validate() throws {
        func check(_ holds: Bool, _ text: String) throws { if !holds { throw ValidationError(text) } }
        try check((1...1_000_000).contains(devices), "--devices \(devices): must be in 1...1000000")
        try check(applications.map { (1...devices).contains($0) } ?? true, "--applications \(applications ?? 0): must be in 1...\(devices)")
        try check((0...1_000_000).contains(rate), "--rate \(rate): must be in 0...1000000")
        try check((0...86_400).contains(seconds), "--seconds \(seconds): must be in 0...86400")
        try check(rate * seconds <= 100_000_000, "--rate \(rate) for --seconds \(seconds): more than 100 million messages")
        try check((0...86_400).contains(warmUp), "--warm-up \(warmUp): must be in 0...86400")
        try check((1...100_000).contains(connections), "--connections \(connections): must be in 1...100000")
        try check((1...4096).contains(size), "--size \(size): must be in 1...4096")
        try check((0...86_400).contains(stay), "--stay \(stay): must be in 0...86400")
    }

    func run() async throws {
        var plan = SwarmPlan(devices: devices, applications: applications, rate: rate, seconds: seconds)
        plan.warmUp = warmUp
        plan.connections = connections
        plan.size = size
        let wanted = devices + min(plan.connections, plan.messages) + 64
        let limit = SwarmRun.raiseDescriptorLimit()
        guard limit >= wanted else {
            throw LabError(
                "\(wanted) descriptors are needed and \(limit) are allowed; raise ulimit -Hn, or take fewer --devices")
        }
        let server = try ServerURL(server)
        let run = try SwarmRun(plan: plan, server: server, applicationServers: posts.map { try ServerURL($0) }, sources: source)
        let (result, loss) = try await run.run { [json, devices, stay] seconds in
            let connected = Connected(devices: devices, connectSeconds: seconds)
            Output.line(json ? try Self.encoded(connected) : "\(devices) devices registered in \(Self.text(seconds)) s")
            try await Task.sleep(for: .seconds(stay))
        }
        if json { Output.line(try Self.encoded(result)) } else { for line in Self.lines(result) { Output.line(line) } }
        if let loss { throw LabError("\(result.connectionsLost) connections broke; the first: \(loss); see the server's log") }
        guard result.accepted == result.messages, result.missing == 0, result.surplus == 0 else {
            throw LabError(
                "of \(result.messages) messages \(result.accepted) were accepted; \(result.missing) deliveries are missing, "
                    + "\(result.surplus) came again: see the figures, and take a lower --rate")
        }
    }

    /// The line when all devices are registered.
    private struct Connected: Encodable {
        let devices: Int
        let connectSeconds: Double
    }

    private static func encoded(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    private static func text(_ value: Double) -> String { String(format: "%.1f", value) }

    private static func lines(_ result: SwarmResult) -> [String] {
        guard result.messages > 0 else { return ["no messages were asked for"] }
        let answers = result.answers.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: ", ")
        let head = "\(result.messages) messages in \(text(result.loadSeconds)) s; answers \(answers); \(result.delivered) deliveries"
        let latencies = [
            ("written", result.lateness), ("answered", result.answer), ("delivered", result.delivery),
            ("delivered to the last device", result.completion),
        ]
        return [head]
            + latencies.compactMap { name, summary in
                summary.map { "\(name): p50 \(text($0.p50)) ms, p99 \(text($0.p99)) ms, at most \(text($0.max)) ms" }
            }
    }
}
