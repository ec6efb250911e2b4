import DispatcherCore
import Testing

@testable import PacketIO

struct CaptureTests {
    @Test func handsOutFramesInOrderWithoutMoreThanTheLimit() throws {
        let directory = try TemporaryDirectory()
        let frames = (0..<5).map { TestFrames.frame(.client, payload: $0 * 100) }
        let capture = try Capture(file: TestFrames.file(frames, in: directory, "a.pcap"))
        var seen: [[UInt8]] = []
        let read = capture.frames.dispatch(limit: 3) { frame in frame.withUnsafeBytes { seen.append(Array($0)) } }
        #expect(read == 3)
        #expect(seen == Array(frames[..<3]))
        _ = capture.frames.dispatch(limit: 3) { frame in frame.withUnsafeBytes { seen.append(Array($0)) } }
        #expect(seen == frames)
        #expect(capture.frames.dispatch(limit: 3) { _ in Issue.record("there is no further frame") } == 0)
    }

    @Test func appliesAFilter() throws {
        let directory = try TemporaryDirectory()
        let frames = [TestFrames.frame(.client, payload: 1), TestFrames.frame(.server, payload: 2)]
        let capture = try Capture(file: TestFrames.file(frames, in: directory, "a.pcap"), filter: "dst host 10.77.2.11")
        var lengths: [Int] = []
        _ = capture.frames.dispatch(limit: 10) { lengths.append($0.byteCount) }
        #expect(lengths == [14 + 40 + 2])
    }

    @Test func saysWhatIsWrongWithAFilter() throws {
        let directory = try TemporaryDirectory()
        let path = try TestFrames.file([], in: directory, "a.pcap")
        let error = #expect(throws: CaptureError.self) { _ = try Capture(file: path, filter: "dst hostt 1.2.3.4") }
        #expect(error?.kind == .badFilter)
        #expect(error?.description.contains("dst hostt") == true)
    }

    @Test func takesNothingButEthernet() throws {
        let directory = try TemporaryDirectory()
        let path = try TestFrames.file([], in: directory, "a.pcap")
        try FileSurgery.replaceByte(at: 20, with: 101, in: path)
        let error = #expect(throws: CaptureError.self) { _ = try Capture(file: path) }
        #expect(error?.kind == .notEthernet)
        #expect(error?.description.contains("name an Ethernet") == true)
    }

    @Test func namesAnInterfaceThatDoesNotExist() {
        let error = #expect(throws: CaptureError.self) {
            _ = try Capture(interface: "sluice-none", filter: "arp", memory: 1 << 20)
        }
        #expect(error?.kind == .noSuchInterface || error?.kind == .notPermitted)
    }

    @Test func countsFramesThatWereCut() throws {
        let directory = try TemporaryDirectory()
        let path = try TestFrames.file([TestFrames.frame(.client, payload: 4)], in: directory, "a.pcap")
        // The length on the wire, in the first record's header.
        try FileSurgery.replaceByte(at: 24 + 13, with: 9, in: path)
        let capture = try Capture(file: path)
        _ = capture.frames.dispatch(limit: 10) { _ in }
        #expect(capture.statistics.truncated == 1)
    }
}
