import CLinux
import DispatcherCore
import Glibc
public import Logging
import PacketIO

/// The dispatcher as a process: opens captures and sockets, gives up privileges, runs the packet threads, the log thread and the admin
/// listener, and ends in order.
public struct DispatcherService {
    private let configuration: Configuration
    private let filters: ExpandedFilters
    private let recordDirectory: String?
    private let prepared: PreparedService
    private let logger: Logger

    public init(_ prepared: PreparedService, logger: Logger) {
        self.prepared = prepared
        configuration = prepared.configuration
        filters = prepared.filters
        recordDirectory = prepared.recordDirectory
        self.logger = logger
    }

    /// Runs until SIGTERM or SIGINT; SIGHUP loads the configuration again, SIGUSR1 opens the access log again.
    /// - Throws: `ServiceError` when it cannot start, or cannot go on.
    public func run() throws(ServiceError) {
        let signals = try SignalDescriptor()
        try Privileges.require()
        let host = try HostCheck.read(configuration)
        for warning in try host.judge(configuration) { logger.warning("\(warning)") }
        let user = try Privileges.User(named: configuration.user)

        // Everything that needs a privilege, before it is given up.
        let kernelGuard = try startGuard(host, user)
        let mailboxes = Mailboxes(shards: configuration.shards)
        let relay = RecordRelay(writers: configuration.shards)
        let events = EventRelay()
        let loops = try openLoops(host, mailboxes, relay, events)
        // The captures are open: what clients send meanwhile waits.
        try requireUnclaimed(configuration.responder(client: host.clientInterface, server: host.serverInterface), host)
        let file = try LogFile(configuration.accessLog, owner: user)
        let admin = try AdminListener(configuration.adminListen)
        try Privileges.drop(to: user)

        let format = AccessLogFormat(configuration: configuration, host: Self.hostName(), process: "sluice-dispatcher[\(getpid())]")
        let records = RecordThread(relay: relay, format: format, logger: logger)
        let recordThread = try records.start(file)
        let packets = PacketThreads(mailboxes: mailboxes)
        let reloader = Reloader(prepared, host: host, mailboxes: mailboxes, records: records)
        let answers = AdminAnswers(
            configuration: { reloader.configuration }, durations: { records.durations }, unwrittenLogLines: { records.unwrittenLines })
        let server = try AdminServer(listener: admin, answers: answers, mailboxes: mailboxes, reloader: reloader)
        for (shard, loop) in loops.enumerated() { try packets.start(loop.take(), shard: shard) }
        logger.info(
            "serving \(configuration.services.flatMap(\.listen).map(\.description).joined(separator: ", ")) on \(host.clientInterface.name), servers on \(host.serverInterface.name), figures at http://\(configuration.adminListen)/metrics"
        )

        var watch = FigureWatch()
        let outcome = supervise(signals, packets, records, events, reloader, kernelGuard, &watch)
        records.end()
        recordThread.join()
        server.stop()
        if case .failed(let reason) = outcome { throw ServiceError(.failed, reason) }
        // Not before the last reset has left.
        withExtendedLifetime(kernelGuard) { logger.info("stopped") }
    }

    /// Keeps the kernel away from addresses that it owns too, or would pass packets to.
    private func startGuard(_ host: HostCheck, _ user: Privileges.User) throws(ServiceError) -> KernelGuard? {
        let rules = host.guardRules(configuration)
        guard !rules.rules.isEmpty else { return nil }
        let made = try KernelGuard(rules, user: user)
        logger.info("an nftables table with \(rules.rules.count) rules keeps the kernel away from our addresses")
        return made
    }

    /// One for each shard: captures, engine and sockets of its own.
    private func openLoops(_ host: HostCheck, _ mailboxes: Mailboxes, _ relay: RecordRelay, _ events: EventRelay) throws(ServiceError)
        -> [Handover<LiveLoop>]
    {
        let shared = SharedLoad(shards: configuration.shards)
        let engine = configuration.engineConfiguration(client: host.clientInterface, server: host.serverInterface)
        let rule = FrameShard(engine, count: configuration.shards)
        if configuration.shards > 1, recordDirectory != nil {
            throw ServiceError(.usage, "--record needs one packet thread: say shards: 1")
        }
        var loops: [Handover<LiveLoop>] = []
        var groups = CaptureGroups()
        do throws(CaptureError) {
            for index in 0..<configuration.shards {
                let part = engine.part(Shard(index, of: configuration.shards))
                loops.append(Handover(try openLoop(part, shared, rule, host, mailboxes, relay, events, &groups)))
            }
        } catch {
            throw ServiceError(error.kind == .notPermitted ? .notPermitted : .failed, error.description)
        }
        return loops
    }

