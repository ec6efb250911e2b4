import CLinux
import Dispatch
import DispatcherCore
import Glibc
import PacketIO
import Synchronization

/// The thread that owns the engine, seen from the others: they ask through its mailbox and nothing else.
final class PacketThread: Sendable {
    let mailbox: Mailbox
    private let outcome = Mutex<Outcome>(.running)
    private let ended = DispatchSemaphore(value: 0)
    /// Readable once the thread has ended.
    let endDescriptor: Int32

    enum Outcome: Equatable, Sendable {
        case running, stopped
        case failed(String)
    }

    init(mailbox: Mailbox) {
        self.mailbox = mailbox
        endDescriptor = clinux_eventfd()
    }

    deinit { close(endDescriptor) }

    /// Starts it. It announces our addresses first.
    func start(_ loop: consuming LiveLoop) throws(ServiceError) {
        let handover = Handover(loop)
        mailbox.post(.announce)
        _ = try ServiceThread(named: "sluice-packets") { [self] in
            let loop = handover.take()
            do throws(CaptureError) {
                try loop.run()
                finish(.stopped)
            } catch {
                finish(.failed(error.description))
            }
        }
    }

    private func finish(_ how: Outcome) {
        outcome.withLock { $0 = how }
        ended.signal()
        var one: UInt64 = 1
        _ = write(endDescriptor, &one, 8)
    }

    var state: Outcome { outcome.withLock { $0 } }

    /// Waits until the thread has ended.
    /// - Returns: false when it did not within that time.
    func waitForEnd(milliseconds: Int) -> Bool {
        guard state == .running else { return true }
        return ended.wait(timeout: .now() + .milliseconds(milliseconds)) == .success
    }

    /// Its figures at its next turn; nil when it does not answer in time. Not to be called from an event loop.
    func report(withinMilliseconds limit: Int = 1_000) -> LoopReport? {
        guard state == .running else { return nil }
        let answer = Answer()
        mailbox.post(.report { answer.set($0) })
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
