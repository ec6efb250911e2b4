import Testing

@testable import DispatcherCore

/// What holds for every head that goes to a server, checked without the parser where possible.
enum Canonical {
    static let tokenBytes = Set("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
    private static let ours = ["x-forwarded-for", "x-forwarded-proto", "via"]
    private static let hopByHop: Set = [
        "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "expect", "http2-settings", "forwarded",
    ]

    static func check(_ request: FramingConnection.Forwarded) {
        for violation in violations(request) { Issue.record(Comment(rawValue: violation)) }
    }

    /// What does not hold; empty for a head that may go.
    static func violations(_ request: FramingConnection.Forwarded) -> [String] {
        let head = request.output
        var found: [String] = []
        func expect(_ holds: Bool, _ rule: String) {
            if !holds { found.append("\(rule): \(head.latin1.debugDescription)") }
        }
        // Lines end with CRLF, and CR and LF occur nowhere else.
        let lines = head.split(separator: 13, omittingEmptySubsequences: false)
        guard lines.count >= 3, lines.last == [10] else { return ["no head: \(head.latin1.debugDescription)"] }
        expect(lines.dropFirst().allSatisfy { $0.first == 10 }, "line ends")
        expect(lines[lines.count - 2] == [10], "line ends")
        let texts = lines.dropFirst().dropLast(2).map { Array($0.dropFirst()) }

        // METHOD SP target SP HTTP/1.x
        let parts = lines[0].split(separator: 32, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return ["no request line: \(head.latin1.debugDescription)"] }
        expect(!parts[0].isEmpty && parts[0].allSatisfy(tokenBytes.contains), "method")
        expect(parts[1].first == UInt8(ascii: "/") || parts[1] == [UInt8(ascii: "*")], "target")
        expect(parts[1].allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") }, "target")
        let version = Array(parts[2]).latin1
        expect(version == "HTTP/1.1" || version == "HTTP/1.0", "version")

        // Name ": " value, without whitespace around it and without control bytes.
        var names: [String: Int] = [:]
        for text in texts {
            let name = text.prefix { $0 != UInt8(ascii: ":") }
            let value = text.dropFirst(name.count + 2)
            expect(!name.isEmpty && name.allSatisfy(tokenBytes.contains), "name")
            expect(Array(text.dropFirst(name.count).prefix(2)).latin1 == ": ", "separator")
            expect(value.first != 32 && value.first != 9 && value.last != 32 && value.last != 9, "value ends")
            expect(value.allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 9 }, "value")
            let key = Array(name).latin1.lowercased()
            names[key, default: 0] += 1
            expect(!hopByHop.contains(key) && !hopByHop.contains(key.replacing("_", with: "-")), "hop by hop")
            expect(key == "content-length" || key.replacing("_", with: "-") != "content-length", "length's name")
            if key == "content-length" { expect(Array(value).latin1 == String(request.body.count), "length") }
        }
        expect(names["host"] == 1 || version == "HTTP/1.0" && names["host"] == nil, "host")
        expect(names["x-forwarded-for"] == 1 && names["x-forwarded-proto"] == 1, "forwarded")
        expect(names["content-length", default: 0] <= 1, "one length")
        expect(names["content-length"] == 1 || request.body.isEmpty, "length of a body")
        expect(names["connection", default: 0] <= 1 && names["upgrade", default: 0] <= 1, "connection")

        // Max-Forwards is changed by every hop.
        if case .good(let before) = Framing.parse(request.head), before.flags.contains(.countsForwards) { return found }

        // It parses, to the same meaning, and rewriting it again changes nothing but what each hop adds.
        guard case .good(let before) = Framing.parse(request.head), case .good(let after) = Framing.parse(head) else {
            return found + ["the canonical head is refused: \(Framing.parse(head)): \(head.latin1.debugDescription)"]
        }
        expect(Int(after.headLength) == head.count, "length of the head")
        expect(after.method == before.method && after.minorVersion == before.minorVersion, "method and version")
        expect(bytes(after.hostRange, head) == bytes(before.hostRange, request.head), "host kept")
        expect(after.upgradesToWebSocket == before.upgradesToWebSocket, "upgrade kept")
        expect(!after.expectsContinue, "no expectation")
        expect(after.keepAlive, "keep-alive")
        guard let again = Framing.rewrite(head) else { return found + ["it cannot be rewritten: \(head.latin1.debugDescription)"] }
        expect(withoutAdditions(again).latin1 == withoutAdditions(head).latin1, "the same when written again")
        return found
    }

    /// A head without the lines that every hop adds to.
    static func withoutAdditions(_ head: [UInt8]) -> [UInt8] {
        var kept: [UInt8] = []
        for line in head.latin1.components(separatedBy: "\r\n") {
            let name = line.prefix { $0 != ":" }.lowercased()
            if line.contains(":"), ours.contains(name) { continue }
            kept += [UInt8](latin1: line + "\r\n")
        }
        return Array(kept.dropLast(2))
    }

    private static func bytes(_ range: HeadRange, _ head: [UInt8]) -> [UInt8] { head.withUnsafeBytes { [UInt8](range.bytes(in: $0)) } }
}

extension String {
    /// Splits at CRLF, which Swift takes for one character.
    fileprivate func components(separatedBy separator: String) -> [String] {
        var parts: [String] = [""]
        for character in self {
            if String(character) == separator { parts.append("") } else { parts[parts.count - 1].append(character) }
        }
        return parts
    }
}
