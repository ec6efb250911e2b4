import Testing

@testable import DispatcherCore

@Suite struct RequestHeadTests {
    @Test func isPlainMemory() {
        #expect(_isPOD(RequestHead.self))
        #expect(MemoryLayout<RequestHead>.size <= 72)
    }

    @Test func saysWhereEverythingIs() throws {
        let text = "\r\nPOST /a/b?c=d HTTP/1.1\r\nHost: A.example:80\r\nContent-Length: 010\r\n\r\n0123456789"
        let head = try #require(Framing.request(text))
        #expect(head.method == .post && Framing.text(head.methodRange, of: text) == "POST")
        #expect(Framing.text(head.targetRange, of: text) == "/a/b?c=d")
        #expect(Framing.text(head.pathRange, of: text) == "/a/b")
        #expect(Framing.text(head.hostRange, of: text) == "A.example:80")
        #expect(head.framing == .length(10) && head.bodyLength == 10)
        #expect(Int(head.headLength) == text.utf8.count - 10)
        #expect(head.fieldCount == 2 && head.minorVersion == 1)
        #expect(head.keepAlive && !head.expectsContinue && !head.upgradesToWebSocket && !head.isHead && !head.isIdempotent)
    }

    @Test(arguments: [
        ("GET", RequestMethod.get, true), ("HEAD", .head, true), ("POST", .post, false), ("PUT", .put, true), ("DELETE", .delete, true),
        ("OPTIONS", .options, true), ("TRACE", .trace, true), ("PATCH", .patch, false), ("get", .other, false), ("GETT", .other, false),
        ("M-SEARCH", .other, false), ("GE", .other, false), ("X", .other, false), ("DELETES", .other, false),
    ])
    func methods(name: String, method: RequestMethod, isIdempotent: Bool) throws {
        let head = try #require(Framing.request("\(name) / HTTP/1.1\r\nHost: a\r\n\r\n"))
        #expect(head.method == method && head.isIdempotent == isIdempotent && head.isHead == (name == "HEAD"))
    }

