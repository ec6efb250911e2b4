public import DispatcherCore
import Synchronization

/// What other threads ask of the packet thread; it answers at its next turn. Nothing else of its state is shared.
public enum LoopMessage: Sendable {
    case command(EngineCommand)
    /// Another configuration. Called on the packet thread with why it cannot be, nil = it is taken: must not block.
    case reconfigure(EngineConfiguration, @Sendable (String?) -> Void)
    /// Whether another configuration could be taken: called on the packet thread with why not.
    case judge(EngineConfiguration, @Sendable (String?) -> Void)
    /// A frame that came to the leading shard and concerns this one.
    case frame([UInt8], Side)
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
    private let isRung = Atomic<Bool>(false)

    public init() {}

    /// From the thread of another shard: something is free that this one may wait for.
    func ring() {
        if !isRung.exchange(true, ordering: .sequentiallyConsistent) { signal.wake() }
    }

    /// Whether another shard has rung since the last call.
    func takeRing() -> Bool { isRung.exchange(false, ordering: .sequentiallyConsistent) }

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
