import Testing

@testable import PacketIO

struct WaitingFramesTests {
    private func keep(_ frames: inout WaitingFrames, _ byte: UInt8, length: Int = 60, for entry: Int) -> Int {
        var bytes = [UInt8](repeating: byte, count: length)
        return bytes.withUnsafeMutableBytes { frames.keep($0.baseAddress!, length, for: entry) }
    }

    private func all(_ frames: inout WaitingFrames, _ entry: Int) -> [[UInt8]] {
        var found: [[UInt8]] = []
        while let frame = frames.take(for: entry) {
            found.append(Array(UnsafeRawBufferPointer(start: frame.frame, count: frame.length)))
            frames.release(frame.slot)
        }
        return found
    }

    @Test func theyComeOutInOrder() {
        var frames = WaitingFrames(neighbours: 4)
        for byte in 1...3 { #expect(keep(&frames, UInt8(byte), length: 10 * byte, for: 2) == 0) }
        #expect(keep(&frames, 9, for: 3) == 0)
        #expect(all(&frames, 2) == [[UInt8](repeating: 1, count: 10), .init(repeating: 2, count: 20), .init(repeating: 3, count: 30)])
        #expect(all(&frames, 2) == [])
        #expect(frames.count == 1)
    }

    @Test func oneTooManyTakesTheOldestsPlace() {
        var frames = WaitingFrames(neighbours: 1)
        let lost = (1...WaitingFrames.each + 2).map { keep(&frames, UInt8($0), for: 0) }
        #expect(lost == [Int](repeating: 0, count: WaitingFrames.each) + [1, 1])
        #expect(all(&frames, 0).map { Int($0[0]) } == Array(3...WaitingFrames.each + 2))
        #expect(frames.count == 0)
    }

    @Test func slotsComeBackWhicheverNeighbourHadThem() {
        var frames = WaitingFrames(neighbours: 3)
        for round in 0..<20 {
            for byte in 0..<90 { #expect(keep(&frames, UInt8(byte), for: (byte + round) % 3) == 0) }
            #expect(frames.count == 90)
            for entry in 0..<3 {
                let found = all(&frames, (entry + round) % 3).map { Int($0[0]) }
                #expect(found == Array(stride(from: entry, to: 90, by: 3)))
            }
            #expect(frames.count == 0)
        }
    }

    @Test func theLargestPacketFits() {
        var frames = WaitingFrames(neighbours: 1)
        #expect(keep(&frames, 7, length: 65_535 + VirtioHeader.wholeLength, for: 0) == 0)
        #expect(all(&frames, 0)[0].count == 65_535 + VirtioHeader.wholeLength)
    }

    @Test func whenNothingIsLeftTheNewestIsLost() {
        var frames = WaitingFrames(neighbours: 300)
        let lost = (0..<300).map { keep(&frames, 1, for: $0) }
        #expect(lost.reduce(0, +) == 300 - WaitingFrames.capacity)
        #expect(all(&frames, 299) == [])
        #expect(all(&frames, 0).count == 1)
        #expect(keep(&frames, 2, for: 299) == 0)
    }
}
