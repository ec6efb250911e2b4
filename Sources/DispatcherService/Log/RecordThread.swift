import DispatcherCore
import Glibc
import Logging
import PacketIO
import Synchronization

/// Reads what the packet thread says of finished requests: counts their times and writes the access log.
final class RecordThread: Sendable {
    private let relay: RecordRelay
    private let format: Mutex<AccessLogFormat>
    private let fresh = Mutex<Handover<LogFile>?>(nil)
    private let logger: Logger
    private let histograms = Mutex(PhaseHistograms())
    private let wantsReopen = Atomic<Bool>(false)
    private let wantsEnd = Atomic<Bool>(false)
    private let unwritten = Atomic<UInt64>(0)

    /// Records that are formatted before they are written.
    private static let batch = 512
    /// How long it rests after a batch, so that a busy dispatcher does not wake it for each request; milliseconds.
    private static let rest: UInt32 = 20

    init(relay: RecordRelay, format: AccessLogFormat, logger: Logger) {
        self.relay = relay
        self.format = Mutex(format)
        self.logger = logger
    }

    func start(_ file: consuming LogFile) throws(ServiceError) -> ServiceThread {
        let handover = Handover(file)
        return try ServiceThread(named: "sluice-log") { [self] in
            var file = handover.take()
            while !wantsEnd.load(ordering: .acquiring) {
                relay.wait(atMost: 1_000)
                turn(&file)
                usleep(Self.rest * 1_000)
            }
            turn(&file)
        }
    }

    /// From any thread: the log was moved away.
    func reopen() {
        wantsReopen.store(true, ordering: .releasing)
        relay.interrupt()
    }

    /// From any thread: the names of another configuration.
    func take(names configuration: Configuration) { format.withLock { $0.take(names: configuration) } }

    /// From any thread: the log goes into another file from now on.
    func take(_ file: Handover<LogFile>) {
        fresh.withLock { $0 = file }
        relay.interrupt()
    }

    /// From any thread: write what is there, then end.
    func end() {
        wantsEnd.store(true, ordering: .releasing)
        relay.interrupt()
    }

    var durations: PhaseHistograms { histograms.withLock { $0 } }
    /// Lines that could not be written.
    var unwrittenLines: UInt64 { unwritten.load(ordering: .relaxed) }

    func turn(_ file: inout LogFile) {
        if wantsReopen.exchange(false, ordering: .acquiringAndReleasing), let problem = file.reopen() {
            logger.warning("log.access: \(problem)")
        }
        if let other = fresh.withLock({ $0.take() }) { file = other.take() }
        let format = format.withLock { $0 }
        let offset = MonotonicClock.offsetToRealTime()
        var lines: [UInt8] = []
        while true {
            lines.removeAll(keepingCapacity: true)
            let count = histograms.withLock { histograms in
                relay.drain(limit: Self.batch) { record in
                    histograms.add(record)
                    if file.isOpen { format.append(record, clockOffset: offset, to: &lines) }
                }
            }
            if !lines.isEmpty && !file.write(lines) { unwritten.add(UInt64(count), ordering: .relaxed) }
            if count < Self.batch { return }
        }
    }
}