    /// The groups of captures among which the kernel shares out the frames of an interface.
    private struct CaptureGroups {
        var client: Int32?
        var server: Int32?
    }

    private func openLoop(
        _ engineConfiguration: EngineConfiguration, _ shared: SharedLoad, _ rule: FrameShard, _ host: HostCheck, _ mailboxes: Mailboxes,
        _ relay: RecordRelay, _ events: EventRelay, _ groups: inout CaptureGroups
    ) throws(CaptureError) -> LiveLoop {
        let client = configuration.clientSide
        let server = configuration.serverSide
        let shard = engineConfiguration.shard
        let (seed, key) = (try Self.randomBits(), SipKey(try Self.randomBits(), try Self.randomBits()))
        let isOne = configuration.sidesShareInterface
        let responder = configuration.responder(client: host.clientInterface, server: host.serverInterface)
        var clientCapture = try Capture(
            interface: client.interface, filter: isOne ? filters.both : filters.client, memory: client.captureMemory / shard.count)
        if shard.index == 0 { try joinGroups(&clientCapture, responder.link(.client), client.interface) }
        if shard.count > 1 { groups.client = try clientCapture.share(group: groups.client, ShardFilter(isOne ? nil : .client, rule)) }
        var serverCapture: Capture?
        if !isOne {
            var capture = try Capture(interface: server.interface, filter: filters.server, memory: server.captureMemory / shard.count)
            if shard.index == 0 { try joinGroups(&capture, responder.link(.server), server.interface) }
            if shard.count > 1 { groups.server = try capture.share(group: groups.server, ShardFilter(.server, rule)) }
            serverCapture = consume capture
        }
        let engine = Dispatcher(configuration: engineConfiguration, seed: seed, shared: shared)
        let mailbox = mailboxes.all[shard.index]
        let recorder = try recorder(seed: seed)
        if configuration.sendsFrames(client: host.clientInterface, server: host.serverInterface) {
            let links = configuration.links
            return .packet(
                PollLoop(
                    engine: engine, sink: try PacketTransmitter(client: links.client, server: links.server, key: key),
                    client: clientCapture, server: serverCapture, responder: responder, mailbox: mailbox, records: relay, events: events,
                    recorder: recorder, shard: shard.index, of: mailboxes.all, by: rule))
        }
        return .raw(
            PollLoop(
                engine: engine, sink: try RawTransmitter(clientInterface: client.interface, serverInterface: server.interface),
                client: clientCapture, server: serverCapture, responder: responder, mailbox: mailbox, records: relay,
                events: events, recorder: recorder, shard: shard.index, of: mailboxes.all, by: rule))
    }

    private func joinGroups(_ capture: inout Capture, _ link: ARPResponder.Link, _ interface: String) throws(CaptureError) {
        if try capture.joinGroups(of: link.addresses) { return }
        logger.warning(
            "the kernel does not report our IPv6 addresses' groups on \(interface) (is IPv6 switched off there?): a switch that snoops MLD may keep neighbour solicitations from us"
        )
    }

    /// Refuses to serve an address that another host has.
    private func requireUnclaimed(_ responder: ARPResponder, _ host: HostCheck) throws(ServiceError) {
        let sides = [(Side.client, host.clientInterface), (.server, host.serverInterface)]
        let targets = sides.prefix(configuration.sidesShareInterface ? 1 : 2).filter { $0.1.hasNeighbours }
            .map { side, interface in DuplicateCheck.Target(interface: interface.name, link: responder.link(side)) }
        let conflicts: [ARPResponder.Conflict]
        do throws(CaptureError) {
            conflicts = try DuplicateCheck.run(targets)
        } catch {
            throw ServiceError(error.kind == .notPermitted ? .notPermitted : .failed, error.description)
        }
        guard !conflicts.isEmpty else { return }
        let faults = conflicts.map {
            "another host has our address \($0.address): \($0.hardwareAddress) said so when asked (duplicate address detection, RFC 4862); take it away there, or configure another one"
        }
        throw ServiceError(.failed, faults.joined(separator: "\n"))
    }

