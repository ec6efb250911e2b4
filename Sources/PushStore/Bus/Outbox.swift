import Foundation

/// Datagrams that wait to be sent, in one queue for each address: one that does not read holds up no other.
final class Outbox: @unchecked Sendable {
    private struct Queue {
        var datagrams: [[UInt8]] = []
        var sent = 0
        var notBefore = MonotonicTime.distantPast

        var count: Int { datagrams.count - sent }
    }

    // All below is guarded by the condition's lock.
    private let condition = MonotonicCondition()
    private var queues: [BusAddress: Queue] = [:]
    private var isClosed = false

    /// Queues a datagram; false: `limit` of them wait already.
    func put(_ datagram: [UInt8], to address: BusAddress, limit: Int) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        guard !isClosed, queues[address, default: Queue()].count < limit else { return false }
        queues[address, default: Queue()].datagrams.append(datagram)
        condition.signal()
        return true
    }

    /// Nothing waits for `address`, and nothing is being sent to it.
    func isEmpty(for address: BusAddress) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        return queues[address] == nil && !isClosed
    }

    /// Waits for addresses whose datagrams may be sent now; nil when the outbox is closed.
    func take() -> [BusAddress]? {
        condition.lock()
        defer { condition.unlock() }
        while !isClosed {
            let now = MonotonicTime.now
            let ready = queues.filter { $0.value.notBefore <= now }
            if !ready.isEmpty { return Array(ready.keys) }
            if let next = queues.values.map(\.notBefore).min() {
                _ = condition.wait(until: next)
            } else {
                condition.wait()
            }
        }
        return nil
    }

    /// The datagram that is sent next to `address`.
    func first(of address: BusAddress) -> [UInt8]? {
        condition.lock()
        defer { condition.unlock() }
        return queues[address].flatMap { $0.count > 0 ? $0.datagrams[$0.sent] : nil }
    }

    /// The first datagram has been sent.
    func removeFirst(of address: BusAddress) {
        condition.lock()
        defer { condition.unlock() }
        guard var queue = queues.removeValue(forKey: address) else { return }
        queue.sent += 1
        guard queue.count > 0 else { return }
        if queue.sent >= 256 {
            queue.datagrams.removeFirst(queue.sent)
            queue.sent = 0
        }
        queues[address] = queue
    }

    /// Nothing is sent to `address` for `pause` seconds.
    func postpone(_ address: BusAddress, by pause: TimeInterval) {
        condition.lock()
        defer { condition.unlock() }
        queues[address]?.notBefore = .now + pause
    }

    /// Drops what waits for `address`; returns how many datagrams.
    func drop(_ address: BusAddress) -> Int {
        condition.lock()
        defer { condition.unlock() }
        return queues.removeValue(forKey: address)?.count ?? 0
    }

    /// Wakes and ends the sender.
    func close() {
        condition.lock()
        defer { condition.unlock() }
        isClosed = true
        queues = [:]
        condition.broadcast()
    }
}
