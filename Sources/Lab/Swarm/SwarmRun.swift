import Glibc
import NIOCore
import NIOPosix
import PushProtocol

/// Runs a swarm: many devices, and application servers that send to them, on one thread.
public struct SwarmRun: Sendable {
    /// What a device acknowledged last has this long to arrive before the sockets close.
    static let lastAcknowledgements = TimeAmount.milliseconds(300)

    public let plan: SwarmPlan
    private let target: SwarmTarget
    /// How long deliveries are waited for after the last message was due, in seconds.
    public var patience: Int64 = 30

    /// - Parameters:
    ///   - server: the front for devices.
    ///   - applicationServers: the front for application servers; nil: the same as `server`.
    ///   - sources: literal addresses of this machine.
    public init(plan: SwarmPlan, server: ServerURL, applicationServers: ServerURL? = nil, sources: [String] = []) throws {
        self.plan = plan
        target = try SwarmTarget(server: server, applicationServers: applicationServers ?? server, sources: sources)
    }

    /// One descriptor a connection: as many as the system lets this process have; returns how many that is.
    public static func raiseDescriptorLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return Int(clamping: limit.rlim_cur)
    }

    /// Connects and registers all devices, calls `connected` with the seconds that took, posts the messages, waits for their deliveries,
    /// and closes all connections.
    ///
    /// - Returns: the figures, and why the first connection ended that should not have.
    public func run(connected: @Sendable (Double) async throws -> Void) async throws -> (result: SwarmResult, loss: String?) {
        let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            let outcome = try await run(on: eventLoops.next(), connected: connected)
            try await eventLoops.shutdownGracefully()
            return outcome
        } catch {
            try? await eventLoops.shutdownGracefully()
            throw error
        }
    }

    private func run(
        on eventLoop: any EventLoop, connected: @Sendable (Double) async throws -> Void
    ) async throws -> (SwarmResult, String?) {
        let fleet = try await SwarmFleet(
            target: target, applications: plan.applications, size: plan.size, eventLoop: eventLoop)
        let begin = NIODeadline.now()
        try await fleet.connect(devices: plan.devices)
        let connectSeconds = Double((NIODeadline.now() - begin).nanoseconds) / 1e9
        try await connected(connectSeconds)
        var processorSeconds = 0.0
        if plan.messages > 0 {
            try await fleet.connectPosters(min(plan.connections, plan.messages))
            let before = Self.processorSeconds
            let swarm = fleet.swarm
            try await eventLoop.flatSubmit { [plan, patience] in swarm.value.load(plan, patience: .seconds(patience)) }.get()
            processorSeconds = Self.processorSeconds - before
        }
        let (used, swarm, plan) = (processorSeconds, fleet.swarm, plan)
        let result = try await eventLoop.submit {
            swarm.value.result(plan: plan, connectSeconds: connectSeconds, processorSeconds: used)
        }.get()
        if plan.messages > 0 { try await eventLoop.scheduleTask(in: Self.lastAcknowledgements) {}.futureResult.get() }
        return (result, try await eventLoop.submit { swarm.value.end() }.get())
    }

    /// User and system time of this process, in seconds.
    static var processorSeconds: Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
