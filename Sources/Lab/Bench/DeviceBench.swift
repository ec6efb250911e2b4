import Foundation
import NIOCore
import PushProtocol

/// Many devices of several processes, and messages for them, one rate after the other.
public struct DeviceBench: Sendable {
    /// The processes have so long to open the application servers' connections before the first message is due, in nanoseconds.
    private static let lead: UInt64 = 2_000_000_000

    public var server: String
    /// The front for application servers.
    public var posts: String
    public var devices: Int
    public var processes: Int?
    /// Applications that the devices share; nil: each has its own.
    public var applications: Int?
    public var sources: [String] = []
    /// Devices that begin to connect each second; 0: as fast as it goes.
    public var connectRate = 0.0
    /// How long connecting may take, in seconds.
    public var connectWithin = 900.0
    public var retries = 3
    /// Wait after the last registration, in seconds.
    public var stay = 0.0
    /// Messages a second, one rate after the other.
    public var rates: [Double] = []
    /// Looked for after `rates`: the highest rate that holds.
    public var search: RateSearch?
    /// Of each rate, in seconds.
    public var seconds = 10.0
    public var warmUp = 2.0
    /// A rate holds if p99 from POST to acknowledgement is below, in milliseconds.
    public var limit = 250.0
    /// How long the last deliveries of a rate are waited for, in seconds.
    public var patience: Int64 = 60
    /// Connections of application servers, of all processes together.
    public var connections = 256
    public var size = 100
    /// How many devices register an application that all of them share, after the rates; 0: none.
    public var shared = 0
    public var sharedMessages = 5
    /// Seconds from one such message to the next.
    public var sharedEvery = 5.0

    public init(server: String, posts: String? = nil, devices: Int) {
        self.server = server
        self.posts = posts ?? server
        self.devices = devices
    }

    /// The settings as the report names them.
    private var settings: [String: String] {
        [
            "server": server, "posts": posts, "devices": "\(devices)", "applications": "\(applications ?? devices)",
            "sources": "\(sources.count)", "connect_rate": "\(connectRate)", "seconds": "\(seconds)", "warm_up": "\(warmUp)",
            "p99_limit_ms": "\(limit)", "connections": "\(connections)", "size": "\(size)", "shared": "\(shared)",
        ]
    }

    /// Runs it all; whatever happens, the report has what was found until then.
    ///
    /// - Parameter command: the program, and the arguments with which it follows `PartCommand`s.
    public func run(command: [String], tell: BenchTeller) async -> BenchReport {
        let plan = BenchPlan(connections: devices, processes: processes, shared: shared, sources: sources)
        var report = BenchReport(kind: "devices", settings: settings)
        report.processes = plan.parts.count
        report.connecting.wanted = devices
        do {
            let parts = try Parts(count: plan.parts.count, command: command)
            defer { parts.end() }
            try await run(parts, plan, &report, tell)
        } catch BenchEnd.interrupted {
            report.isInterrupted = true
            report.problems.append("interrupted")
        } catch {
            report.problems.append("\(error)")
        }
        return report
    }

    private func run(_ parts: Parts, _ plan: BenchPlan, _ report: inout BenchReport, _ tell: BenchTeller) async throws {
        let pbkbase64 = try await connect(parts, plan, &report, tell)
        try await parts.wait(seconds: stay)
        var number = 0
        for (place, rate) in rates.enumerated() {
            let then = rates.count - place - 1
            let step = try await load(parts, plan, number, rate, tell, then: then)
            number += 1
            report.steps.append(step)
            if step.accepted != step.due {
                report.problems.append("at \(rate) a second \(step.accepted) of \(step.due) messages were accepted")
            }
        }
        if var search {
            while let rate = search.rate {
                let step = try await load(parts, plan, number, rate, tell, then: 0)
                number += 1
                report.steps.append(step)
                search.tried(held: step.isHeld)
            }
            if search.held == nil { report.problems.append("no rate held") }
        }
        if shared > 0 { try await share(parts, plan, number, pbkbase64, &report, tell) }
        try await finish(parts, &report)
    }

    // MARK: Phases

    private func connect(
        _ parts: Parts, _ plan: BenchPlan, _ report: inout BenchReport, _ tell: BenchTeller
    ) async throws -> String {
        var event = BenchEvent(.connecting)
        event.connections = devices
        tell.event(event)
        let count = plan.parts.count
        let commands = plan.parts.enumerated().map { number, part in
            PartCommand.connect(
                PartDevices(
                    server: server, posts: posts, devices: part.connections,
                    applications: applications.map { max(1, BenchPlan.share(of: $0, number, count)) } ?? part.connections,
                    sources: part.sources, rate: connectRate / Double(count), retries: retries, size: size))
        }
        var estimate = ProgressEstimate(total: devices)
        let begin = ContinuousClock.now
        var curve: [BenchReport.Point] = []
        defer { report.connecting.curve = curve }
        let answers = try await parts.run(commands, within: connectWithin) { progress in
            let seconds = (ContinuousClock.now - begin) / .seconds(1)
            estimate.note(done: progress.connected, at: seconds)
            curve.append(BenchReport.Point(seconds: seconds, count: progress.connected))
            tell.progress("connecting: " + estimate.text("devices"))
        }
        var pbkbase64 = ""
        for case .connected(let connected) in answers {
            report.connecting.seconds = max(report.connecting.seconds, connected.seconds)
            report.connecting.retries += connected.retries
            report.connecting.firstRetry = report.connecting.firstRetry ?? connected.firstRetry
            if pbkbase64.isEmpty { pbkbase64 = connected.pbkbase64 }
        }
        report.connecting.connected = devices
        curve.append(BenchReport.Point(seconds: (ContinuousClock.now - begin) / .seconds(1), count: devices))
        event = BenchEvent(.connected)
        event.connections = devices
        event.seconds = report.connecting.seconds
        tell.event(event)
        return pbkbase64
    }