    private static func randomBits() throws(CaptureError) -> UInt64 {
        var bits: UInt64 = 0
        guard clinux_random(&bits, MemoryLayout<UInt64>.size) == 0 else {
            throw CaptureError(.failed, "the kernel gives no random bytes: \(String(cString: strerror(errno)))")
        }
        return bits
    }

    /// The two recordings of what came in, and the seed, make a replay.
    private func recorder(seed: UInt64) throws(CaptureError) -> CaptureRecorder? {
        guard let recordDirectory else { return nil }
        logger.notice("recording every frame in \(recordDirectory); the seed is \(seed)")
        return try CaptureRecorder(directory: recordDirectory)
    }

    /// Waits for signals and for the end of the packet threads; looks at the figures now and then.
    private func supervise(
        _ signals: SignalDescriptor, _ packets: PacketThreads, _ records: RecordThread, _ events: EventRelay, _ reloader: Reloader,
        _ kernelGuard: KernelGuard?, _ watch: inout FigureWatch
    ) -> PacketThreads.Outcome {
        var shutdown: Shutdown?
        var logger = logger
        var configuration = configuration
        var journal = EventJournal(configuration: configuration)
        while true {
            var wait: Int32 = FigureWatch.period
            if let step = shutdown?.next(at: MonotonicClock.now(), isDrained: packets.report()?.isDrained ?? false) {
                switch step {
                case .wait(let milliseconds): wait = milliseconds
                case .abort, .quit:
                    if step == .abort { packets.mailboxes.post(.abort) }
                    packets.mailboxes.quit()
                    _ = packets.waitForEnd(milliseconds: 2_000)
                    return packets.state
                }
            } else if let report = packets.report() {
                for warning in watch.warnings(report) { logger.warning("\(warning)") }
                if let kernelGuard, let warning = watch.guardWarning(report, drops: kernelGuard.drops) { logger.error("\(warning)") }
            }
            var descriptors = [
                pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: packets.endDescriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: kernelGuard?.descriptor ?? -1, events: 0, revents: 0),
                pollfd(fd: events.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: reloader.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            _ = poll(&descriptors, nfds_t(descriptors.count), wait)
            for event in events.takeAll() { journal.write(event, to: logger) }
            if packets.state != .running { return packets.state }
            if let end = kernelGuard?.end() {
                // From here on the kernel resets every connection at the addresses that it owns: there is nothing left to drain.
                packets.mailboxes.post(.abort)
                packets.mailboxes.quit()
                _ = packets.waitForEnd(milliseconds: 2_000)
                return .failed(
                    "nft, which kept the kernel away from our addresses, \(end), and its table has gone with it; the dispatcher stops, for the kernel would reset its connections: start it again"
                )
            }
            var wantsReload = descriptors[4].revents != 0
            while let signal = signals.next() {
                if signal == SIGUSR1 {
                    records.reopen()
                } else if signal == SIGHUP {
                    wantsReload = true
                } else if shutdown == nil {
                    logger.info("stopping: new connections are refused, those that are there have \(configuration.drain.milliseconds) ms")
                    packets.mailboxes.post(.stop)
                    shutdown = Shutdown(at: MonotonicClock.now(), drain: configuration.drain)
                } else {
                    shutdown?.hurry()
                }
            }
            guard wantsReload else { continue }
            let asking = reloader.takeRequests()
            let outcome = shutdown == nil ? reloader.reload() : .refused("the dispatcher is stopping")
            switch outcome {
            case .loaded(let changes):
                configuration = reloader.configuration
                journal = EventJournal(configuration: configuration)
                if let level = Logger.Level(rawValue: configuration.logLevel) { logger.logLevel = level }
                logger.notice("the configuration was loaded again: \(changes)")
            case .refused(let reason): logger.error("the configuration was not loaded again, and nothing has changed: \(reason)")
            }
            for tell in asking { tell(outcome) }
        }
    }

    private static func hostName() -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, 255) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
