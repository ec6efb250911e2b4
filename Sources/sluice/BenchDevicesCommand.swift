import ArgumentParser
import Foundation
import Lab

/// `sluice bench devices`: as many devices as several processes can hold, and messages for them.
struct BenchDevicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices", abstract: "Connect devices from several processes, send them messages at fixed rates, and report.",
        discussion: """
            Each process is a `sluice swarm` with its share of the devices, of the addresses and of each rate. Messages are due at even \
            distances over all processes, whatever becomes of those before them; latencies count from when they were due, and the \
            histograms of all processes are added up before percentiles are taken. A rate holds if every message was accepted and \
            delivered once and p99 is below --p99. The workers must run with --token-rate 0.

            With --search, rates from LOW to HIGH are tried for the highest that holds. With --shared, that many devices then register \
            one more application, which all of them share, and get --shared-messages for it.

            Progress is on standard error. SIGINT and SIGTERM end it in order, with a report of what was found. Exit code 0 only if \
            every device registered, every message was accepted (with --search: those of one rate at least) and delivered once, and no \
            connection broke.
            """)

    @Option(help: "Server with the front for devices, for example http://10.77.1.100.") var server: String

    @Option(help: ArgumentHelp("Server with the front for application servers (default: the same).", valueName: "url")) var posts: String?

    @Option(help: "Devices of all processes.") var devices = 1000

    @Option(help: "Applications that the devices share evenly (default: one for each device).") var applications: Int?

    @Option(help: ArgumentHelp("Devices that begin to connect each second; 0: as fast as it goes.", valueName: "devices"))
    var connectRate: Double = 0

    @Option(help: ArgumentHelp("How long connecting may take.", valueName: "seconds")) var connectWithin: Double = 900

    @Option(help: "How often a device that could not connect tries again.") var retries = 3

    @Option(help: ArgumentHelp("Wait between the registrations and the first message.", valueName: "seconds")) var stay: Double = 0

    @Option(help: ArgumentHelp("Messages a second, one rate after the other.", valueName: "rate,...")) var rates: String?

    @Option(help: ArgumentHelp("Look for the highest rate that holds.", valueName: "low:high")) var search: String?

    @Option(help: "The most rates that --search tries.") var steps = 8

    @Option(help: ArgumentHelp("A rate holds with a 99th percentile below.", valueName: "ms")) var p99: Double = 250

    @Option(help: ArgumentHelp("How long the last deliveries of a rate are waited for.", valueName: "seconds")) var patience = 60

    @Option(help: "Connections of application servers.") var connections = 256

    @Option(help: ArgumentHelp("Length of a message's text.", valueName: "bytes")) var size = 100

    @Option(help: ArgumentHelp("Devices that share an application, after the rates.", valueName: "devices")) var shared = 0

    @Option(help: "Messages for the shared application.") var sharedMessages = 5

    @Option(help: ArgumentHelp("Time from one of them to the next.", valueName: "seconds")) var sharedEvery: Double = 5

    @OptionGroup var options: BenchOptions

    func validate() throws {
        try options.validate()
        let check = BenchOptions.check
        try check((1...1_000_000).contains(devices), "--devices \(devices): must be in 1...1000000")
        try check(applications.map { (1...devices).contains($0) } ?? true, "--applications \(applications ?? 0): must be in 1...\(devices)")
        try check((0...1_000_000).contains(connectRate), "--connect-rate \(connectRate): must be in 0...1000000")
        try check((1...86_400).contains(connectWithin), "--connect-within \(connectWithin): must be in 1...86400")
        try check((0...100).contains(retries), "--retries \(retries): must be in 0...100")
        try check((0...86_400).contains(stay), "--stay \(stay): must be in 0...86400")
        try check((1...100).contains(steps), "--steps \(steps): must be in 1...100")
        try check((1...600_000).contains(p99), "--p99 \(p99): must be in 1...600000")
        try check((1...3600).contains(patience), "--patience \(patience): must be in 1...3600")
        try check((1...100_000).contains(connections), "--connections \(connections): must be in 1...100000")
        try check((1...4096).contains(size), "--size \(size): must be in 1...4096")
        try check((0...devices).contains(shared), "--shared \(shared): must be in 0...\(devices)")
        try check((1...1000).contains(sharedMessages), "--shared-messages \(sharedMessages): must be in 1...1000")
        try check((0.1...3600).contains(sharedEvery), "--shared-every \(sharedEvery): must be in 0.1...3600")
        try options.checkLoad(try rates.map(BenchOptions.rates) ?? [])
        if let search { _ = try Self.search(search, steps: steps) }
    }

    /// `1000:8000`
    private static func search(_ text: String, steps: Int) throws -> RateSearch {
        let ends = text.split(separator: ":", omittingEmptySubsequences: false).compactMap { Double($0) }
        guard ends.count == 2, ends[0] > 0, ends[0] <= ends[1], ends[1] <= 1_000_000 else {
            throw ValidationError("--search \(text): must be LOW:HIGH, two rates above 0 and up to 1000000, like 1000:8000")
        }
        return RateSearch(from: ends[0], to: ends[1], steps: steps)
    }

    func run() async throws {
        _ = try ServerURL(server)
        if let posts { _ = try ServerURL(posts) }
        var bench = DeviceBench(server: server, posts: posts, devices: devices)
        bench.processes = options.processes
        bench.applications = applications
        bench.sources = options.source
        bench.connectRate = connectRate
        bench.connectWithin = connectWithin
        bench.retries = retries
        bench.stay = stay
        bench.rates = try rates.map(BenchOptions.rates) ?? []
        bench.search = try search.map { try Self.search($0, steps: steps) }
        bench.seconds = options.seconds
        bench.warmUp = options.warmUp
        bench.limit = p99
        bench.patience = Int64(patience)
        bench.connections = connections
        bench.size = size
        bench.shared = shared
        bench.sharedMessages = sharedMessages
        bench.sharedEvery = sharedEvery
        try options.finish(await bench.run(command: try BenchOptions.partCommand(), tell: options.teller()))
    }
}
