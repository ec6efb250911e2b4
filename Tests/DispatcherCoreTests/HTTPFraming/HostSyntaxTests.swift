import Testing

@testable import DispatcherCore

@Suite struct HostSyntaxTests {
    private static func isValid(_ text: String) -> Bool { [UInt8](latin1: text).withUnsafeBytes { HostSyntax.isValid($0, 0, $0.count) } }

    @Test(arguments: [
        "a", "a.example", "a.example:80", "a:", "", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:80", "[::]", "[1::]", "a,b", "xn--a",
        "a%41",
        "[2001:db8::1]", "[2001:db8:1:2:3:4:5:6]", "[::ffff:192.0.2.1]", "[64:ff9b::192.0.2.33]:443", "[1:2:3:4:5:6:7::]",
        "[::2:3:4:5:6:7:8]",
        "a:65535", "_a", "[1:2:3:4:5:6:192.0.2.1]",
    ])
    func valid(text: String) { #expect(Self.isValid(text)) }

    @Test(arguments: [
        "a b", "a/b", "user@a", "a:b", "a:80:80", "a:65536", "a:100000", "a:-1", "a:+1", "a#", "a?b", "a\\b", "a%4", "a%", "a%zz", "\u{e9}",
        "a\tb",
        "[", "]", "[]", "[]:80", "[::1", "::1", "[::1]x", "[::1]:x", "[:1]", "[:::]", "[1::2::3]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]",
        "[1:2:3:4:5:6:7:8::]", "[12345::]", "[g::]", "[::256.0.0.1]", "[::1.2.3]", "[::1.2.3.4.5]", "[::01.2.3.4]",
        "[1:2:3:4:5:6:7:192.0.2.1]",
        "[fe80::1%25eth0]", "[v1.a]", "[1:]", "[1:2:3:4:5:6:7:]", "<a>", "\"a\"",
    ])
    func invalid(text: String) { #expect(!Self.isValid(text)) }

    @Test func theNameEndsBeforeThePort() {
        for (text, name) in [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("", "")] {
            let end = [UInt8](latin1: text).withUnsafeBytes { HostSyntax.endOfName($0, 0, $0.count) }
            #expect(String(text.prefix(end)) == name)
        }
    }
}
