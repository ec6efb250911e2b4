import Testing

@testable import PacketIO

struct PacketFilterTests {
    @Test func judgesFramesWithoutADevice() throws {
        let filter = try PacketFilter("arp or dst host 10.77.1.11")
        let frames = [
            TestFrames.frame(.client, payload: 0), TestFrames.frame(.server, payload: 0),
            TestFrames.arp(TestFrames.request(for: TestFrames.service.address)), [1, 2, 3],
        ]
        // What cannot be copied may not stand inside an expectation.
        let passed = frames.map { filter.passes($0) }
        #expect(passed == [true, false, true, false])
    }

    @Test func refusesNonsense() {
        #expect(throws: CaptureError.self) { _ = try PacketFilter("dst host") }
    }
}
