import Testing

@testable import DispatcherCore

@Suite struct KnownFieldTests {
    private static func named(_ text: String) -> KnownField {
        [UInt8](latin1: text).withUnsafeBytes { KnownField.named($0, 0, $0.count) }
    }

    private static let names: [(String, KnownField)] = [
        ("Host", .host), ("Content-Length", .contentLength), ("Transfer-Encoding", .transferEncoding), ("Connection", .connection),
        ("Expect", .expect), ("Upgrade", .upgrade), ("Keep-Alive", .keepAlive), ("Proxy-Connection", .proxyConnection), ("TE", .te),
        ("Trailer", .trailer), ("HTTP2-Settings", .http2Settings), ("X-Forwarded-For", .forwardedFor),
        ("X-Forwarded-Proto", .forwardedProto), ("Forwarded", .forwarded), ("Max-Forwards", .maxForwards),
    ]

    @Test func namesInAnyCase() {
        for (name, field) in Self.names {
            #expect(Self.named(name) == field)
            #expect(Self.named(name.lowercased()) == field)
            #expect(Self.named(name.uppercased()) == field)
        }
    }

    /// Every change of one byte makes another name; a sign in place of "-" makes a twin.
    @Test func nothingElse() {
        for (name, field) in Self.names {
            let bytes = [UInt8](latin1: name)
            for index in bytes.indices {
                for byte in UInt8.min...UInt8.max where Canonical.tokenBytes.contains(byte) {
                    var changed = bytes
                    changed[index] = byte
                    let text = changed.latin1
                    let isSign = !Character(Unicode.Scalar(byte)).isLetter && !Character(Unicode.Scalar(byte)).isNumber
                    let expected: KnownField =
                        text.lowercased() == name.lowercased() ? field : bytes[index] == 0x2d && isSign ? .twin : .other
                    // One change can make another of the known names only if both have the same length; none does.
                    #expect(Self.named(text) == expected, "\(text)")
                }
            }
            #expect(Self.named(name + "x") == .other && Self.named("x" + name) == .other)
            #expect(Self.named(String(name.dropLast())) == .other)
        }
        #expect(Self.named("Content_Length") == .twin && Self.named("TRANSFER_ENCODING") == .twin && Self.named("x_forwarded-for") == .twin)
    }

    @Test func whatNoConnectionOptionRemoves() {
        func isEndToEnd(_ text: String) -> Bool { [UInt8](latin1: text).withUnsafeBytes { KnownField.isEndToEnd($0, 0, $0.count) } }
        for name in ["Host", "content-type", "Content-Encoding", "Cookie", "AUTHORIZATION", "X-Forwarded-For", "Sec-WebSocket-Key", "Via"] {
            #expect(isEndToEnd(name), "\(name)")
        }
        for name in ["X-Custom", "Close", "Keep-Alive", "content", "hosts", "x-forwarded"] { #expect(!isEndToEnd(name), "\(name)") }
    }
}
