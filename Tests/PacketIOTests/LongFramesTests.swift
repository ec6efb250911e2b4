import Glibc
import Testing

@testable import PacketIO

/// A pair of sockets stands in for the kernel's queue, and a block of memory for the ring.
struct LongFramesTests {
    private static let frameOffset = 70
    /// TP_STATUS_USER and TP_STATUS_COPY of linux/if_packet.h.
    private static let (filled, copied) = (UInt32(1), UInt32(2))
    /// Bytes of a frame that its slot takes.
    private static let kept = 1_962

    private final class Ring {
        var long: LongFrames
        private let sockets: [Int32]
        private let slot: UnsafeMutableRawBufferPointer

        init() {
            var pair: [Int32] = [-1, -1]
            precondition(socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &pair) == 0)
            sockets = pair
            long = LongFrames(queue: pair[1], frameOffset: Int32(frameOffset))
            slot = .allocate(byteCount: 2_048, alignment: 16)
        }

        deinit {
            long.deallocate()
            slot.deallocate()
            for socket in sockets { close(socket) }
        }

        func queue(_ frame: [UInt8]) {
            #expect(frame.withUnsafeBytes { send(sockets[0], $0.baseAddress, $0.count, 0) } == frame.count)
        }

        /// Puts the beginning of a frame into the slot, as the kernel and libpcap do, and fetches the whole.
        func fetch(
            _ frame: [UInt8], status: UInt32 = filled | copied, tag: Bool = false, offset: Int = frameOffset
        ) -> UnsafeRawBufferPointer? {
            let start = offset - (tag ? 4 : 0)
            slot.storeBytes(of: status, toByteOffset: 0, as: UInt32.self)
            slot.storeBytes(of: UInt32(frame.count - (tag ? 4 : 0)), toByteOffset: 4, as: UInt32.self)
            slot.storeBytes(of: UInt16(offset), toByteOffset: 12, as: UInt16.self)
            let kept = min(frame.count, LongFramesTests.kept)
            slot[start..<start + kept].copyBytes(from: frame[..<kept])
            return long.fetch(UnsafeRawBufferPointer(rebasing: slot[start..<start + kept]), length: frame.count)
        }
    }

    private static func frame(_ length: Int, _ seed: Int = 1) -> [UInt8] {
        (0..<length).map { UInt8(truncatingIfNeeded: $0 &* seed &+ seed) }
    }

    @Test(arguments: [1_963, 9_014, 65_549]) func theWholeIsFetched(length: Int) {
        let ring = Ring()
        ring.queue(Self.frame(length))
        #expect(ring.fetch(Self.frame(length)).map(Array.init) == Self.frame(length))
        #expect(ring.long.truncated == 0 && ring.long.lost == 0)
    }

    @Test func fetchedFramesStayUntilTheyAreReleased() throws {
        let ring = Ring()
        for seed in [3, 5] { ring.queue(Self.frame(5_000, seed)) }
        let first = try #require(ring.fetch(Self.frame(5_000, 3)))
        let second = try #require(ring.fetch(Self.frame(5_000, 5)))
        #expect(Array(first) == Self.frame(5_000, 3) && Array(second) == Self.frame(5_000, 5))
        let steady = ring.long.steadyMemory
        for frame in [first, second] {
            #expect(frame.baseAddress! >= steady.baseAddress! && frame.baseAddress! + frame.count <= steady.baseAddress! + steady.count)
        }
        ring.long.release()
        ring.queue(Self.frame(5_000, 7))
        #expect(ring.fetch(Self.frame(5_000, 7))?.baseAddress == first.baseAddress)
    }

    @Test func itSaysWhenItIsFull() {
        let ring = Ring()
        var count = 0
        while !ring.long.isFull {
            ring.queue(Self.frame(65_000, count))
            #expect(ring.fetch(Self.frame(65_000, count)) != nil)
            count += 1
        }
        #expect(count == (2 << 20) / 65_024 + 1)
        // Whoever does not release gets on, over the first ones.
        ring.queue(Self.frame(65_000, 9))
        #expect(ring.fetch(Self.frame(65_000, 9)).map(Array.init) == Self.frame(65_000, 9))
        ring.long.release()
        #expect(!ring.long.isFull)
    }

    @Test func whatWasNotQueuedIsLostAndLeavesTheNextAlone() {
        let ring = Ring()
        ring.queue(Self.frame(4_000, 5))
        #expect(ring.fetch(Self.frame(4_000, 3), status: Self.filled) == nil)
        #expect(ring.fetch(Self.frame(4_000, 5)).map(Array.init) == Self.frame(4_000, 5))
        #expect(ring.long.lost == 1 && ring.long.truncated == 0)
    }

    @Test func anEmptyQueueLosesTheFrame() {
        let ring = Ring()
        #expect(ring.fetch(Self.frame(4_000)) == nil)
        #expect(ring.long.lost == 1)
    }

    @Test func whatIsLeftOfOthersIsPassedOver() {
        let ring = Ring()
        for (length, seed) in [(4_000, 3), (3_999, 5), (4_000, 5)] { ring.queue(Self.frame(length, seed)) }
        #expect(ring.fetch(Self.frame(4_000, 5)).map(Array.init) == Self.frame(4_000, 5))
        #expect(ring.long.lost == 0)
    }

    @Test func aFrameWithATagStaysCutAndTakesItsCopyAlong() {
        let ring = Ring()
        ring.queue(Self.frame(4_000, 3))
        ring.queue(Self.frame(4_000, 5))
        #expect(ring.fetch(Self.frame(4_004, 3), tag: true)?.count == Self.kept)
        #expect(ring.fetch(Self.frame(4_000, 5)).map(Array.init) == Self.frame(4_000, 5))
        #expect(ring.long.truncated == 1 && ring.long.lost == 0)
    }

    @Test func aSlotOfAnotherFormIsComparedOnly() {
        let ring = Ring()
        ring.queue(Self.frame(4_000, 3))
        #expect(ring.fetch(Self.frame(4_000, 3), offset: 78).map(Array.init) == Self.frame(4_000, 3))
        #expect(ring.fetch(Self.frame(4_000, 3), offset: 78) == nil)
        #expect(ring.long.lost == 1)
    }

    @Test func theLongestAreCut() {
        let ring = Ring()
        ring.queue(Self.frame(70_000))
        #expect(ring.fetch(Self.frame(70_000)).map(Array.init) == Array(Self.frame(70_000)[..<LongFrames.longest]))
        #expect(ring.long.truncated == 1 && ring.long.lost == 0)
    }

    @Test(arguments: [(576, 2_048), (1_500, 2_048), (1_948, 2_048), (1_949, 4_096), (9_000, 16_384), (65_436, 65_536), (65_536, 65_536)])
    func aSlotTakesAPacketOfTheLink(mtu: Int, slot: Int) { #expect(LongFrames.slotLength(mtu: mtu) == slot) }
}
