@testable import DispatcherCore

extension [UInt8] {
    /// The bytes of a text in which every character is one byte (ISO 8859-1).
    init(latin1 text: String) { self = text.unicodeScalars.map { UInt8($0.value) } }

    var latin1: String { String(String.UnicodeScalarView(map { Unicode.Scalar($0) })) }
}

/// Short ways to run the parsers over text.
enum Framing {
    static let limits = HeadLimits()
    static let client = [UInt8](latin1: "192.0.2.7")

    static func scan(_ text: String, limit: Int = 16_384, leadingEmptyLines: UInt8 = HeadLimits.leadingEmptyLines) -> HeadScan {
        var scanner = HeadScanner(leadingEmptyLines: leadingEmptyLines)
        return [UInt8](latin1: text).withUnsafeBytes { scanner.scan($0, limit: limit) }
    }

    static func parse(_ text: String, limits: HeadLimits = limits) -> RequestJudgement { parse([UInt8](latin1: text), limits: limits) }

    static func parse(_ bytes: [UInt8], limits: HeadLimits = limits) -> RequestJudgement {
        bytes.withUnsafeBytes { RequestHead.parse($0, limits: limits) }
    }

    static func request(_ text: String) -> RequestHead? {
        if case .good(let head) = parse(text) { return head }
        return nil
    }

    static func fault(_ text: String) -> RequestFault? {
        if case .bad(let fault) = parse(text) { return fault }
        return nil
    }

    /// `fields` as the fields of an otherwise ordinary request.
    static func fault(fields: String, method: String = "GET", version: String = "1.1") -> RequestFault? {
        fault("\(method) / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n\r\n")
    }

    static func text(_ range: HeadRange, of head: String) -> String {
        [UInt8](latin1: head).withUnsafeBytes { [UInt8](range.bytes(in: $0)).latin1 }
    }

    static func parseResponse(
        _ text: String, isHead: Bool = false, upgraded: Bool = false, minorVersion: UInt8 = 1, limits: HeadLimits = limits
    ) -> ResponseJudgement {
        let request = AnsweredRequest(isHead: isHead, upgraded: upgraded, minorVersion: minorVersion)
        return [UInt8](latin1: text).withUnsafeBytes { ResponseHead.parse($0, request: request, limits: limits) }
    }

    static func response(_ text: String, isHead: Bool = false, upgraded: Bool = false, minorVersion: UInt8 = 1) -> ResponseHead? {
        let judgement = parseResponse(text, isHead: isHead, upgraded: upgraded, minorVersion: minorVersion)
        if case .good(let head) = judgement { return head }
        return nil
    }

    static func responseFault(_ text: String, isHead: Bool = false, upgraded: Bool = false, minorVersion: UInt8 = 1) -> ResponseFault? {
        let judgement = parseResponse(text, isHead: isHead, upgraded: upgraded, minorVersion: minorVersion)
        if case .bad(let fault) = judgement { return fault }
        return nil
    }

    /// The head that goes to the server. `bodyLength` is that of the head when it is not given.
    static func rewrite(_ head: [UInt8], bodyLength: UInt64? = nil, capacity: Int? = nil) -> [UInt8]? {
        guard case .good(let request) = parse(head) else { return nil }
        let length = bodyLength ?? (request.framing == .none ? nil : request.bodyLength)
        let room = capacity ?? RequestRewriter.capacity(for: request, forwardedFor: client.count)
        var output = [UInt8](repeating: 0xee, count: room)
        let written = output.withUnsafeMutableBytes { memory in
            head.withUnsafeBytes { bytes in
                client.withUnsafeBytes {
                    RequestRewriter.write(head: bytes, parsed: request, bodyLength: length, forwardedFor: $0, into: memory)
                }
            }
        }
        guard let written else { return nil }
        return Array(output[..<written])
    }

    static func rewrite(_ text: String, bodyLength: UInt64? = nil) -> String? {
        rewrite([UInt8](latin1: text), bodyLength: bodyLength)?.latin1
    }

    /// The lines of a head that the dispatcher adds at its end.
    static let additions = "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nVia: 1.1 sluice\r\n\r\n"
}

/// SplitMix64: the same seed gives the same test.
struct FramingRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }

    /// Cuts `bytes` into pieces of random length, some of them empty.
    mutating func pieces(of bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var pieces: [ArraySlice<UInt8>] = []
        var start = 0
        while start < bytes.count {
            let longest = Bool.random(using: &self) ? 4 : bytes.count
            let end = Swift.min(bytes.count, start + Int.random(in: 0...longest, using: &self))
            pieces.append(bytes[start..<end])
            start = end
        }
        return pieces
    }
}
