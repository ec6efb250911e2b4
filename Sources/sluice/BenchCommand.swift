import ArgumentParser
import Foundation
import Lab

/// `sluice bench`: loads of several processes, with a report.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Hold many devices or connections with several processes, put load on them, and write a report.",
        subcommands: [BenchDevicesCommand.self, BenchRequestsCommand.self, BenchPartCommand.self])
}

/// What both benchmarks have.
struct BenchOptions: ParsableArguments {
    @Option(help: "Processes (default: one for each 18,000 connections).") var processes: Int?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Address to connect from. May be repeated; a process has its share of them to itself. Each has some 28,000 ports.",
            valueName: "address"))
    var source: [String] = []

    @Option(help: ArgumentHelp("How long each rate lasts, after --warm-up.", valueName: "seconds")) var seconds: Double = 10

    @Option(help: ArgumentHelp("What is due in the first seconds of a rate is not in its latencies.", valueName: "seconds"))
    var warmUp: Double = 2

    @Option(help: ArgumentHelp("Write the report to FILE.json and FILE.html (default: bench-KIND-TIME here).", valueName: "file"))
    var report: String?

    @Flag(help: "Print one JSON object a line: what happens, and at the end the report.") var json = false

    func validate() throws {
        try Self.check(processes.map { (1...1000).contains($0) } ?? true, "--processes \(processes ?? 0): must be in 1...1000")
        try Self.check((0.1...86_400).contains(seconds), "--seconds \(seconds): must be in 0.1...86400")
        try Self.check((0...86_400).contains(warmUp), "--warm-up \(warmUp): must be in 0...86400")
    }

    static func check(_ holds: Bool, _ text: String) throws {
        if !holds { throw ValidationError(text) }
    }

    /// `1000,2000`: rates, each above 0 and at most a million.
    static func rates(_ text: String) throws -> [Double] {
        try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
            guard let rate = Double(part), rate > 0, rate <= 1_000_000 else {
                throw ValidationError("--rates \(text): must be numbers above 0 and up to 1000000 with commas between them, like 1000,2000")
            }
            return rate
        }
    }

    /// With the load of each rate within bounds.
    func checkLoad(_ rates: [Double]) throws {
        let most = rates.max() ?? 0
        try Self.check(rates.count <= 100, "--rates: at most 100")
        try Self.check(most * (seconds + warmUp) <= 100_000_000, "--rates \(most) for \(seconds + warmUp) s: more than 100 million")
    }

    // MARK: What is told, and the report

    /// The program itself, as a process that does what it is told.
    static func partCommand() throws -> [String] {
        [try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"), "bench", "part"]
    }

    func teller() -> BenchTeller {
        let line = ProgressLine()
        let json = json
        return BenchTeller(
            event: { event in
                if json { Output.line((try? Self.encoded(event)) ?? "") } else if let text = event.text { line.clear(then: text) }
            },
            progress: { line.show($0) })
    }

    private static func encoded(_ event: BenchEvent) throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys]
        return String(decoding: try encoder.encode(event), as: UTF8.self)
    }

    /// Writes both files; throws what was not as it should be.
    func finish(_ found: BenchReport) throws {
        let name = report ?? "bench-\(found.kind)-\(found.time.filter { $0.isNumber || $0 == "T" })"
        let base = name.hasSuffix(".json") ? String(name.dropLast(5)) : name
        let data = try found.json()
        do {
            try data.write(to: URL(fileURLWithPath: base + ".json"))
            try Data(BenchPage(found).html.utf8).write(to: URL(fileURLWithPath: base + ".html"))
        } catch {
            throw LabError("cannot write the report to \(base).json and .html: \(error)")
        }
        if json { Output.line(String(decoding: data, as: UTF8.self)) } else { Output.line("report: \(base).html\n        \(base).json") }
        guard found.problems.isEmpty else { throw LabError(found.problems.joined(separator: "; ")) }
    }
}

extension BenchEvent {
    /// A line for a person; nil: nothing that they need to know.
    var text: String? {
        let count = ProgressEstimate.grouped(connections ?? 0)
        let time = String(format: "%.1f", seconds ?? 0)
        switch event {
        case .connected: return "\(count) connected in \(time) s"
        case .shared: return "\(count) devices registered the shared application in \(time) s"
        case .ended: return step.map { isShared == true ? sharedText($0) : $0.text }
        case .connecting, .begins, .sharing: return nil
        }
    }

    private func sharedText(_ step: BenchStep) -> String {
        let times = step.completions.map { $0 < 0 ? "never" : String(format: "%.2f", $0 / 1000) }.joined(separator: ", ")
        return "\(ProgressEstimate.grouped(step.delivered)) deliveries of \(step.due) shared messages; seconds to the last device: \(times)"
    }
}
