import Testing

@testable import DispatcherCore

@Suite struct ResponseHeadTests {
    private static func framing(
        _ status: Int, _ fields: String = "", version: String = "1.1", isHead: Bool = false, minorVersion: UInt8 = 1
    ) -> ResponseFraming? {
        let lines = fields.isEmpty ? "" : fields + "\r\n"
        return Framing.response("HTTP/\(version) \(status) X\r\n\(lines)\r\n", isHead: isHead, minorVersion: minorVersion)?.framing
    }

    private static func fault(_ status: Int, _ fields: String, version: String = "1.1", minorVersion: UInt8 = 1) -> ResponseFault? {
        Framing.responseFault("HTTP/\(version) \(status) X\r\n\(fields)\r\n\r\n", minorVersion: minorVersion)
    }

    @Test func isPlainMemory() {
        #expect(_isPOD(ResponseHead.self) && MemoryLayout<ResponseHead>.size <= 32)
    }

    @Test func framings() {
        #expect(Self.framing(200, "Content-Length: 5") == .length(5))
        #expect(Self.framing(200, "content-length:\t010 ") == .length(10))
        #expect(Self.framing(200, "Transfer-Encoding: Chunked") == .chunked)
        #expect(Self.framing(200) == .untilClose)
        #expect(Self.framing(205, "Content-Length: 0") == .length(0))
        #expect(Self.framing(999, "Content-Length: 1") == .length(1))
        #expect(Self.framing(200, "Content-Length: 9223372036854775807") == .length(9_223_372_036_854_775_807))
    }

    @Test func withoutBody() {
        for status in [100, 102, 103, 199, 204] {
            #expect(Self.framing(status) == ResponseFraming.none)
            #expect(Self.framing(status, "Content-Length: 0") == ResponseFraming.none)
            #expect(Self.fault(status, "Content-Length: 5") == .bodyWithoutContent)
            #expect(Self.fault(status, "Transfer-Encoding: chunked") == .bodyWithoutContent)
        }
        for fields in ["", "Content-Length: 5", "Transfer-Encoding: chunked"] {
            #expect(Self.framing(304, fields) == ResponseFraming.none)
            #expect(Self.framing(200, fields, isHead: true) == ResponseFraming.none)
            #expect(Self.framing(404, fields, isHead: true, minorVersion: 0) == ResponseFraming.none)
        }
    }

