public import DispatcherCore
import Glibc
import Synchronization

/// Finished requests on their way from the packet threads to the log thread: one reader, and no lock where there is one writer. A full ring
/// loses the newest and counts it.
public final class RecordRelay: @unchecked Sendable {
    private let slots: UnsafeMutablePointer<RequestRecord>
    private let mask: Int
    /// The next to be written and the next to be read; they only grow.
    private let head = Atomic<Int>(0)
    private let tail = Atomic<Int>(0)
    private let lost = Atomic<UInt64>(0)
    private let readerSleeps = Atomic<Bool>(false)
    private let signal = WakeDescriptor()
    /// Several writers take turns.
    private let isShared: Bool
    private let turns = Mutex(())

    /// - Parameters:
    ///   - capacity: records; rounded up to a power of two.
    ///   - writers: packet threads.
    public init(capacity: Int = 16_384, writers: Int = 1) {
        isShared = writers > 1
        var size = 1
        while size < max(capacity, 2) { size *= 2 }
        mask = size - 1
        slots = .allocate(capacity: size)
        slots.initialize(repeating: RequestRecord(), count: size)
    }

    deinit {
        slots.deinitialize(count: mask + 1)
        slots.deallocate()
    }

    /// Records lost so far.
    public var lostCount: UInt64 { lost.load(ordering: .relaxed) }

    /// By a writer only.
    public func push(_ record: borrowing RequestRecord) {
        if isShared {
            let record = copy record
            turns.withLock { _ in write(record) }
        } else {
            write(record)
        }
    }

    private func write(_ record: borrowing RequestRecord) {
        let at = head.load(ordering: .relaxed)
        guard at &- tail.load(ordering: .acquiring) <= mask else {
            lost.add(1, ordering: .relaxed)
            return
        }
        slots[at & mask] = copy record
        head.store(at &+ 1, ordering: .releasing)
    }

    /// By a writer, after a batch: wakes a sleeping reader.
    public func publish() {
        guard readerSleeps.load(ordering: .relaxed), head.load(ordering: .relaxed) != tail.load(ordering: .relaxed) else { return }
        if readerSleeps.exchange(false, ordering: .acquiringAndReleasing) { signal.wake() }
    }

    /// Wakes the reader although there may be nothing to read.
    public func interrupt() { signal.wake() }

    /// By the reader only: takes the oldest records, at most `limit`.
    /// - Returns: how many.
    @discardableResult
    public func drain(limit: Int = .max, _ body: (borrowing RequestRecord) -> Void) -> Int {
        let first = tail.load(ordering: .relaxed)
        let count = min(head.load(ordering: .acquiring) &- first, limit)
        for offset in 0..<count {
            body(slots[(first &+ offset) & mask])
            tail.store(first &+ offset &+ 1, ordering: .releasing)
        }
        return count
    }

    /// By the reader: sleeps until something is published, `interrupt` is called or the time is over.
    public func wait(atMost milliseconds: Int32) {
        readerSleeps.store(true, ordering: .sequentiallyConsistent)
        if head.load(ordering: .sequentiallyConsistent) == tail.load(ordering: .relaxed) {
            var descriptor = pollfd(fd: signal.descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&descriptor, 1, milliseconds)
        }
        readerSleeps.store(false, ordering: .relaxed)
        signal.clear()
    }
}
