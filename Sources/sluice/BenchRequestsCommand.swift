import ArgumentParser
import Foundation
import Lab

/// `sluice bench requests`: plain HTTP requests, an open loop.
struct BenchRequestsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "requests", abstract: "Send HTTP requests at fixed rates over many kept connections of several processes, and report.",
        discussion: """
            GET requests are due at even distances over all processes. One that is due while every connection waits for an answer is \
            written when one is free, and its latency counts from when it was due all the same. A connection that the server ends is \
            opened again. A rate holds if every request was answered with 200 and p99 is below --p99.

            Progress is on standard error. SIGINT and SIGTERM end it in order, with a report of what was found. Exit code 0 only if every \
            request was answered with 200 and no connection broke.
            """)

    @Option(help: "What is asked for, for example http://10.77.1.101/index.html.") var url: String

    @Option(help: "Connections of all processes.") var connections = 256

    @Option(help: ArgumentHelp("Requests a second, one rate after the other.", valueName: "rate,...")) var rates = "1000"

    @Option(help: ArgumentHelp("A rate holds with a 99th percentile below.", valueName: "ms")) var p99: Double = 100

    @Option(help: ArgumentHelp("How long the last answers of a rate are waited for.", valueName: "seconds")) var patience = 30

    @OptionGroup var options: BenchOptions

    func validate() throws {
        try options.validate()
        try BenchOptions.check((1...1_000_000).contains(connections), "--connections \(connections): must be in 1...1000000")
        try BenchOptions.check((1...600_000).contains(p99), "--p99 \(p99): must be in 1...600000")
        try BenchOptions.check((1...3600).contains(patience), "--patience \(patience): must be in 1...3600")
        try options.checkLoad(try BenchOptions.rates(rates))
    }

    func run() async throws {
        _ = try ServerURL(url)
        var bench = RequestBench(url: url, connections: connections, rates: try BenchOptions.rates(rates))
        bench.processes = options.processes
        bench.sources = options.source
        bench.seconds = options.seconds
        bench.warmUp = options.warmUp
        bench.limit = p99
        bench.patience = Int64(patience)
        try options.finish(await bench.run(command: try BenchOptions.partCommand(), tell: options.teller()))
    }
}
