/// Writes the canonical head that goes to the server.
///
/// The request line and every field are written anew, so nothing that a server might read differently passes: single spaces, CRLF,
/// `Name: value`. In order: `Host`; the client's end-to-end fields in their order, their names' case kept; `Content-Length` or `Transfer-Encoding`;
/// `Connection` where one is needed; `X-Forwarded-For`, `X-Forwarded-Proto`, `Via`.
///
/// What does not go on: `Connection` and the fields it names (RFC 9110 7.6.1; but not those that are for every recipient, see
/// `KnownField.isEndToEnd`), `Keep-Alive`, `Proxy-Connection`, `TE`, `Trailer`, `Transfer-Encoding`, `Expect`, `HTTP2-Settings`,
/// `Upgrade` other than to a WebSocket, the client's `X-Forwarded-Proto`, names that differ from one of these only by "_" or another
/// sign for "-", and `Forwarded` (RFC 7239): we do not add to it, so it would end before us and contradict `X-Forwarded-For`.
public struct RequestRewriter {
    /// Room that is enough for the head that `write` makes, in bytes.
    public static func capacity(for request: RequestHead, forwardedFor count: Int) -> Int {
        // A field grows by the space after its colon; the rest is the fields that are added.
        Int(request.headLength) &+ Int(request.fieldCount) &+ count &+ 320
    }

    /// Writes the head.
    ///
    /// - Parameters:
    ///   - head: the bytes that `request` was parsed from.
    ///   - bodyLength: the length of the body in bytes as it is sent on, after chunks were decoded; nil if the request has none, or if its
    ///     body came in chunks and is sent in chunks. It is a programmer's error if it is not what the head announces: the server would
    ///     take the rest for another request.
    ///   - forwardedFor: the client's address as text, an IPv6 address without brackets.
    ///   - proto: the scheme of the service.
    ///   - memory: where the head is written; it must not overlap `head`.
    /// - Returns: the bytes written; nil if `memory` is too small.
    public static func write(
        head: UnsafeRawBufferPointer, parsed request: RequestHead, bodyLength: UInt64?, forwardedFor: UnsafeRawBufferPointer,
        proto: StaticString = "http", into memory: UnsafeMutableRawBufferPointer
    ) -> Int? {
        precondition(Int(request.headLength) <= head.count, "the head that was parsed")
        switch request.framing {
        case .none: precondition(bodyLength ?? 0 == 0, "a request without body")
        case .length(let length): precondition(bodyLength == length, "the length that the head says")
        case .chunked: precondition(request.minorVersion == 1, "chunks are of HTTP/1.1")
        }
        let head = UnsafeRawBufferPointer(rebasing: head[0..<Int(request.headLength)])
        var out = HeadWriter(into: memory)
        writeRequestLine(head, request, into: &out)
        if request.flags.contains(.hasHost) {
            out.append("Host: ")
            out.append(request.hostRange.bytes(in: head))
            out.append("\r\n")
        }
        writeFields(head, request, into: &out)
        if let bodyLength, !request.upgradesToWebSocket {
            out.append("Content-Length: ")
            out.append(decimal: bodyLength)
            out.append("\r\n")
        } else if request.framing == .chunked {
            out.append("Transfer-Encoding: chunked\r\n")
        }
        if request.upgradesToWebSocket {
            out.append("Connection: upgrade\r\nUpgrade: websocket\r\n")
        } else if request.minorVersion == 0 {
            out.append("Connection: keep-alive\r\n")
        }
        out.append("X-Forwarded-For: ")
        if request.flags.contains(.hasForwardedFor) { writeForwardedFor(head, request, into: &out) }
        out.append(forwardedFor)
        out.append("\r\nX-Forwarded-Proto: ")
        out.append(proto)
        out.append("\r\nVia: 1.")
        out.append(byte: HTTPBytes.zero &+ request.receivedMinorVersion)
        out.append(" sluice\r\n\r\n")
        return out.overflowed ? nil : out.count
    }

