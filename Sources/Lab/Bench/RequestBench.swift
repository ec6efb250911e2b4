import Foundation
import NIOCore

/// Requests over many kept connections of several processes, at one rate after the other.
public struct RequestBench: Sendable {
    private static let lead: UInt64 = 1_000_000_000

    public var url: String
    public var connections: Int
    public var processes: Int?
    public var sources: [String] = []
    /// Requests a second, one rate after the other.
    public var rates: [Double]
    /// Of each rate, in seconds.
    public var seconds = 10.0
    public var warmUp = 2.0
    /// A rate holds if p99 from due to the end of the answer is below, in milliseconds.
    public var limit = 100.0
    /// How long the last answers of a rate are waited for, in seconds.
    public var patience: Int64 = 30

    public init(url: String, connections: Int, rates: [Double]) {
        self.url = url
        self.connections = connections
        self.rates = rates
    }

    private var settings: [String: String] {
        [
            "url": url, "connections": "\(connections)", "sources": "\(sources.count)", "seconds": "\(seconds)", "warm_up": "\(warmUp)",
            "p99_limit_ms": "\(limit)",
        ]
    }

    /// Runs it all; whatever happens, the report has what was found until then.
    ///
    /// - Parameter command: the program, and the arguments with which it follows `PartCommand`s.
    public func run(command: [String], tell: BenchTeller) async -> BenchReport {
        let plan = BenchPlan(connections: connections, processes: processes, sources: sources)
        var report = BenchReport(kind: "requests", settings: settings)
        report.processes = plan.parts.count
        report.connecting.wanted = connections
        do {
            let parts = try Parts(count: plan.parts.count, command: command)
            defer { parts.end() }
            try await connect(parts, plan, &report, tell)
            for (place, rate) in rates.enumerated() {
                report.steps.append(try await load(parts, plan, place, rate, tell, then: rates.count - place - 1))
            }
        } catch BenchEnd.interrupted {
            report.isInterrupted = true
            report.problems.append("interrupted")
        } catch {
            report.problems.append("\(error)")
        }
        for step in report.steps where step.accepted != step.due || step.connectionsLost > 0 {
            let lost = step.firstLoss.map { "; \(step.connectionsLost) connections broke, the first: \($0)" } ?? ""
            report.problems.append("at \(step.rate) a second \(step.accepted) of \(step.due) requests were answered with 200\(lost)")
        }
        return report
    }

    private func connect(_ parts: Parts, _ plan: BenchPlan, _ report: inout BenchReport, _ tell: BenchTeller) async throws {
        let commands = plan.parts.map { PartCommand.open(PartConnections(url: url, connections: $0.connections, sources: $0.sources)) }
        var estimate = ProgressEstimate(total: connections)
        let begin = ContinuousClock.now
        let answers = try await parts.run(commands, within: 300) { progress in
            let seconds = (ContinuousClock.now - begin) / .seconds(1)
            estimate.note(done: progress.connected, at: seconds)
            tell.progress("connecting: " + estimate.text("connections"))
        }
        for case .connected(let connected) in answers { report.connecting.seconds = max(report.connecting.seconds, connected.seconds) }
        report.connecting.connected = connections
        var event = BenchEvent(.connected)
        event.connections = connections
        event.seconds = report.connecting.seconds
        tell.event(event)
    }

    private func load(
        _ parts: Parts, _ plan: BenchPlan, _ number: Int, _ rate: Double, _ tell: BenchTeller, then: Int
    ) async throws -> BenchStep {
        let whole = seconds + warmUp
        var event = BenchEvent(.begins)
        event.rate = rate
        event.seconds = whole
        tell.event(event)
        let start = NIODeadline.now().uptimeNanoseconds + Self.lead
        let commands = plan.parts.indices.map { part in
            let (share, begin) = plan.load(part, rate: rate, start: start)
            return PartCommand.load(
                PartLoad(
                    number: number, start: begin, rate: share, seconds: whole, warmUp: warmUp, connections: 0, patience: patience,
                    isShared: false, posts: true))
        }
        let begin = ContinuousClock.now
        let left = Double(then) * (whole + Double(Self.lead) / 1e9)
        let answers = try await parts.run(commands, within: whole + Double(patience) + 60) { progress in
            let here = max(0, whole + Double(Self.lead) / 1e9 - (ContinuousClock.now - begin) / .seconds(1))
            tell.progress(
                "\(ProgressEstimate.grouped(Int(rate))) requests a second: \(ProgressEstimate.grouped(progress.answered)) answers, "
                    + "\(ProgressEstimate.duration(here + left)) left")
        }
        var counts = LoadCounts()
        for case .loaded(let part) in answers { counts.add(part) }
        let step = BenchStep(rate: rate, seconds: whole, counts: counts, isOfRequests: true, limit: limit)
        event = BenchEvent(.ended)
        event.rate = rate
        event.seconds = whole
        event.step = step
        tell.event(event)
        return step
    }
}