    @Test(arguments: [
        ("", RequestFault.incompleteHead), ("\r\n", .incompleteHead), ("GET", .incompleteHead), (" / HTTP/1.1\r\n\r\n", .requestLineSyntax),
        ("GE(T / HTTP/1.1\r\n\r\n", .requestLineSyntax), ("GET\t/ HTTP/1.1\r\n\r\n", .requestLineSyntax),
        (String(repeating: "A", count: 33) + " / HTTP/1.1\r\n\r\n", .methodTooLong), ("CONNECT a:80 HTTP/1.1\r\n\r\n", .connectMethod),
        ("PRI * HTTP/2.0\r\n\r\n", .h2Preface), ("GET / HTTP/2.0\r\n\r\n", .versionUnsupported),
        ("GET / HTTP/0.9\r\n\r\n", .versionUnsupported),
        ("GET / HTTP/3.0\r\n\r\n", .versionUnsupported), ("GET /\r\n\r\n", .requestLineSyntax), ("GET / \r\n\r\n", .versionSyntax),
        ("GET / HTTP/1.1 \r\n\r\n", .versionSyntax), ("GET / HTTP/1\r\n\r\n", .versionSyntax), ("GET / HTTP/1.10\r\n\r\n", .versionSyntax),
        ("GET / http/1.1\r\n\r\n", .versionSyntax), ("GET / HTTP/1.x\r\n\r\n", .versionSyntax), ("GET / HTTP/1.1", .versionSyntax),
        ("GET / HTTP/1,1\r\n\r\n", .versionSyntax), ("GET / HTTP/1.1\r\n", .incompleteHead),
        ("GET / HTTP/1.1\r\nA: b\r\n", .incompleteHead),
        ("\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .emptyLines), ("GET / HTTP/1.1\r\n A: b\r\n\r\n", .foldedLine),
        ("GET / HTTP/1.1\r\n\r\n", .missingHost),
    ])
    func badLines(text: String, fault: RequestFault) { #expect(Framing.fault(text) == fault, "\(text)") }

    @Test func versions() throws {
        let old = try #require(Framing.request("GET / HTTP/1.0\r\n\r\n"))
        #expect(old.minorVersion == 0 && !old.keepAlive && old.hostRange.isEmpty)
        let newer = try #require(Framing.request("GET / HTTP/1.9\r\nHost: a\r\n\r\n"))
        #expect(newer.minorVersion == 1 && newer.receivedMinorVersion == 9)
    }

    @Test(arguments: [
        ("Content-Length: 5\r\nContent-Length: 5", RequestFault.duplicateLength), ("Content-Length: 5, 5", .lengthSyntax),
        ("Content-Length: 5 5", .lengthSyntax), ("Content-Length:", .lengthSyntax), ("Content-Length : 5", .whitespaceInName),
        ("Content-Length: 1048577", .bodyTooLong), ("Content-Length: 5\r\nTransfer-Encoding: chunked", .lengthAndChunked),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", .lengthAndChunked),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", .duplicateCoding),
        ("Transfer-Encoding: gzip, chunked", .codingUnknown), ("Transfer-Encoding: chunked, gzip", .codingSyntax),
        ("Transfer-Encoding: gzip", .codingSyntax),
        ("Transfer-Encoding: chunked;q=1", .codingSyntax), ("Transfer-Encoding: chunked,", .codingSyntax),
        ("Transfer-Encoding: xchunked", .codingSyntax),
        ("Transfer-Encoding: gzip,, chunked", .codingSyntax), ("Host: a", .duplicateHost), ("Expect: 100-continue, x", .expectation),
        ("Expect:", .expectation),
        ("Expect: 100-continue\r\nExpect: 100-continue", .expectation), ("Connection: a b", .connectionSyntax),
        ("Connection: close;x", .connectionSyntax),
        ("Connection: " + String(repeating: "a,", count: 17), .connectionSyntax), ("Connection: \"close\"", .connectionSyntax),
    ])
    func badFields(fields: String, fault: RequestFault) { #expect(Framing.fault(fields: fields, method: "POST") == fault, "\(fields)") }

    @Test func bodiesThatOldServersDisagreeAbout() {
        for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
            #expect(Framing.fault(fields: "Content-Length: 5", method: method, version: "1.0") == .bodyInOldVersion)
            #expect(Framing.fault(fields: "Content-Length: 0", method: method, version: "1.0") == nil)
            #expect(Framing.fault(fields: "Content-Length: 5", method: method) == nil)
        }
        #expect(Framing.fault(fields: "Content-Length: 5", method: "POST", version: "1.0") == nil)
        #expect(Framing.fault(fields: "Content-Length: 5", method: "TRACE") == .bodyInTrace)
        #expect(Framing.fault(fields: "Transfer-Encoding: chunked", method: "POST", version: "1.0") == .codingInOldVersion)
    }

    @Test(arguments: [
        ("1.1", "", true), ("1.1", "Connection: close", false), ("1.1", "Connection: x, CLOSE ,y", false),
        ("1.1", "Connection: keep-alive, close", false),
        ("1.1", "Connection: closed", true), ("1.1", "Connection:", true), ("1.1", "X: close", true), ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive", true),
        ("1.0", "Connection: keep-alive\r\nConnection: close", false), ("1.0", "Keep-Alive: timeout=5", false),
        ("1.1", "Proxy-Connection: close", true),
    ])
    func persistence(version: String, fields: String, keepAlive: Bool) throws {
        let lines = fields.isEmpty ? "" : fields + "\r\n"
        #expect(try #require(Framing.request("GET / HTTP/\(version)\r\nHost: a\r\n\(lines)\r\n")).keepAlive == keepAlive)
    }

    @Test func expectation() throws {
        func expects(_ fields: String, _ version: String = "1.1") -> Bool? {
            Framing.request("POST / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n\r\n")?.expectsContinue
        }
        #expect(expects("Expect: 100-Continue\r\nContent-Length: 5") == true)
        #expect(expects("Expect: 100-continue\r\nTransfer-Encoding: chunked") == true)
        #expect(expects("Expect: 100-continue\r\nContent-Length: 0") == false)
        #expect(expects("Expect: 100-continue") == false)
        #expect(expects("Expect: 100-continue\r\nContent-Length: 5", "1.0") == false)
    }

    @Test(arguments: [
        ("GET", "1.1", "Connection: Upgrade\r\nUpgrade: websocket", true),
        ("GET", "1.1", "Connection: keep-alive, upgrade\r\nUpgrade: WebSocket", true),
        ("GET", "1.1", "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0", true), ("GET", "1.1", "Upgrade: websocket", false),
        ("GET", "1.1", "Connection: upgrade", false), ("GET", "1.1", "Connection: upgrade\r\nUpgrade: h2c", false),
        ("GET", "1.1", "Connection: upgrade\r\nUpgrade: websocket, h2c", false),
        ("POST", "1.1", "Connection: upgrade\r\nUpgrade: websocket", false),
        ("GET", "1.0", "Connection: upgrade\r\nUpgrade: websocket", false),
        ("GET", "1.1", "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket", false),
    ])
    func upgrade(method: String, version: String, fields: String, upgrades: Bool) throws {
        let head = try #require(Framing.request("\(method) /ws HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n\r\n"))
        #expect(head.upgradesToWebSocket == upgrades)
    }

    @Test func maxForwards() {
        for method in ["OPTIONS", "TRACE"] {
            #expect(Framing.fault(fields: "Max-Forwards: 0", method: method) == .maxForwardsReached)
            #expect(Framing.fault(fields: "Max-Forwards: x", method: method) == .maxForwards)
            #expect(Framing.fault(fields: "Max-Forwards: 1\r\nMax-Forwards: 1", method: method) == .maxForwards)
            #expect(Framing.fault(fields: "Max-Forwards: 1", method: method) == nil)
        }
        #expect(Framing.fault(fields: "Max-Forwards: 0") == nil)
    }

    @Test func limits() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"
        let length = UInt32(text.utf8.count)
        func fault(_ limits: HeadLimits) -> RequestFault? {
            if case .bad(let fault) = Framing.parse(text, limits: limits) { return fault }
            return nil
        }
        #expect(fault(HeadLimits(head: length, fields: 2)) == nil)
        #expect(fault(HeadLimits(head: length - 1, fields: 2)) == .headTooLong)
        #expect(fault(HeadLimits(head: length, fields: 1)) == .tooManyFields)
        #expect(fault(HeadLimits(head: 0, fields: 0)) == .incompleteHead)
    }

