import NIOCore
import NIOPosix
import PushProtocol

/// One process of a benchmark: does what its coordinator tells it, one command after the other, all on one event loop.
public final class PartRunner: Sendable {
    private let emit: @Sendable (PartEvent) -> Void
    private let eventLoops = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let state = PartState()

    /// - Parameter emit: writes an event to the coordinator; called from any thread.
    public init(emit: @escaping @Sendable (PartEvent) -> Void) {
        self.emit = emit
    }

    /// Follows `commands` one after the other until they end. Connections stay until the process ends.
    public func run(_ commands: AsyncStream<PartCommand>) async {
        let ticker = Task { [emit] in
            while !Task.isCancelled {
                try await Task.sleep(for: .seconds(1))
                emit(.progress(await progress()))
            }
        }
        for await command in commands {
            do {
                emit(try await follow(command))
            } catch {
                emit(.failed("\(error)"))
            }
        }
        ticker.cancel()
    }

    private func follow(_ command: PartCommand) async throws -> PartEvent {
        switch command {
        case .connect(let devices): return .connected(try await connect(devices))
        case .share(let share): return try await self.share(share)
        case .open(let connections): return .connected(try await open(connections))
        case .load(let load): return .loaded(try await self.load(load))
        case .total:
            guard let fleet = state.fleet else { return .totals(SwarmTotals()) }
            return .totals(try await fleet.eventLoop.submit { fleet.swarm.value.totals }.get())
        }
    }

    // MARK: Connections

    private func connect(_ part: PartDevices) async throws -> PartConnected {
        let target = try SwarmTarget(
            server: try ServerURL(part.server), applicationServers: try ServerURL(part.posts), sources: part.sources)
        let fleet = try await SwarmFleet(target: target, applications: part.applications, size: part.size, eventLoop: eventLoops.next())
        state.set(fleet: fleet, plan: SwarmPlan(devices: part.devices, applications: part.applications))
        let begin = NIODeadline.now()
        try await fleet.connect(devices: part.devices, rate: part.rate, retries: part.retries) { [state] in state.retried($0) }
        let seconds = Double((NIODeadline.now() - begin).nanoseconds) / 1e9
        return PartConnected(seconds: seconds, retries: state.retries.count, firstRetry: state.retries.first, pbkbase64: fleet.pbkbase64)
    }

    private func share(_ share: PartShare) async throws -> PartEvent {
        guard let fleet = state.fleet else { throw LabError("there are no devices to share an application") }
        let application = ApplicationPair(watoken: share.watoken, pbkbase64: share.pbkbase64)
        state.set(shared: application, devices: share.devices)
        if share.devices > 0 { try await fleet.share(application, devices: share.devices) { [state] in state.addShared() } }
        return .shared
    }

    private func open(_ part: PartConnections) async throws -> PartConnected {
        let url = try ServerURL(part.url)
        let begin = NIODeadline.now()
        let clients = try await RequestClients(url: url, sources: SwarmTarget.addresses(part.sources), eventLoop: eventLoops.next())
        state.set(clients: clients)
        try await clients.connect(part.connections, to: url.authority) { [state] in state.addConnected() }
        return PartConnected(seconds: Double((NIODeadline.now() - begin).nanoseconds) / 1e9)
    }

    // MARK: Loads

    private func load(_ load: PartLoad) async throws -> LoadCounts {
        if let fleet = state.fleet { return try await messages(load, fleet) }
        guard let clients = state.clients else { throw LabError("there are no connections for a load") }
        let plan = RequestPlan(rate: load.rate, seconds: load.seconds, warmUp: load.warmUp)
        let (loop, bound) = (eventLoops.next(), clients.load)
        let before = SwarmRun.processorSeconds
        try await loop.flatSubmit {
            bound.value.run(plan, start: .uptimeNanoseconds(load.start), patience: .seconds(load.patience))
        }.get()
        let used = SwarmRun.processorSeconds - before
        return try await loop.submit { bound.value.counts(processorSeconds: used) }.get()
    }

    private func messages(_ load: PartLoad, _ fleet: SwarmFleet) async throws -> LoadCounts {
        var plan = state.plan
        let shared = load.isShared ? state.shared : nil
        if let shared { plan = SwarmPlan(devices: shared.devices, applications: 1) }
        plan.rate = load.rate
        plan.seconds = load.seconds
        plan.warmUp = load.warmUp
        if load.posts { try await fleet.connectPosters(min(load.connections, plan.messages)) }
        let (swarm, whole, application) = (fleet.swarm, plan, shared?.application)
        let before = SwarmRun.processorSeconds
        try await fleet.eventLoop.flatSubmit {
            swarm.value.load(
                whole, number: load.number, start: .uptimeNanoseconds(load.start), shared: application, isWatching: !load.posts,
                patience: .seconds(load.patience))
        }.get()
        let used = SwarmRun.processorSeconds - before
        let counts = try await fleet.eventLoop.submit { swarm.value.counts(processorSeconds: used) }.get()
        try await fleet.eventLoop.scheduleTask(in: SwarmRun.lastAcknowledgements) {}.futureResult.get()
        try await fleet.hangUp()
        return counts
    }

    // MARK: How far it is

    private func progress() async -> PartProgress {
        var progress = state.progress
        if let fleet = state.fleet {
            let seen = try? await fleet.eventLoop.submit {
                let swarm = fleet.swarm.value
                return (swarm.registeredCount, swarm.tally?.due ?? 0, swarm.tally?.answered ?? 0, swarm.tally?.delivered ?? 0)
            }.get()
            if let seen { (progress.connected, progress.due, progress.answered, progress.delivered) = seen }
        } else if let clients = state.clients {
            let seen = try? await eventLoops.next().submit { clients.load.value.progress }.get()
            if let seen { (progress.due, progress.answered) = (seen.due, seen.answered) }
        }
        return progress
    }
}
