import CLinux
import Dispatch
import DispatcherCore
import Glibc
import PacketIO
import Synchronization

/// The threads that own the engines, one for each shard, seen from the others: they ask through the mailboxes and nothing else.
final class PacketThreads: Sendable {
    let mailboxes: Mailboxes
    private let outcomes: Mutex<[Outcome]>
    private let ended = DispatchSemaphore(value: 0)
    /// Readable once they have ended, or one has failed.
    let endDescriptor: Int32

    enum Outcome: Equatable, Sendable {
        case running, stopped
        case failed(String)
    }

    init(mailboxes: Mailboxes) {
        self.mailboxes = mailboxes
        outcomes = Mutex([Outcome](repeating: .running, count: mailboxes.all.count))
        endDescriptor = clinux_eventfd()
    }

    deinit { close(endDescriptor) }

    /// Starts that of a shard. The leader announces our addresses first.
    func start(_ loop: consuming LiveLoop, shard: Int = 0) throws(ServiceError) {
        let handover = Handover(loop)
        if shard == 0 { mailboxes.announce() }
        let name = mailboxes.all.count == 1 ? "sluice-packets" : "sluice-shard-\(shard)"
        _ = try ServiceThread(named: name) { [self] in
            let loop = handover.take()
            do throws(CaptureError) {
                try loop.run()
                finish(.stopped, shard)
            } catch {
                finish(.failed(error.description), shard)
            }
        }
    }

    private func finish(_ how: Outcome, _ shard: Int) {
        let isLast = outcomes.withLock {
            $0[shard] = how
            return !$0.contains(.running)
        }
        // What one cannot do any more the others cannot make up for.
        if how != .stopped { mailboxes.quit() }
        if isLast { ended.signal() }
        guard isLast || how != .stopped else { return }
        var one: UInt64 = 1
        _ = write(endDescriptor, &one, 8)
    }

    /// Running while all are, failed as soon as one has.
    var state: Outcome {
        outcomes.withLock { outcomes in
            for outcome in outcomes { if case .failed = outcome { return outcome } }
            return outcomes.contains(.running) ? .running : .stopped
        }
    }

    /// Waits until they have ended.
    /// - Returns: false when they did not within that time.
    func waitForEnd(milliseconds: Int) -> Bool {
        guard outcomes.withLock({ $0.contains(.running) }) else { return true }
        return ended.wait(timeout: .now() + .milliseconds(milliseconds)) == .success
    }

    /// Their figures at their next turns; nil when not all answer in time. Not to be called from an event loop.
    func report(withinMilliseconds limit: Int = 1_000) -> LoopReport? {
        guard state == .running else { return nil }
        let answer = Answer()
        mailboxes.report { answer.set($0) }
        return answer.wait(milliseconds: limit)
    }

    private final class Answer: Sendable {
        private let report = Mutex<LoopReport?>(nil)
        private let ready = DispatchSemaphore(value: 0)

        func set(_ value: LoopReport) {
            report.withLock { $0 = value }
            ready.signal()
        }

        func wait(milliseconds: Int) -> LoopReport? {
            _ = ready.wait(timeout: .now() + .milliseconds(milliseconds))
            return report.withLock { $0 }
        }
    }
}
