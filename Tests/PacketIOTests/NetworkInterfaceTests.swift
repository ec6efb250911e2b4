import Testing

@testable import PacketIO

struct NetworkInterfaceTests {
    @Test func readsTheLoopbackDevice() throws {
        let loopback = try NetworkInterface(named: "lo")
        #expect(loopback.mtu >= 1_280)
        #expect(loopback.isEthernet)
    }

    @Test(arguments: ["sluice-none", "a-name-that-is-much-too-long"]) func namesWhatDoesNotExist(_ name: String) {
        let error = #expect(throws: CaptureError.self) { _ = try NetworkInterface(named: name) }
        #expect(error == CaptureError(.noSuchInterface, "the interface \(name) does not exist"))
    }
}
