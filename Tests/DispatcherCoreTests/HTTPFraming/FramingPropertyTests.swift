import Testing

@testable import DispatcherCore

/// A second reading of the rules, as plain as possible: it splits lines and looks at sets of bytes, and knows nothing of the parser.
enum ReferenceReader {
    enum Verdict: Equatable {
        case refused
        case framed(RequestFraming)
    }

    /// Judges `POST / HTTP/1.1`, `Host: a` and one more line, which is given without the CRLF at its end.
    static func judge(line: [UInt8]) -> Verdict {
        var framing = RequestFraming.none
        var rest = line[...]
        while true {
            // A line ends with CRLF, or with the bytes given; nothing else ends it, and no part of CRLF is anywhere else.
            let content = rest.prefix { $0 != 13 && $0 != 10 }
            rest = rest.dropFirst(content.count)
            if !rest.isEmpty, !rest.starts(with: [13, 10]) { return .refused }
            if content.isEmpty { return .framed(framing) }  // the head ends here
            guard let field = split(content) else { return .refused }
            switch field.name {
            case "content-length":
                guard framing == .none, (1...19).contains(field.value.count), field.value.allSatisfy({ (48...57).contains($0) }),
                    let length = UInt64(field.value.latin1), length <= Framing.limits.body
                else { return .refused }
                framing = .length(length)
            case "transfer-encoding":
                guard framing == .none, field.value.map({ (65...90).contains($0) ? $0 + 32 : $0 }) == Array("chunked".utf8) else {
                    return .refused
                }
                framing = .chunked
            case "host": return .refused
            default: break
            }
            if rest.isEmpty { return .framed(framing) }
            rest = rest.dropFirst(2)
        }
    }

    /// The name in lower case, and the value without the whitespace around it.
    private static func split(_ line: ArraySlice<UInt8>) -> (name: String, value: [UInt8])? {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else { return nil }
        let name = line[..<colon]
        var value = line[(colon + 1)...]
        guard name.allSatisfy(Canonical.tokenBytes.contains), value.allSatisfy({ $0 == 9 || $0 >= 32 && $0 != 127 }) else { return nil }
        while let first = value.first, first == 32 || first == 9 { value.removeFirst() }
        while let last = value.last, last == 32 || last == 9 { value.removeLast() }
        return (Array(name).latin1.lowercased(), Array(value))
    }
}

@Suite struct FramingPropertyTests {
    private static func verdict(line: [UInt8]) -> ReferenceReader.Verdict {
        let head = [UInt8](latin1: "POST / HTTP/1.1\r\nHost: a\r\n") + line + [13, 10, 13, 10]
        switch Framing.parse(head) {
        case .bad: return .refused
        case .good(let request): return .framed(request.framing)
        }
    }

    /// Every byte, put in and put in place of another, everywhere in a field that framing depends on; alone and beside a byte that
    /// parsers have been known to skip.
    @Test(arguments: ["Content-Length: 15", "Transfer-Encoding: chunked", "content-length:0 \t", "A: b\r\nTE: c"])
    func everyByteEverywhere(field: String) {
        let line = [UInt8](latin1: field)
        let companions: [[UInt8]] = [[], [13], [10], [13, 10], [32], [0], [44]]
        for position in 0...line.count {
            for byte in UInt8.min...UInt8.max {
                for companion in companions {
                    for inserted in [[byte] + companion, companion + [byte]] {
                        let longer = line[..<position] + inserted + line[position...]
                        check(Array(longer))
                        if position < line.count { check(Array(line[..<position] + inserted + line[(position + 1)...])) }
                    }
                }
            }
        }
    }

    private func check(_ line: [UInt8]) {
        let verdict = Self.verdict(line: line)
        let expected = ReferenceReader.judge(line: line)
        if verdict != expected { Issue.record("\(line.latin1.debugDescription): \(verdict), not \(expected)") }
    }

    private static let seeds: [String] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /a?b HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\nX-Forwarded-For: b\r\n\r\nhello",
        "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nT: v\r\n\r\n",
        "GET http://[::1]:80/x HTTP/1.1\r\nHost: a\r\nConnection: close, x, upgrade\r\nUpgrade: websocket\r\nX: y\r\n\r\n",
        "\r\nOPTIONS * HTTP/1.0\r\nMax-Forwards: 3\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nx", "HTTP/1.0 304 X\r\nConnection: keep-alive\r\n\r\n",
    ]

    /// Changes some bytes of a message: replaced, removed, doubled, taken from another.
    private static func mutated(_ random: inout FramingRandom) -> [UInt8] {
        let special = [UInt8](latin1: "\r\n\r\n \t:,;\0\u{7f}\u{80}\u{ff}0%/?*[]\"\\")
        var bytes = [UInt8](latin1: seeds.randomElement(using: &random)!)
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            guard !bytes.isEmpty else { break }
            let index = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[index] = random.bytes(1)[0]
            case 1: bytes.insert(special.randomElement(using: &random)!, at: index)
            case 2: bytes.remove(at: index)
            case 3: bytes.insert(contentsOf: bytes[index..<min(bytes.count, index + 20)], at: index)
            default: bytes.replaceSubrange(index..., with: [UInt8](latin1: seeds.randomElement(using: &random)!).dropFirst(index / 2))
            }
        }
        return bytes
    }

    /// No bytes trap; the scanner and the parser agree on where a head ends; a connection fares the same however its bytes are cut; and
    /// whatever goes to a server is canonical.
    @Test("M07 a connection fares the same however its bytes are cut", arguments: 10..<14 as Range<UInt64>)
    func anyBytes(seed: UInt64) throws {
        var random = FramingRandom(seed: seed)
        for round in 0..<3000 {
            let bytes = round % 8 == 0 ? random.bytes(Int.random(in: 0...200, using: &random)) : Self.mutated(&random)
            if case .good(let head) = Framing.parse(bytes) {
                #expect(Framing.scan(bytes.latin1) == .complete(length: Int(head.headLength)))
            }
            var whole = FramingConnection()
            whole.receive(bytes)
            whole.close()
            var cut = FramingConnection()
            for piece in random.pieces(of: bytes) { cut.receive(piece) }
            cut.close()
            let same = whole.forwarded == cut.forwarded && whole.end == cut.end
            #expect(same, "seed \(seed), round \(round): \(bytes.latin1.debugDescription)")
            for request in whole.forwarded { Canonical.check(request) }

            let asked = AnsweredRequest(isHead: round % 5 == 0, upgraded: round % 3 == 0, minorVersion: round % 7 == 0 ? 0 : 1)
            var answer = FramingAnswer(request: asked)
            answer.receive(bytes)
            answer.close()
            var cutAnswer = FramingAnswer(request: asked)
            for piece in random.pieces(of: bytes) { cutAnswer.receive(piece) }
            cutAnswer.close()
            #expect(answer.end == cutAnswer.end && answer.passed == cutAnswer.passed, "seed \(seed), round \(round)")
        }
    }

    /// Parsing bytes that end anywhere, without a scanner before it.
    @Test func everyPrefix() {
        for text in Self.seeds {
            let bytes = [UInt8](latin1: text)
            for count in 0...bytes.count {
                let prefix = Array(bytes[..<count])
                if case .good(let head) = Framing.parse(prefix) { #expect(Int(head.headLength) <= count) }
                if case .good(let head) = Framing.parseResponse(prefix.latin1, upgraded: true) { #expect(Int(head.headLength) <= count) }
            }
        }
    }
}
