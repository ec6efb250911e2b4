import DispatcherCore
import Testing

@testable import PacketIO

struct CaptureFileReaderTests {
    @Test func whatIsWrittenIsReadBack() throws {
        let directory = try TemporaryDirectory()
        let frames = [TestFrames.frame(.client, payload: 0), TestFrames.frame(.server, payload: 60_000)]
        var reader = try CaptureFileReader(path: TestFrames.file(frames, in: directory, "a.pcap"))
        let read = try reader.readAll()
        #expect(read.map(\.bytes) == frames)
        #expect(read.map(\.at) == [Instant(nanoseconds: 1_000_000), Instant(nanoseconds: 2_000_000)])
        #expect(try reader.next() == nil)
    }

    @Test func timesKeepTheirNanoseconds() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/a.pcap"
        let writer = try CaptureFileWriter(path: path)
        let instant = Instant(nanoseconds: 123_456_789_012_345)
        [UInt8](repeating: 1, count: 60).withUnsafeBytes { writer.write($0, at: instant) }
        try writer.flush()
        var reader = try CaptureFileReader(path: path)
        #expect(try reader.next()?.at == instant)
    }

    @Test func packetsWithoutLinkHeaderGetOne() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/a.pcap"
        let writer = try CaptureFileWriter(path: path)
        [UInt8](repeating: 0x45, count: 20).withUnsafeBytes { writer.write(packet: $0, .empty, at: .distantPast) }
        try writer.flush()
        var reader = try CaptureFileReader(path: path)
        #expect(try reader.next()?.bytes == [UInt8](repeating: 0, count: 12) + [8, 0] + [UInt8](repeating: 0x45, count: 20))
    }

    /// A file with one frame of two bytes, words in either order and either unit of time.
    private func file(magic: UInt32, swapped: Bool, fraction: UInt32) -> [UInt8] {
        let words: [UInt32] = [magic, 0x0004_0002, 0, 0, 65_535, 1, 7, fraction, 2, 2]
        return words.flatMap { word in Array(withUnsafeBytes(of: swapped ? word.byteSwapped : word, Array.init)) } + [0xAA, 0xBB]
    }

    @Test(arguments: [false, true]) func readsBothByteOrdersAndUnits(_ swapped: Bool) throws {
        var micro = try CaptureFileReader(file(magic: 0xA1B2_C3D4, swapped: swapped, fraction: 5))
        #expect(try micro.next() == RecordedFrame(at: Instant(nanoseconds: 7_000_005_000), bytes: [0xAA, 0xBB]))
        var nano = try CaptureFileReader(file(magic: 0xA1B2_3C4D, swapped: swapped, fraction: 5))
        #expect(try nano.next()?.at == Instant(nanoseconds: 7_000_000_005))
    }

    @Test func refusesWhatIsNoCaptureFile() {
        #expect(throws: CaptureError.self) { _ = try CaptureFileReader([1, 2, 3]) }
        #expect(throws: CaptureError.self) { _ = try CaptureFileReader([UInt8](repeating: 9, count: 100)) }
        let error = #expect(throws: CaptureError.self) { _ = try CaptureFileReader(path: "/nowhere/at-all.pcap") }
        #expect(error?.description.contains("/nowhere/at-all.pcap") == true)
    }

    @Test func saysWhenAFileEndsInsideAFrame() throws {
        let whole = file(magic: 0xA1B2_3C4D, swapped: false, fraction: 0)
        for length in 25..<whole.count {
            var reader = try CaptureFileReader(Array(whole[..<length]))
            #expect(throws: CaptureError.self) { _ = try reader.next() }
        }
    }

    @Test func cannotWriteWhereThereIsNoDirectory() {
        let error = #expect(throws: CaptureError.self) { _ = try CaptureFileWriter(path: "/nowhere/at-all.pcap") }
        #expect(error?.description.contains("cannot write the capture file") == true)
    }
}
