public import DispatcherCore
import Synchronization

/// What other threads ask of the packet thread; it answers at its next turn. Nothing else of its state is shared.
public enum LoopMessage: Sendable {
    case command(EngineCommand)
    /// Called on the packet thread: must not block.
    case report(@Sendable (LoopReport) -> Void)
    /// Announce our addresses by ARP.
    case announce
    /// Leave the loop after this turn.
    case quit
}

/// Messages to the packet thread, in order.
public final class Mailbox: Sendable {
    private let messages = Mutex<[LoopMessage]>([])
    private let signal = WakeDescriptor()

    public init() {}

    /// From any thread.
    public func post(_ message: LoopMessage) {
        messages.withLock { $0.append(message) }
        signal.wake()
    }

    var descriptor: Int32 { signal.descriptor }

    /// All that waits, oldest first.
    func takeAll() -> [LoopMessage] {
        signal.clear()
        return messages.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}

/// The figures of a packet thread at one instant.
public struct LoopReport: Sendable {
    public var at = Instant.distantPast
    public var snapshot = Snapshot()
    public var isDrained = false
    /// By side; when both share one interface, everything stands at the client side.
    public var captures = [CaptureStatistics](repeating: CaptureStatistics(), count: Side.allCases.count)
    public var transmits = [TransmitStatistics](repeating: TransmitStatistics(), count: Side.allCases.count)
    public var arp = [ARPResponder.Counters](repeating: ARPResponder.Counters(), count: Side.allCases.count)
    public var lastConflict: ARPResponder.Conflict?
    /// Records lost because the log thread was behind.
    public var recordsLost: UInt64 = 0
    /// Turns of the loop: polls.
    public var turns: UInt64 = 0

    public init() {}
}
