import DispatcherCore
import Glibc
import Testing

@testable import PacketIO

struct SavedCaptureTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func file(_ bytes: [UInt8], _ name: String = "a.pcap") throws -> String {
        let path = directory.path + "/" + name
        let file = try #require(fopen(path, "we"))
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
        #expect(fclose(file) == 0)
        return path
    }

    private func words(_ words: [UInt32], swapped: Bool = false) -> [UInt8] {
        words.flatMap { word in withUnsafeBytes(of: swapped ? word.byteSwapped : word, Array.init) }
    }

    /// pcap with two frames of link type 101 (raw IP), the second cut by the snapshot length.
    private func pcap(magic: UInt32 = 0xA1B2_C3D4, fraction: UInt32 = 5, swapped: Bool = false) -> [UInt8] {
        words([magic, swapped ? 0x0002_0004 : 0x0004_0002, 0, 0, 65_535, 101], swapped: swapped)
            + words([7, fraction, 4, 4], swapped: swapped) + [0x45, 1, 2, 3] + words([8, 0, 4, 900], swapped: swapped) + [0x45, 4, 5, 6]
    }

    private func readAll(_ capture: SavedCapture) throws -> [RecordedFrame] {
        var frames: [RecordedFrame] = []
        while let frame = try capture.next() { frames.append(frame) }
        return frames
    }

    @Test func readsEitherUnitOfTime() throws {
        let micro = try SavedCapture(path: file(pcap()))
        #expect(micro.dataLink == 12)
        let frames = try readAll(micro)
        #expect(frames.map(\.at) == [Instant(nanoseconds: 7_000_005_000), Instant(nanoseconds: 8_000_000_000)])
        #expect(frames.map(\.bytes) == [[0x45, 1, 2, 3], [0x45, 4, 5, 6]])
        #expect(frames.map(\.originalLength) == [4, 900])
        #expect(micro.count == 2 && !micro.isCut)
        let nano = try SavedCapture(path: file(pcap(magic: 0xA1B2_3C4D)))
        #expect(try readAll(nano).first?.at == Instant(nanoseconds: 7_000_000_005))
    }

    @Test func readsPcapng() throws {
        // Section header, interface (Ethernet, microseconds), one enhanced packet of 4 bytes at 7.000005 s.
        let section = words([0x0A0D_0D0A, 28, 0x1A2B_3C4D, 1, .max, .max, 28])
        let interface = words([1, 20, 1, 65_535, 20])
        let packet = words([6, 36, 0, 0, 7_000_005, 4, 60]) + [9, 8, 7, 6] + words([36])
        let capture = try SavedCapture(path: file(section + interface + packet, "a.pcapng"))
        #expect(capture.dataLink == 1)
        let frames = try readAll(capture)
        #expect(frames.map(\.at) == [Instant(nanoseconds: 7_000_005_000)])
        #expect(frames.map(\.bytes) == [[9, 8, 7, 6]] && frames.map(\.originalLength) == [60])
    }

    @Test func readsWhatTheWriterWrites() throws {
        let path = directory.path + "/b.pcap"
        let writer = try CaptureFileWriter(path: path)
        [UInt8](repeating: 1, count: 60).withUnsafeBytes { writer.write($0, at: Instant(nanoseconds: 1_234_567_890)) }
        try writer.flush()
        let capture = try SavedCapture(path: path)
        #expect(try readAll(capture).map(\.at) == [Instant(nanoseconds: 1_234_567_890)])
        #expect(capture.dataLinkName == "Ethernet")
    }

    /// Wherever it is cut: what was whole is there, and only a cut between frames passes for an end.
    @Test func saysWhereAFileIsCut() throws {
        let whole = pcap()
        for length in 24..<whole.count {
            let capture = try SavedCapture(path: file(Array(whole[..<length])))
            let frames = try readAll(capture)
            #expect(frames.count == (length < 44 ? 0 : 1), "\(length)")
            #expect(capture.isCut == (length != 24 && length != 44), "\(length)")
        }
    }

    @Test func refusesWhatIsNoCapture() throws {
        let missing = #expect(throws: CaptureError.self) { _ = try SavedCapture(path: "/nowhere/at-all.pcap") }
        #expect(missing?.description.contains("/nowhere/at-all.pcap") == true)
        for bytes in [[], [1, 2, 3], Array("this is a text and no capture".utf8), Array(pcap().prefix(23))] as [[UInt8]] {
            let error = #expect(throws: CaptureError.self) { _ = try SavedCapture(path: file(bytes)) }
            #expect(error?.description.contains("must be a capture of tcpdump") == true, "\(error?.description ?? "")")
        }
    }

    @Test func saysWhenAFileIsDamaged() throws {
        var bytes = pcap()
        bytes.replaceSubrange(24 + 8..<24 + 12, with: [0xFF, 0xFF, 0xFF, 0x7F])
        let capture = try SavedCapture(path: file(bytes))
        let error = #expect(throws: CaptureError.self) { _ = try readAll(capture) }
        #expect(error?.description.contains("damaged after 0 frames") == true)
    }

    @Test func refusesTimesThatNobodyLivesToSee() throws {
        // pcapng whose interface counts whole seconds (if_tsresol 0), and a packet after 2^33 of them.
        let section = words([0x0A0D_0D0A, 28, 0x1A2B_3C4D, 1, .max, .max, 28])
        let interface = words([1, 32, 1, 65_535]) + [9, 0, 1, 0, 0, 0, 0, 0] + words([0, 32])
        let packet = words([6, 36, 0, 2, 0, 4, 4]) + [9, 8, 7, 6] + words([36])
        let capture = try SavedCapture(path: file(section + interface + packet, "late.pcapng"))
        let error = #expect(throws: CaptureError.self) { _ = try readAll(capture) }
        #expect(error?.description.contains("a time of 8589934592 s since 1970") == true)
    }
}
