import CLinux
import Dispatch
import DispatcherCore
import Glibc
import Logging
import PacketIO
import Synchronization

/// What became of a reload.
enum ReloadOutcome: Equatable, Sendable {
    /// In words, what is otherwise now.
    case loaded(String)
    /// Why nothing has changed.
    case refused(String)
}

/// Loads the configuration file again while the dispatcher runs: read and checked whole, then handed to the packet threads, which take it
/// between two turns. One thread does it, at the request of any.
final class Reloader: Sendable {
    private let prepared: PreparedService
    private let host: HostCheck
    private let mailboxes: Mailboxes
    private let records: RecordThread
    /// The configuration that runs.
    private let running: Mutex<Configuration>
    private let requests = Mutex<[@Sendable (ReloadOutcome) -> Void]>([])
    /// Readable while a reload is asked for.
    let descriptor: Int32

    init(_ prepared: PreparedService, host: HostCheck, mailboxes: Mailboxes, records: RecordThread) {
        self.prepared = prepared
        self.host = host
        self.mailboxes = mailboxes
        self.records = records
        running = Mutex(prepared.configuration)
        descriptor = clinux_eventfd()
    }

    deinit { close(descriptor) }

    var configuration: Configuration { running.withLock { $0 } }

    /// From any thread: asks for a reload.
    /// - Parameter done: called on the thread that does it.
    func ask(_ done: @escaping @Sendable (ReloadOutcome) -> Void) {
        requests.withLock { $0.append(done) }
        var one: UInt64 = 1
        _ = write(descriptor, &one, 8)
    }

    /// Those who have asked since the last call.
    func takeRequests() -> [@Sendable (ReloadOutcome) -> Void] {
        var count: UInt64 = 0
        _ = read(descriptor, &count, 8)
        return requests.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }

    /// Not to be called from an event loop.
    func reload() -> ReloadOutcome {
        let before = configuration
        let read: PreparedService
        let merged: Configuration
        do throws(ServiceError) {
            read = try prepared.again()
        } catch {
            return .refused(error.description)
        }
        do throws(ReloadRefusal) {
            merged = try read.configuration.succeeding(before, startedWith: prepared.configuration)
        } catch {
            return .refused("only a restart changes \(error.reasons.joined(separator: "; "))")
        }
        var host = host
        host.kernelAddresses = HostCheck.readAddresses()
        do throws(ServiceError) {
            _ = try host.judge(merged)
        } catch {
            return .refused(error.description)
        }
        var file: Handover<LogFile>?
        if merged.accessLog != before.accessLog {
            do throws(ServiceError) {
                file = Handover(try LogFile(merged.accessLog, owner: nil))
            } catch {
                return .refused(error.description)
            }
        }
        // Before the first record that needs them; names are only added.
        records.take(names: merged)
        guard let fault = hand(merged.engineConfiguration(client: host.clientInterface, server: host.serverInterface)) else {
            return .refused("the packet threads do not answer")
        }
        if let reason = fault.reason { return .refused(reason) }
        running.withLock { $0 = merged }
        if let file { records.take(file) }
        return .loaded(merged.changes(since: before))
    }

    private struct Fault { var reason: String? }

    /// Gives it to the packet threads and waits until they have it.
    /// - Returns: nil when there is no answer.
    private func hand(_ configuration: EngineConfiguration) -> Fault? {
        let answer = Answer()
        mailboxes.reconfigure(configuration) { answer.set(Fault(reason: $0)) }
        return answer.wait(seconds: 5)
    }

    private final class Answer: Sendable {
        private let fault = Mutex<Fault?>(nil)
        private let ready = DispatchSemaphore(value: 0)

        func set(_ value: Fault) {
            fault.withLock { $0 = value }
            ready.signal()
        }

        func wait(seconds: Int) -> Fault? {
            _ = ready.wait(timeout: .now() + .seconds(seconds))
            return fault.withLock { $0 }
        }
    }
}