    private func load(
        _ parts: Parts, _ plan: BenchPlan, _ number: Int, _ rate: Double, _ tell: BenchTeller, then: Int, isShared: Bool = false,
        seconds: Double? = nil
    ) async throws -> BenchStep {
        let whole = seconds ?? self.seconds + warmUp
        var event = BenchEvent(.begins)
        event.rate = rate
        event.seconds = whole
        event.isShared = isShared
        tell.event(event)
        let start = NIODeadline.now().uptimeNanoseconds + Self.lead
        let commands = plan.parts.indices.map { part in
            // Of the shared application's messages all processes know all, and the first one posts them.
            let (share, begin) = isShared ? (rate, start) : plan.load(part, rate: rate, start: start)
            return PartCommand.load(
                PartLoad(
                    number: number, start: begin, rate: share, seconds: whole, warmUp: isShared ? 0 : warmUp,
                    connections: max(1, BenchPlan.share(of: connections, part, plan.parts.count)), patience: patience, isShared: isShared,
                    posts: !isShared || part == 0))
        }
        let begin = ContinuousClock.now
        let within = whole + Double(patience) + 60
        let answers = try await parts.run(commands, within: within) { progress in
            let left = max(0, whole + Double(Self.lead) / 1e9 - (ContinuousClock.now - begin) / .seconds(1))
            let rest = then > 0 ? ", then \(then) more rates" : ""
            tell.progress(
                "\(rate < 1 ? "shared messages" : "\(ProgressEstimate.grouped(Int(rate))) messages a second"): "
                    + "\(ProgressEstimate.grouped(progress.delivered)) deliveries, \(ProgressEstimate.duration(left)) left\(rest)")
        }
        var counts = LoadCounts()
        for case .loaded(let part) in answers { counts.add(part) }
        let step = BenchStep(rate: rate, seconds: whole, counts: counts, isOfRequests: false, limit: limit)
        event = BenchEvent(.ended)
        event.rate = rate
        event.seconds = whole
        event.isShared = isShared
        event.step = step
        tell.event(event)
        return step
    }

    private func share(
        _ parts: Parts, _ plan: BenchPlan, _ number: Int, _ pbkbase64: String, _ report: inout BenchReport, _ tell: BenchTeller
    ) async throws {
        var event = BenchEvent(.sharing)
        event.connections = shared
        tell.event(event)
        let watoken = "bench-\(UInt64.random(in: 0...UInt64.max))"
        let commands = plan.parts.map { PartCommand.share(PartShare(watoken: watoken, pbkbase64: pbkbase64, devices: $0.shared)) }
        var estimate = ProgressEstimate(total: shared)
        let begin = ContinuousClock.now
        _ = try await parts.run(commands, within: connectWithin) { progress in
            estimate.note(done: progress.shared, at: (ContinuousClock.now - begin) / .seconds(1))
            tell.progress("registering the shared application: " + estimate.text("devices"))
        }
        report.shareSeconds = (ContinuousClock.now - begin) / .seconds(1)
        event = BenchEvent(.shared)
        event.connections = shared
        event.seconds = report.shareSeconds
        tell.event(event)
        let step = try await load(
            parts, plan, number, 1 / sharedEvery, tell, then: 0, isShared: true, seconds: sharedEvery * Double(sharedMessages))
        report.shared = step
        if step.accepted != step.due { report.problems.append("\(step.accepted) of \(step.due) shared messages were accepted") }
    }

    private func finish(_ parts: Parts, _ report: inout BenchReport) async throws {
        let answers = try await parts.run(Array(repeating: .total, count: parts.count), within: 60)
        var totals = SwarmTotals()
        for case .totals(let part) in answers { totals.add(part) }
        report.totals = totals
        if totals.missing > 0 { report.problems.append("\(totals.missing) deliveries of accepted messages did not come") }
        if totals.surplus > 0 { report.problems.append("\(totals.surplus) deliveries came more than once") }
        if totals.connectionsLost > 0 {
            report.problems.append("\(totals.connectionsLost) connections broke; the first: \(totals.firstLoss ?? "unknown")")
        }
    }
}