    @inline(__always)
    private static func writeRequestLine(_ head: UnsafeRawBufferPointer, _ request: RequestHead, into out: inout HeadWriter) {
        out.append(request.methodRange.bytes(in: head))
        out.append(byte: HTTPBytes.space)
        if request.flags.contains(.becomesAsterisk) {
            out.append(byte: HTTPBytes.asterisk)
        } else {
            if request.flags.contains(.addsSlash) { out.append(byte: HTTPBytes.slash) }
            out.append(request.targetRange.bytes(in: head))
        }
        out.append(request.minorVersion == 0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n")
    }

    /// Lines that are canonical as they came are copied together.
    @inline(__always)
    private static func writeFields(_ head: UnsafeRawBufferPointer, _ request: RequestHead, into out: inout HeadWriter) {
        let nominated = request.flags.contains(.nominates) ? Nominations(head, from: Int(request.fieldsStart)) : nil
        var next = Int(request.fieldsStart)
        var runStart = next
        while case .field(let line) = FieldStep.read(head, at: next) {
            next = line.next
            switch KnownField.named(head, line.nameStart, line.nameEnd) {
            case .other:
                if nominated?.contains(head, line.nameStart, line.nameEnd) != true {
                    if isCanonical(line, head) { continue }
                    out.append(head, runStart, line.nameStart)
                    writeField(line, head, into: &out)
                } else {
                    out.append(head, runStart, line.nameStart)
                }
            case .maxForwards:
                out.append(head, runStart, line.nameStart)
                if request.flags.contains(.countsForwards) {
                    writeMaxForwards(line, head, into: &out)
                } else {
                    writeField(line, head, into: &out)
                }
            default:
                out.append(head, runStart, line.nameStart)
            }
            runStart = next
        }
        out.append(head, runStart, next)
    }

    /// Whether a line is `Name: value CRLF` with one space and no more whitespace.
    @inline(__always)
    private static func isCanonical(_ line: FieldLine, _ head: UnsafeRawBufferPointer) -> Bool {
        line.valueStart == line.nameEnd &+ 2 && head[line.nameEnd &+ 1] == HTTPBytes.space && line.valueEnd &+ 2 == line.next
    }

    private static func writeField(_ line: FieldLine, _ head: UnsafeRawBufferPointer, into out: inout HeadWriter) {
        out.append(head, line.nameStart, line.nameEnd)
        out.append(": ")
        out.append(head, line.valueStart, line.valueEnd)
        out.append("\r\n")
    }

    private static func writeMaxForwards(_ line: FieldLine, _ head: UnsafeRawBufferPointer, into out: inout HeadWriter) {
        let left = HTTPBytes.decimal(head, line.valueStart, line.valueEnd) ?? 1
        out.append(head, line.nameStart, line.nameEnd)
        out.append(": ")
        out.append(decimal: left > 0 ? left &- 1 : 0)
        out.append("\r\n")
    }

    /// The values that the request came with, as members of one list, each with ", " after it.
    @inline(never)
    private static func writeForwardedFor(_ head: UnsafeRawBufferPointer, _ request: RequestHead, into out: inout HeadWriter) {
        var next = Int(request.fieldsStart)
        while case .field(let line) = FieldStep.read(head, at: next) {
            next = line.next
            guard KnownField.named(head, line.nameStart, line.nameEnd) == .forwardedFor else { continue }
            guard line.valueStart < line.valueEnd else { continue }
            out.append(head, line.valueStart, line.valueEnd)
            out.append(", ")
        }
    }
}

/// The names that a request's connection options ask to remove.
private struct Nominations {
    private var names = InlineArray<16, HeadRange>(repeating: HeadRange())
    private var count = 0

    @inline(never)
    init(_ head: UnsafeRawBufferPointer, from start: Int) {
        var next = start
        while case .field(let line) = FieldStep.read(head, at: next) {
            next = line.next
            guard KnownField.named(head, line.nameStart, line.nameEnd) == .connection else { continue }
            var members = ListMembers(head, line.valueStart, line.valueEnd)
            while count < HeadLimits.connectionOptions, let member = members.next() {
                guard !KnownField.isEndToEnd(head, member.start, member.end) else { continue }
                names[count] = HeadRange(member.start, member.end)
                count &+= 1
            }
        }
    }

    func contains(_ head: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        let name = UnsafeRawBufferPointer(rebasing: head[start..<end])
        for index in 0..<count where HTTPBytes.equal(name, names[index].bytes(in: head)) { return true }
        return false
    }
}
