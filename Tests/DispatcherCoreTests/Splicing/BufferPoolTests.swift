import Testing

@testable import DispatcherCore

@Suite("Splicing: buffers")
struct BufferPoolTests {
    @Test("a buffer is the smallest power of two that holds what is wanted, and is had again when it was given back")
    func sizes() {
        var pool = BufferPool(limit: 1 << 20)
        for (wanted, size) in [(1, 512), (512, 512), (513, 1_024), (65_536, 65_536), (65_537, 131_072), (262_144, 262_144)] {
            var buffer = pool.take(wanted)!
            let (base, capacity, inUse) = (buffer.base, buffer.capacity, pool.inUse)
            #expect(capacity == size && inUse == size)
            pool.give(&buffer)
            let (isNone, left) = (buffer.isNone, pool.inUse)
            #expect(isNone && left == 0)
            var again = pool.take(wanted)!
            #expect(again.base == base)
            pool.give(&again)
        }
        let tooLarge = pool.take(262_145)
        #expect(tooLarge == nil)
    }

    @Test("no more is handed out than the limit, and growing keeps what is in a buffer, or leaves it as it is")
    func limit() {
        var pool = BufferPool(limit: 4_096)
        var buffer = pool.take(1_000)!
        buffer.base!.storeBytes(of: 7, as: UInt8.self)
        let grown = pool.grow(&buffer, to: 2_000, keeping: 1)
        #expect(grown && buffer.capacity == 2_048 && buffer.bytes[0] == 7)
        // Both are there while it is copied.
        let more = pool.grow(&buffer, to: 4_000, keeping: 1)
        #expect(!more && buffer.capacity == 2_048 && buffer.bytes[0] == 7)
        pool.give(&buffer)
        let inUse = pool.inUse
        #expect(inUse == 0)
    }

    @Test("a buffer that packets point into rests, untouched, until they have left")
    func rest() {
        var pool = BufferPool(limit: 1 << 20)
        var egress = Egress(packets: 4, bytes: 1 << 20, gathers: true)
        var lent = pool.take(1_000)!
        let base = lent.base!
        base.initializeMemory(as: UInt8.self, repeating: 7, count: 1_024)
        pool.lend(&lent, to: egress)
        let isLent = pool.isLent(lent)
        #expect(isLent)
        pool.give(&lent)
        pool.settle(egress)
        var other = pool.take(1_000)!
        #expect(other.base != base)
        let (isOtherLent, inUse) = (pool.isLent(other), pool.inUse)
        #expect(!isOtherLent && inUse == 1_024, "what rests is not in use: its owner has given it back")
        #expect((0..<1_024).allSatisfy { base.load(fromByteOffset: $0, as: UInt8.self) == 7 })
        // It leaves.
        egress.removeAll()
        pool.settle(egress)
        var again = pool.take(1_000)!
        #expect(again.base == base)
        let isStillLent = pool.isLent(again)
        #expect(!isStillLent)
        pool.give(&other)
        pool.give(&again)
    }

    @Test("one that was lent to an egress that has been emptied since is like any other")
    func notLent() {
        var pool = BufferPool(limit: 1 << 20)
        var egress = Egress(packets: 4, bytes: 1 << 20, gathers: true)
        var buffer = pool.take(1_000)!
        let base = buffer.base
        pool.lend(&buffer, to: egress)
        egress.removeAll()
        pool.settle(egress)
        pool.give(&buffer)
        var again = pool.take(1_000)!
        #expect(again.base == base)
        pool.give(&again)
    }
}
