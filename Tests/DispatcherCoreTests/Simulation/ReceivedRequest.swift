/// A request as the simulated server reads it: only the canonical form that the dispatcher writes.
struct ReceivedRequest {
    var head: String
    var method: String
    var target: String
    var version: String
    var fields: [(name: String, value: String)]
    var body: [UInt8]
    /// Bytes of the whole.
    var length: Int

    /// nil = not complete yet.
    init?(_ bytes: [UInt8]) throws(FrameFault) {
        guard let end = Self.headEnd(bytes) else { return nil }
        head = String(decoding: bytes[..<end], as: UTF8.self)
        // Characters would join CR and LF; split on bytes.
        let lines = bytes[..<(end - 2)].split(separator: 10, omittingEmptySubsequences: true).map { line -> String in
            String(decoding: line.last == 13 ? line.dropLast() : line, as: UTF8.self)
        }
        let parts = (lines.first ?? "").split(separator: " ")
        guard parts.count == 3 else { throw FrameFault(description: "request line '\(lines.first ?? "")'") }
        (method, target, version) = (String(parts[0]), String(parts[1]), String(parts[2]))
        var fields: [(name: String, value: String)] = []
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { throw FrameFault(description: "field '\(line)'") }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            fields.append((line[..<colon].lowercased(), String(value)))
        }
        self.fields = fields
        let lengths = fields.filter { $0.name == "content-length" }
        if fields.contains(where: { $0.name == "transfer-encoding" && $0.value == "chunked" }) {
            guard let decoded = Self.dechunk(bytes[end...]) else { return nil }
            body = decoded.body
            length = decoded.end
        } else {
            let count = Int(lengths.first?.value ?? "0") ?? 0
            guard bytes.count >= end + count else { return nil }
            body = Array(bytes[end..<end + count])
            length = end + count
        }
    }

    private static func headEnd(_ bytes: [UInt8]) -> Int? {
        guard bytes.count >= 4 else { return nil }
        for index in 3..<bytes.count where bytes[index] == 10 && bytes[index - 1] == 13 && bytes[index - 2] == 10 && bytes[index - 3] == 13
        {
            return index + 1
        }
        return nil
    }

    private static func dechunk(_ bytes: ArraySlice<UInt8>) -> (body: [UInt8], end: Int)? {
        var body: [UInt8] = []
        var at = bytes.startIndex
        while let lineEnd = bytes[at...].firstIndex(of: 10) {
            let digits = String(decoding: bytes[at..<lineEnd].prefix { $0 != 13 && $0 != 59 }, as: UTF8.self)
            guard let size = Int(digits, radix: 16), bytes.endIndex >= lineEnd + 1 + size + 2 else { return nil }
            body += bytes[lineEnd + 1..<lineEnd + 1 + size]
            at = lineEnd + 1 + size + 2
            if size == 0 { return (body, at) }
        }
        return nil
    }

    var id: UInt32? {
        guard let slash = target.lastIndex(of: "/") else { return nil }
        return UInt32(target[target.index(after: slash)...].prefix { $0 != "?" })
    }

    func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// What is wrong with it as the dispatcher's rendering of the exchange's request.
    func fault(against exchange: Exchange, throughDispatcher: Bool) -> String? {
        let request = exchange.request
        if request.raw == nil {
            if method != request.method { return "method \(method)" }
            if body != request.bodyBytes(exchange.id) { return "a body of \(body.count) bytes that is not the client's" }
        }
        guard throughDispatcher else { return nil }
        if field("host") == nil { return "no Host" }
        if field("via") == nil { return "no Via" }
        if field("x-forwarded-for") == nil { return "no X-Forwarded-For" }
        if field("expect") != nil { return "Expect was forwarded" }
        if request.raw == nil, version != request.version { return "version \(version)" }
        return nil
    }
}
