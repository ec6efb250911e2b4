public import DispatcherCore
import Synchronization

/// What happened to the servers, on its way from the packet thread to the log. There is little of it: a lock is cheap enough.
public final class EventRelay: Sendable {
    private let waiting = Mutex<[EngineEvent]>([])
    private let lost = Atomic<UInt64>(0)
    private let signal = WakeDescriptor()
    private let capacity: Int

    /// - Parameter capacity: events that may wait; further ones are lost, and counted.
    public init(capacity: Int = 4_096) { self.capacity = capacity }

    /// Readable while events wait.
    public var descriptor: Int32 { signal.descriptor }
    public var lostCount: UInt64 { lost.load(ordering: .relaxed) }

    /// By the packet thread.
    public func push(_ event: borrowing EngineEvent) {
        let event = copy event
        let isFirst: Bool? = waiting.withLock { waiting in
            guard waiting.count < capacity else { return nil }
            waiting.append(event)
            return waiting.count == 1
        }
        guard let isFirst else {
            lost.add(1, ordering: .relaxed)
            return
        }
        if isFirst { signal.wake() }
    }

    /// By whoever logs: all that waits, oldest first.
    public func takeAll() -> [EngineEvent] {
        signal.clear()
        return waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
    }
}
