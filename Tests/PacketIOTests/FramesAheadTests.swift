import Testing

@testable import PacketIO

/// A block of memory stands in for the ring that the kernel fills.
struct FramesAheadTests {
    private static let (slotLength, frameOffset) = (2_048, 70)
    /// TP_STATUS_USER of linux/if_packet.h.
    private static let filled = UInt32(1)

    private final class Ring {
        let memory: UnsafeMutableRawBufferPointer
        var ahead: FramesAhead

        init(slots: Int) throws {
            memory = .allocate(byteCount: slots * slotLength, alignment: 16)
            memory.initializeMemory(as: UInt8.self, repeating: 0)
            ahead = try #require(FramesAhead(ring: UnsafeRawBufferPointer(memory), slotLength: slotLength, frameOffset: Int32(frameOffset)))
        }

        deinit { memory.deallocate() }

        /// Has a slot hold a frame of one byte for each of its number and one more.
        func fill(_ slots: some Sequence<Int>, status: UInt32 = filled, offset: Int = frameOffset, captured: Int? = nil) {
            for slot in slots {
                let start = slot * slotLength
                memory.storeBytes(of: UInt32(captured ?? slot + 1), toByteOffset: start + 8, as: UInt32.self)
                memory.storeBytes(of: UInt16(offset), toByteOffset: start + 12, as: UInt16.self)
                memory.storeBytes(of: status, toByteOffset: start, as: UInt32.self)
            }
        }

        /// The slots that are looked at while the frame in a slot is handed out.
        func look(from slot: Int, moved: Int = 0) -> [Int] {
            let start = slot * slotLength + frameOffset + moved
            var seen: [Int] = []
            ahead.look(from: UnsafeRawBufferPointer(rebasing: memory[start..<start + 1]).bytes, distance: 6) {
                seen.append($0.byteCount - 1)
            }
            return seen
        }
    }

    @Test func eachIsSeenOnceAndNotTooEarly() throws {
        let ring = try Ring(slots: 16)
        ring.fill(0..<10)
        #expect(ring.look(from: 0) == [1, 2, 3, 4, 5, 6])
        #expect(ring.look(from: 1) == [7])
        #expect(ring.look(from: 2) == [8])
        #expect(ring.look(from: 3) == [9])
        #expect(ring.look(from: 4).isEmpty)
        ring.fill(10..<13)
        #expect(ring.look(from: 5) == [10, 11])
        #expect(ring.look(from: 6) == [12])
        #expect(ring.look(from: 7).isEmpty)
    }

    @Test func afterAPauseItGoesOnBehindTheFrame() throws {
        let ring = try Ring(slots: 16)
        ring.fill(0..<2)
        #expect(ring.look(from: 0) == [1])
        #expect(ring.look(from: 1).isEmpty)
        // Two frames were not announced: the loop has handed them out in the meantime.
        ring.fill(2..<8)
        #expect(ring.look(from: 4) == [5, 6, 7])
    }

    @Test func theRingGoesRound() throws {
        let ring = try Ring(slots: 8)
        ring.fill(6..<8)
        ring.fill(0..<3)
        #expect(ring.look(from: 6) == [7, 0, 1, 2])
        #expect(ring.look(from: 7).isEmpty)
        ring.fill(3..<5)
        #expect(ring.look(from: 0) == [3, 4])
    }

    @Test func aFullRingIsLookedAtOnce() throws {
        let ring = try Ring(slots: 4)
        ring.fill(0..<4)
        #expect(ring.look(from: 2) == [3, 0, 1])
    }

    @Test func whatIsNotAFrameEndsTheLook() throws {
        let ring = try Ring(slots: 16)
        ring.fill(0..<4)
        ring.fill(4..<5, offset: Self.frameOffset + 4)
        ring.fill(5..<8)
        #expect(ring.look(from: 1) == [2, 3])
        ring.fill(4..<5, captured: Self.slotLength - Self.frameOffset + 1)
        #expect(ring.look(from: 2).isEmpty)
        ring.fill(4..<5, status: 0)
        #expect(ring.look(from: 2).isEmpty)
        ring.fill(4..<5)
        #expect(ring.look(from: 2) == [4, 5, 6, 7])
    }

    @Test func framesThatLieElsewhereShowNothing() throws {
        let ring = try Ring(slots: 8)
        ring.fill(0..<8)
        #expect(ring.look(from: 1, moved: -4).isEmpty, "libpcap has put a tag back")
        let other: [UInt8] = [1, 2, 3]
        other.withUnsafeBytes { ring.ahead.look(from: $0.bytes, distance: 6) { _ in Issue.record("nothing lies behind it") } }
        #expect(ring.look(from: 1) == [2, 3, 4, 5, 6, 7])
    }

    @Test func memoryThatIsNoRing() {
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 3_000, alignment: 16)
        defer { memory.deallocate() }
        #expect(FramesAhead(ring: UnsafeRawBufferPointer(memory), slotLength: 2_048, frameOffset: 70) == nil)
        #expect(FramesAhead(ring: UnsafeRawBufferPointer(rebasing: memory[..<2_048]), slotLength: 2_048, frameOffset: -1) == nil)
        #expect(FramesAhead(ring: UnsafeRawBufferPointer(start: nil, count: 0), slotLength: 2_048, frameOffset: 70) == nil)
    }
}