    /// RFC 9110 4.1: at least 8000 octets of target must do.
    @Test func longTargetsDo() {
        let target = "/" + String(repeating: "a", count: 9000)
        #expect(Framing.fault("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n") == nil)
    }

    @Test func routing() throws {
        func route(_ text: String, _ body: (RequestHead, UnsafeRawBufferPointer) -> Void) throws {
            let head = try #require(Framing.request(text))
            [UInt8](latin1: text).withUnsafeBytes { body(head, $0) }
        }
        func bytes(_ text: StaticString) -> UnsafeRawBufferPointer { .of(text) }
        try route("GET /notify/1?x=/other HTTP/1.1\r\nHost: A.example:80\r\nX-A:  b \r\nx-a: c\r\n\r\n") { head, text in
            #expect(head.pathHasPrefix(bytes("/notify/"), of: text) && head.pathHasPrefix(bytes(""), of: text))
            #expect(head.pathHasPrefix(bytes("/notify/1"), of: text) && !head.pathHasPrefix(bytes("/notify/1?"), of: text))
            #expect(!head.pathHasPrefix(bytes("/Notify/"), of: text))
            #expect(head.methodIs(bytes("GET"), of: text) && !head.methodIs(bytes("get"), of: text))
            #expect(head.hostIs(bytes("a.EXAMPLE"), of: text) && !head.hostIs(bytes("a.example:80"), of: text))
            #expect(head.value(ofField: bytes("x-A"), of: text).map { [UInt8]($0).latin1 } == "b")
            #expect(head.value(ofField: bytes("X"), of: text) == nil)
        }
        try route("GET http://[::1]:80?q HTTP/1.1\r\nHost: a\r\n\r\n") { head, text in
            #expect(head.pathHasPrefix(bytes("/"), of: text) && !head.pathHasPrefix(bytes("/q"), of: text))
            #expect(head.hostIs(bytes("[::1]"), of: text))
        }
    }
}