    @Test(arguments: [
        ("Content-Length: 5\r\nContent-Length: 5", ResponseFault.duplicateLength), ("Content-Length: 5, 5", .lengthSyntax),
        ("Content-Length:", .lengthSyntax),
        ("Content-Length: +5", .lengthSyntax), ("Content-Length: 9223372036854775808", .lengthSyntax),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", .lengthAndChunked),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", .duplicateCoding), ("Transfer-Encoding: gzip", .codingUnknown),
        ("Transfer-Encoding:", .codingUnknown),
        ("Transfer-Encoding: gzip, chunked", .codingUnknown), ("Transfer-Encoding: identity", .codingUnknown),
        ("Content-Length : 5", .whitespaceInName),
        ("A: b\r\n c", .foldedLine), (": b", .emptyName), ("A", .missingColon), ("A: b\nC: d", .bareLF), ("A: b\rC: d", .bareCR),
        ("A: \0", .controlByte),
        ("A\u{e9}: b", .nameByte), (" A: b", .foldedLine),
    ])
    func badFields(fields: String, fault: ResponseFault) {
        for status in [200, 304] { #expect(Self.fault(status, fields) == fault) }
    }

    @Test func oldVersions() {
        #expect(Self.fault(200, "Transfer-Encoding: chunked", version: "1.0") == .codingInOldVersion)
        #expect(Self.fault(200, "Transfer-Encoding: chunked", minorVersion: 0) == .codingForOldClient)
        #expect(Self.framing(200, "Content-Length: 5", minorVersion: 0) == .length(5))
    }

    @Test(arguments: [
        ("", ResponseFault.statusLineSyntax), ("hello world\r\n\r\n", .statusLineSyntax), ("HTTP/1.1 20 OK\r\n\r\n", .statusLineSyntax),
        ("HTTP/1.1 2000 OK\r\n\r\n", .statusLineSyntax),
        ("HTTP/1.1 200\r\n\r\n", .statusLineSyntax), ("HTTP/1.1  200 OK\r\n\r\n", .statusLineSyntax),
        ("HTTP/1.1 2x0 OK\r\n\r\n", .statusLineSyntax),
        ("ICY 200 OK\r\n\r\n      ", .statusLineSyntax), ("http/1.1 200 OK\r\n\r\n", .statusLineSyntax),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", .statusLineSyntax),
        ("HTTP/1.1\t200 OK\r\n\r\n", .statusLineSyntax), ("HTTP/11 200 OK\r\n\r\n", .statusLineSyntax),
        ("HTTP/2.0 200 OK\r\n\r\n", .versionUnsupported),
        ("HTTP/1.2 200 OK\r\n\r\n", .versionUnsupported), ("HTTP/0.9 200 OK\r\n\r\n", .versionUnsupported),
        ("HTTP/1.1 099 OK\r\n\r\n", .statusCode),
        ("HTTP/1.1 000 OK\r\n\r\n", .statusCode), ("HTTP/1.1 200 O\0K\r\n\r\n", .controlByte), ("HTTP/1.1 200 OK\n\r\n", .bareLF),
        ("HTTP/1.1 200 OK\rX\r\n\r\n", .bareCR),
        ("HTTP/1.1 200 OK\r\n", .incompleteHead), ("HTTP/1.1 200 OK...", .incompleteHead), ("HTTP/1.1 200 OK\r", .incompleteHead),
    ])
    func badStatusLines(text: String, fault: ResponseFault) { #expect(Framing.responseFault(text) == fault, "\(text)") }

    @Test func goodStatusLines() throws {
        for line in ["HTTP/1.1 200 ", "HTTP/1.1 200 OK", "HTTP/1.0 404 Not\tFound \u{e9}", "HTTP/1.1 599 \t"] {
            #expect(Framing.response(line + "\r\n\r\n")?.status == UInt16(line.dropFirst(9).prefix(3)), "\(line)")
        }
    }

    @Test(arguments: [
        ("1.1", "Content-Length: 0", true, false, false), ("1.1", "Content-Length: 0\r\nConnection: close", false, true, false),
        ("1.1", "Content-Length: 0\r\nConnection: x, CLOSE", false, true, false), ("1.1", "Connection: keep-alive", false, false, true),
        ("1.0", "Content-Length: 0", false, false, false), ("1.0", "Content-Length: 0\r\nConnection: Keep-Alive", true, false, true),
        ("1.1", "Content-Length: 0\r\nConnection: a b", false, true, false),
        ("1.1", "Content-Length: 0\r\nConnection: closed", true, false, false),
    ])
    func persistence(version: String, fields: String, keepAlive: Bool, saysClose: Bool, saysKeepAlive: Bool) throws {
        let head = try #require(Framing.response("HTTP/\(version) 200 OK\r\n\(fields)\r\n\r\n"))
        #expect(head.keepAlive == keepAlive && head.saysClose == saysClose && head.saysKeepAlive == saysKeepAlive)
    }

    @Test func switchingProtocols() throws {
        let good = "HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
        let head = try #require(Framing.response(good, upgraded: true))
        #expect(head.switchesProtocols && !head.isInterim && !head.keepAlive && head.framing == .none)
        #expect(Framing.responseFault(good) == .upgradeUnasked)
        for bad in [
            good.replacing("1.1 101", with: "1.0 101"), good.replacing("WebSocket", with: "h2c"),
            good.replacing("Connection: Upgrade\r\n", with: ""),
            good.replacing("Upgrade: WebSocket\r\n", with: ""),
            good.replacing("WebSocket\r\n", with: "WebSocket\r\nUpgrade: websocket\r\n"),
        ] {
            #expect(Framing.responseFault(bad, upgraded: true) == .upgradeSyntax)
        }
        #expect(
            Framing.responseFault(good.replacing("\r\n\r\n", with: "\r\nContent-Length: 1\r\n\r\n"), upgraded: true) == .bodyWithoutContent)
        #expect(try #require(Framing.response("HTTP/1.1 102 X\r\n\r\n")).isInterim)
        #expect(try !#require(Framing.response("HTTP/1.1 200 X\r\n\r\n")).isInterim)
    }

    @Test func limits() {
        let text = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"
        func isFault(_ fault: ResponseFault, _ limits: HeadLimits) -> Bool { Framing.parseResponse(text, limits: limits) == .bad(fault) }
        #expect(isFault(.tooManyFields, HeadLimits(fields: 0)))
        #expect(isFault(.headTooLong, HeadLimits(head: UInt32(text.utf8.count - 1))))
        guard case .good = Framing.parseResponse(text, limits: HeadLimits(head: UInt32(text.utf8.count), fields: 1)) else {
            Issue.record("exactly at the limits")
            return
        }
    }

    @Test func fieldsCanBeLookedUp() throws {
        let text = [UInt8](latin1: "HTTP/1.1 200 OK\r\nX-Load: 7\r\n\r\n")
        let head = try #require(Framing.response(text.latin1))
        text.withUnsafeBytes { bytes in
            #expect(head.value(ofField: .of("x-load"), of: bytes).map { [UInt8]($0).latin1 } == "7")
            #expect(head.value(ofField: .of("load"), of: bytes) == nil)
        }
    }
}
