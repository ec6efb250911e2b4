import Testing

@testable import DispatcherCore

@Suite("BodyStream")
struct BodyStreamTests {
    @Test("what waits moves to the front when there is no room behind it; the bytes that are kept stay; nothing is lost")
    func slides() throws {
        var pool = BufferPool(limit: 1 << 20)
        let taken = pool.take(2_000)
        var buffer = try #require(taken)
        #expect(buffer.capacity == 2_048)
        var stream = BodyStream()
        (stream.kept, stream.room) = (100, 1_000)
        var written: [UInt8] = []
        var dropped = 0
        var end = 0
        func append(_ count: Int) -> Bool {
            guard let place = stream.makeRoom(count, end: end, in: buffer) else { return false }
            for index in 0..<count {
                let byte = UInt8(truncatingIfNeeded: (written.count + 1) * 37)
                buffer.bytes[place + index] = byte
                written.append(byte)
            }
            end = place + count
            return true
        }
        #expect(append(300))
        let line = Array(buffer.bytes[..<100])
        var random = SimulationRandom(seed: 3)
        for _ in 0..<5_000 {
            let free = stream.free(end: end)
            #expect(free == 1_000 - (written.count - dropped))
            if free > 0, random.chance(0.6) {
                #expect(append(random.within(1...free)))
            } else {
                let count = random.below(written.count - dropped + 1)
                stream.drop(count)
                dropped += count
            }
            #expect(Array(buffer.bytes[Int(stream.start)..<end]) == Array(written[dropped...]))
        }
        #expect(Array(buffer.bytes[..<100]) == line && written.count > 100_000)
        #expect(stream.makeRoom(2_048, end: end, in: buffer) == nil)
        pool.give(&buffer)
        #expect(pool.inUse == 0)
    }

    @Test("a buffer has room for what may wait, and half as much to move it rarely", arguments: [0, 1, 16_384, 65_536, 131_072])
    func capacity(bodyBuffer: Int) {
        let head = 65_536 + 1_000 + 45 + 320
        for written in [200, head] {
            let room = written + BodyStream.bodyRoom(bodyBuffer)
            let capacity = BodyStream.capacity(room: room)
            #expect(capacity <= BufferPool.largestSize)
            // Also before anything of the head is acknowledged, and with the request line kept.
            #expect(capacity >= room + RequestRecord.lineCapacity)
        }
    }

    @Test("chunks are written as they are read", arguments: [1, 9, 10, 15, 16, 255, 256, 65_535, 65_536, 200_000])
    func chunks(size: Int) {
        let bytes = SimulationRandom.bytes(size)
        var memory = [UInt8](repeating: 0, count: size + BodyStream.chunkCost)
        let length = memory.withUnsafeMutableBytes { memory in
            let chunk = bytes.withUnsafeBytes { BodyStream.writeChunk($0, into: memory) }
            return chunk + BodyStream.writeEnd(into: UnsafeMutableRawBufferPointer(rebasing: memory[chunk...]))
        }
        #expect(length <= size + BodyStream.chunkCost)
        var coded = Array(memory[..<length])
        #expect(String(decoding: coded.prefix(8), as: UTF8.self).hasPrefix(String(size, radix: 16) + "\r\n"))
        var decoder = ChunkedDecoder(limit: 1 << 20)
        let result = coded.withUnsafeMutableBytes { decoder.decode($0) }
        #expect(result.state == .done && result.consumed == length && result.produced == size && Array(coded[..<size]) == bytes)
    }
}

extension SimulationRandom {
    fileprivate static func bytes(_ count: Int) -> [UInt8] {
        var random = SimulationRandom(seed: UInt64(count))
        return random.bytes(count)
    }
}
