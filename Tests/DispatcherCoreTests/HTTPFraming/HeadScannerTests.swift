import Testing

@testable import DispatcherCore

@Suite struct HeadScannerTests {
    @Test func isSmall() {
        #expect(MemoryLayout<HeadScanner>.size <= 16)
        #expect(_isPOD(HeadScanner.self))
    }

    @Test func findsTheEndOfTheFirstHead() {
        #expect(Framing.scan("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET") == .complete(length: 27))
        #expect(Framing.scan("GET / HTTP/1.1\r\n\r\n") == .complete(length: 18))
        #expect(Framing.scan("GET / HTTP/1.1\r\nHost: a\r\n\r") == .incomplete)
        #expect(Framing.scan("") == .incomplete)
    }

    @Test func leadingEmptyLinesCount() {
        #expect(Framing.scan("\r\n\r\nGET / HTTP/1.1\r\n\r\n") == .complete(length: 22))
        #expect(Framing.scan("\r\n\r\n\r\n\r\nG") == .incomplete)
        #expect(Framing.scan("\r\n\r\n\r\n\r\n\r\n") == .malformed)
        #expect(Framing.scan("\r\n", leadingEmptyLines: 0) == .malformed)
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\n", RequestFault.bareLF), ("\n", .bareLF), ("GET / HTTP/1.1\rX", .bareCR), ("\r\r", .bareCR),
        ("GET / HTTP/1.1\r\nX: \0", .controlByte), ("\u{16}", .controlByte), ("GET /\u{7f}", .controlByte),
    ])
    func isMalformedAsSoonAsCertain(text: String, fault: RequestFault) {
        var scanner = HeadScanner()
        let bytes = [UInt8](latin1: text)
        #expect(bytes.dropLast().withUnsafeBytes { scanner.scan($0, limit: 100) } == .incomplete)
        #expect(bytes.withUnsafeBytes { scanner.scan($0, limit: 100) } == .malformed)
        #expect(scanner.requestFault == fault)
        #expect(bytes.withUnsafeBytes { scanner.scan($0, limit: 100) } == .malformed)
    }

    @Test func theLimitIsExact() {
        let head = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        #expect(Framing.scan(head, limit: 27) == .complete(length: 27))
        #expect(Framing.scan(head, limit: 26) == .tooLong)
        #expect(Framing.scan(head + "more", limit: 27) == .complete(length: 27))
        #expect(Framing.scan(String(repeating: "a", count: 99), limit: 100) == .incomplete)
        #expect(Framing.scan(String(repeating: "a", count: 100), limit: 100) == .tooLong)
    }

    @Test func tooLongSaysWhichPart() {
        var scanner = HeadScanner()
        let line = [UInt8](repeating: UInt8(ascii: "a"), count: 100)
        #expect(line.withUnsafeBytes { scanner.scan($0, limit: 100) } == .tooLong)
        #expect(scanner.requestFault == .targetTooLong && scanner.responseFault == .headTooLong)
        scanner = HeadScanner()
        #expect(([UInt8](latin1: "GET / HTTP/1.1\r\n") + line).withUnsafeBytes { scanner.scan($0, limit: 100) } == .tooLong)
        #expect(scanner.requestFault == .headTooLong)
    }

    /// Whatever the bytes and however they come, the verdict is the same, and every byte is looked at once.
    @Test func theVerdictDoesNotDependOnCuts() {
        var random = FramingRandom(seed: 1)
        let alphabet = [UInt8](latin1: "ab:\t \r\n\r\n\r\n\r\n\0\u{7f}\u{80}")
        for _ in 0..<3000 {
            let bytes = (0..<Int.random(in: 1...40, using: &random)).map { _ in alphabet.randomElement(using: &random)! }
            var whole = HeadScanner()
            let verdict = bytes.withUnsafeBytes { whole.scan($0, limit: 30) }
            var scanner = HeadScanner()
            var there = 0
            var found = HeadScan.incomplete
            for piece in random.pieces(of: bytes) where found == .incomplete {
                there += piece.count
                found = bytes[..<there].withUnsafeBytes { scanner.scan($0, limit: 30) }
            }
            #expect(found == verdict, "\(bytes)")
            #expect(scanner.requestFault == whole.requestFault, "\(bytes)")
        }
    }
}
