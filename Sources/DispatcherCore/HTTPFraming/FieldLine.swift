/// One field line of a head: offsets from the head's first byte.
struct FieldLine {
    var nameStart: Int
    var nameEnd: Int
    /// The value without the whitespace around it; may be empty.
    var valueStart: Int
    var valueEnd: Int
    /// Where the next line begins.
    var next: Int
}

/// What stands at the beginning of a line after the start line.
enum FieldStep {
    case field(FieldLine)
    /// The empty line: the head ends before `next`.
    case end(next: Int)
    case bad(SyntaxFault)

    /// Reads the line that begins at `start` (RFC 9112 5): `name ":" OWS value OWS CRLF` with a token as name, nothing between
    /// name and colon, no line folding, and no control byte but HTAB in the value.
    @inline(__always)
    static func read(_ bytes: UnsafeRawBufferPointer, at start: Int) -> FieldStep {
        let count = bytes.count
        let token = HTTPBytes.token
        var index = start
        while index < count, token.contains(bytes[index]) { index &+= 1 }
        guard index < count else { return .bad(.incomplete) }
        guard bytes[index] == HTTPBytes.colon, index > start else { return readOther(bytes, at: start, stop: index) }
        let nameEnd = index
        index &+= 1
        while index < count, HTTPBytes.isWhitespace(bytes[index]) { index &+= 1 }
        let valueStart = index
        while true {
            index = HTTPBytes.nextControl(bytes, from: index)
            guard index < count else { return .bad(.incomplete) }
            guard bytes[index] == HTTPBytes.tab else { break }
            index &+= 1
        }
        guard bytes[index] == HTTPBytes.carriageReturn else {
            return .bad(bytes[index] == HTTPBytes.lineFeed ? .bareLF : .controlByte)
        }
        guard index &+ 1 < count else { return .bad(.incomplete) }
        guard bytes[index &+ 1] == HTTPBytes.lineFeed else { return .bad(.bareCR) }
        var valueEnd = index
        while valueEnd > valueStart, HTTPBytes.isWhitespace(bytes[valueEnd &- 1]) { valueEnd &-= 1 }
        return .field(FieldLine(nameStart: start, nameEnd: nameEnd, valueStart: valueStart, valueEnd: valueEnd, next: index &+ 2))
    }

    /// A line that does not begin with a name and a colon. `stop` is the first byte that is not part of a token.
    @inline(never)
    private static func readOther(_ bytes: UnsafeRawBufferPointer, at start: Int, stop: Int) -> FieldStep {
        switch bytes[stop] {
        case HTTPBytes.carriageReturn:
            guard stop &+ 1 < bytes.count else { return .bad(.incomplete) }
            guard bytes[stop &+ 1] == HTTPBytes.lineFeed else { return .bad(.bareCR) }
            return stop == start ? .end(next: stop &+ 2) : .bad(.missingColon)
        case HTTPBytes.lineFeed: return .bad(.bareLF)
        case HTTPBytes.space, HTTPBytes.tab: return .bad(stop == start ? .foldedLine : .whitespaceInName)
        case HTTPBytes.colon: return .bad(.emptyName)
        case ..<0x20, HTTPBytes.delete: return .bad(.controlByte)
        default: return .bad(.nameByte)
        }
    }
}

/// The members of a comma-separated list in a field value (RFC 9110 5.6.1); empty members are passed over.
struct ListMembers {
    private let bytes: UnsafeRawBufferPointer
    private var index: Int
    private let end: Int
    /// Whether an empty member was passed over (a comma too many).
    private(set) var sawEmpty = false

    init(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) {
        self.bytes = bytes
        self.index = start
        self.end = end
    }

    /// The next member without the whitespace around it; nil at the end.
    mutating func next() -> (start: Int, end: Int)? {
        while index < end {
            while index < end, HTTPBytes.isWhitespace(bytes[index]) { index &+= 1 }
            let start = index
            while index < end, bytes[index] != HTTPBytes.comma { index &+= 1 }
            var last = index
            while last > start, HTTPBytes.isWhitespace(bytes[last &- 1]) { last &-= 1 }
            let atComma = index < end
            if atComma {
                index &+= 1
                if index == end { sawEmpty = true }  // a comma at the very end
            }
            if last > start { return (start, last) }
            sawEmpty = true
        }
        return nil
    }

    /// Whether `bytes[start..<end]` is a token: one or more tchar.
    static func isToken(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        guard start < end else { return false }
        let token = HTTPBytes.token
        for index in start..<end where !token.contains(bytes[index]) { return false }
        return true
    }
}
