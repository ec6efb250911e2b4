import Glibc
import Testing

@testable import PacketIO

/// Captures on the loopback device: for root only.
@Suite(.enabled(if: geteuid() == 0))
struct LiveCaptureTests {
    /// A datagram socket of the loopback device that sends to itself.
    private final class Echo {
        let descriptor: Int32
        let port: UInt16

        init() throws {
            let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let outcome = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                    bind(descriptor, address, length) == 0 && getsockname(descriptor, address, &length) == 0
                        && connect(descriptor, address, length) == 0
                }
            }
            self.descriptor = descriptor
            port = UInt16(bigEndian: address.sin_port)
            try #require(outcome)
        }

        deinit { close(descriptor) }

        func send(_ byte: UInt8) { #expect(Glibc.send(descriptor, [byte], 1, 0) == 1) }
    }

    @Test func framesAreSeenInTheRingBeforeTheyAreHandedOut() throws {
        let echo = try Echo()
        let capture = try Capture(interface: "lo", filter: "udp dst port \(echo.port)", memory: 16 << 20)
        let frames = capture.frames
        for byte in 0..<20 { echo.send(UInt8(byte)) }
        var (handedOut, seen): ([UInt8], [UInt8]) = ([], [])
        for _ in 0..<100 where handedOut.count < 20 {
            let count = frames.dispatch(limit: 64) { frame in
                handedOut.append(frame.withUnsafeBytes { $0[42] })
                frames.look(from: frame, distance: 6) { ahead in seen.append(ahead.withUnsafeBytes { $0[42] }) }
                #expect(seen.count < handedOut.count + 6)
            }
            if count == 0 { usleep(10_000) }
        }
        #expect(handedOut == (0..<20).map(UInt8.init))
        #expect(seen == (1..<20).map(UInt8.init), "each once, in order, all that were there in time")
    }
}
