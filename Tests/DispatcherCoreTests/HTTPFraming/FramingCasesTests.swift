import Foundation
import Testing

@testable import DispatcherCore

/// One line of `Resources/http-framing-cases.jsonl`.
struct FramingCase: Decodable, Sendable, CustomTestStringConvertible {
    var name: String
    var direction: String
    /// With the escapes of a Python bytes literal.
    var bytes: String
    var expect: String
    var alsoOk: [String]?
    var then: String
    var requestsForwarded: Int?
    /// Of a response: the request that it answers; empty for bytes that nobody asked for.
    var request: String?

    enum CodingKeys: String, CodingKey {
        case name, direction, bytes, expect, then, request
        case alsoOk = "also_ok"
        case requestsForwarded = "requests_forwarded"
    }

    var testDescription: String { name }
    var raw: [UInt8] { Self.unescape(bytes) }
    /// "accept", "normalise" or "reject".
    var allowed: Set<String> { Set([expect] + (alsoOk ?? [])) }

    static func unescape(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Substring(text)
        while let character = rest.unicodeScalars.first {
            rest.unicodeScalars.removeFirst()
            guard character == "\\" else {
                bytes.append(UInt8(character.value))
                continue
            }
            let escape = rest.unicodeScalars.removeFirst()
            switch escape {
            case "r": bytes.append(13)
            case "n": bytes.append(10)
            case "t": bytes.append(9)
            case "x":
                bytes.append(UInt8(rest.prefix(2), radix: 16)!)
                rest = rest.dropFirst(2)
            default: bytes.append(UInt8(escape.value))
            }
        }
        return bytes
    }

    static let all: [FramingCase] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Resources/http-framing-cases.jsonl")
        let lines = try! String(contentsOf: file, encoding: .utf8).split(separator: "\n")
        return lines.map { try! JSONDecoder().decode(FramingCase.self, from: Data($0.utf8)) }
    }()

    /// The bytes whole, in every two pieces (of long cases: at 64 places), and one by one.
    func everyCut(_ run: ([ArraySlice<UInt8>]) -> Void) {
        let bytes = raw
        run([bytes[...]])
        for cut in stride(from: 1, to: bytes.count, by: max(1, bytes.count > 1000 ? bytes.count / 64 : 1)) {
            run([bytes[..<cut], bytes[cut...]])
        }
        run(bytes.indices.map { bytes[$0...$0] })
    }
}

@Suite struct FramingCasesTests {
    @Test func thereAreAsManyAsWritten() {
        #expect(FramingCase.all.count == 173)
    }

    @Test(arguments: FramingCase.all.filter { $0.direction == "request" })
    func request(_ example: FramingCase) throws {
        let whole = Self.run([example.raw[...]])
        example.everyCut { pieces in
            let cut = Self.run(pieces)
            let same = cut.forwarded == whole.forwarded && cut.end == whole.end
            #expect(same, "cut at \(pieces[0].count): \(cut.end), not \(whole.end)")
        }

        let forwarded = whole.forwarded.count
        switch whole.end {
        case .refused, .truncated:
            #expect(example.allowed.contains("reject"), "refused: \(whole.end)")
            #expect(forwarded <= example.requestsForwarded ?? 0)
            if example.expect == "reject" { #expect(forwarded == example.requestsForwarded) }
        case .open, .closing, .waitsForUpgrade:
            #expect(example.allowed != ["reject"], "passed: \(whole.forwarded.map(\.output.latin1))")
            #expect(forwarded == example.requestsForwarded)
            #expect((whole.end == .closing ? "close" : "keep") == example.then)
            if !example.allowed.contains("accept") {
                for request in whole.forwarded {
                    #expect(Canonical.withoutAdditions(request.output) != request.head, "passed unchanged")
                }
            }
        }
        for request in whole.forwarded { Canonical.check(request) }
        #expect(!whole.forwarded.contains { $0.output.latin1.contains("smuggled") } || example.requestsForwarded == 2)
    }

    @Test(arguments: FramingCase.all.filter { $0.direction == "response" })
    func response(_ example: FramingCase) throws {
        guard let text = example.request, !text.isEmpty else {
            // Nobody asked: whatever comes is refused by whoever owns the connection. There is nothing to parse it against.
            #expect(example.expect == "reject")
            return
        }
        var asked = FramingConnection()
        asked.receive(FramingCase.unescape(text))
        let bodyIncomplete = asked.forwarded.isEmpty
        let request = try #require(Framing.request(FramingCase.unescape(text).latin1))
        let whole = Self.run([example.raw[...]], request)
        example.everyCut { pieces in
            let cut = Self.run(pieces, request)
            let same = cut.end == whole.end && cut.heads == whole.heads && cut.passed == whole.passed
            #expect(same, "cut at \(pieces[0].count): \(cut.end), not \(whole.end)")
        }

        switch whole.end {
        case .refused, .tooManyInterim,
            .truncated where whole.heads == 0:
            #expect(example.allowed.contains("reject"), "refused: \(whole.end)")
        case .open: Issue.record("the model does not end")
        default:
            // Passed untouched: where only a changed response is right, it must have been refused.
            #expect(example.allowed.contains("accept"), "passed: \(whole.end)")
            let stays = whole.end == .whole && !bodyIncomplete || whole.end == .tunnel
            #expect((stays ? "keep" : "close") == example.then || whole.end == .tunnel)
        }
    }

    private static func run(_ pieces: [ArraySlice<UInt8>]) -> FramingConnection {
        var connection = FramingConnection()
        for piece in pieces { connection.receive(piece) }
        connection.close()
        return connection
    }

    private static func run(_ pieces: [ArraySlice<UInt8>], _ request: RequestHead) -> FramingAnswer {
        var answer = FramingAnswer(request: AnsweredRequest(request))
        for piece in pieces { answer.receive(piece) }
        answer.close()
        return answer
    }
}
