import Testing

@testable import DispatcherCore

@Suite struct RequestTargetTests {
    /// What goes on of a target: "target host".
    private static func forwarded(_ target: String, method: String = "GET") -> String? {
        guard let head = Framing.rewrite("\(method) \(target) HTTP/1.1\r\nHost: a\r\n\r\n") else { return nil }
        let lines = head.split(separator: "\r\n")
        return "\(lines[0].split(separator: " ")[1]) \(lines[1].dropFirst(6))"
    }

    @Test(arguments: [
        ("/", "/ a"), ("/a/b;c=d?e=f&g", "/a/b;c=d?e=f&g a"), ("//a", "//a a"), ("/%41%7e", "/%41%7e a"), ("/?", "/? a"), ("/??", "/?? a"),
        ("/?100%", "/?100% a"),
        ("/a|b[]{}^`", "/a|b[]{}^` a"), ("/?a\\b", "/?a\\b a"), ("/..", "/.. a"), ("http://b/x", "/x b"), ("HTTP://b:80/x?y", "/x?y b:80"),
        ("http://b", "/ b"),
        ("http://b?q", "/?q b"), ("http://[::1]:80/", "/ [::1]:80"), ("http://b//x", "//x b"),
    ])
    func good(target: String, expected: String) { #expect(Self.forwarded(target) == expected) }

    @Test func asterisk() {
        #expect(Self.forwarded("*", method: "OPTIONS") == "* a")
        #expect(Self.forwarded("http://b", method: "OPTIONS") == "* b")
        #expect(Self.forwarded("http://b/", method: "OPTIONS") == "/ b")
        #expect(Self.forwarded("http://b?q", method: "OPTIONS") == "/?q b")
        #expect(Framing.fault("GET * HTTP/1.1\r\nHost: a\r\n\r\n") == .targetForm)
        #expect(Framing.fault("OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n") == .targetForm)
        #expect(Framing.fault("OPTIONS **") == .targetForm && Framing.fault("OPTIONS *") == .targetForm)
    }

    @Test(arguments: [
        ("", RequestFault.targetEmpty), ("a", .targetForm), ("?a", .targetForm), ("#a", .targetForm), ("a:80", .targetForm),
        ("ftp://b/", .targetForm),
        ("https://b/", .targetScheme), ("http:/b", .targetForm), ("http://", .targetForm), ("http:///x", .targetForm),
        ("http://u@b/", .targetForm),
        ("http://b:x/", .targetForm), ("http://:80/", .targetForm), ("http://b#f", .targetForm), ("http://b/#f", .targetFragment),
        ("/a#b", .targetFragment),
        ("/?a#b", .targetFragment), ("/\\a", .targetByte), ("/%", .targetByte), ("/%4", .targetByte), ("/%zz", .targetByte),
        ("/\u{e9}", .targetByte),
        ("/?\u{e9}", .targetByte), ("/\u{0}", .targetByte), ("/\u{7f}", .targetByte), ("/\"", .targetByte), ("/<a>", .targetByte),
        ("/a\tb", .requestLineSyntax),
        ("/a b", .versionSyntax), ("http://b\\@c/", .targetForm), ("http://b\u{0}/", .targetByte), ("http://b%/", .targetForm),
    ])
    func bad(target: String, fault: RequestFault) {
        #expect(Framing.fault("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n") == fault, "\(target)")
    }
}
