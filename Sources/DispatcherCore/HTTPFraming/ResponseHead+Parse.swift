extension ResponseHead {
    /// Judges a response's head by RFC 9112 and RFC 9110.
    ///
    /// Refused is every head that would have to be edited before a client may see it, and every one whose end is not certain for
    /// all readers: see `ResponseFault`.
    ///
    /// - Parameters:
    ///   - head: bytes that begin with a head, as `HeadScanner` delimits it. What comes after it is not looked at.
    ///   - request: what it answers.
    public static func parse(
        _ head: UnsafeRawBufferPointer, request: AnsweredRequest, limits: HeadLimits
    ) -> ResponseJudgement {
        var response = ResponseHead()
        if let fault = response.read(head, request: request, limits: limits) { return .bad(fault) }
        return .good(response)
    }

    /// What the fields read so far have said.
    private struct Fields {
        var options = ConnectionOptions()
        var length: UInt64?
        var sawCoding = false
        var sawUpgrade = false
        var upgradeIsWebSocket = false

        mutating func add(_ known: KnownField, _ line: FieldLine, _ bytes: UnsafeRawBufferPointer) -> ResponseFault? {
            switch known {
            case .contentLength:
                guard length == nil else { return .duplicateLength }
                guard let value = HTTPBytes.decimal(bytes, line.valueStart, line.valueEnd) else { return .lengthSyntax }
                length = value
            case .transferEncoding:
                guard !sawCoding else { return .duplicateCoding }
                guard HTTPBytes.equal(bytes, line.valueStart, line.valueEnd, "chunked") else { return .codingUnknown }
                sawCoding = true
            case .connection:
                options.add(bytes, line.valueStart, line.valueEnd)
            case .upgrade:
                upgradeIsWebSocket = !sawUpgrade && HTTPBytes.equal(bytes, line.valueStart, line.valueEnd, "websocket")
                sawUpgrade = true
            default: break
            }
            return nil
        }
    }

    @inline(__always)
    private mutating func read(
        _ bytes: UnsafeRawBufferPointer, request: AnsweredRequest, limits: HeadLimits
    ) -> ResponseFault? {
        let head = UnsafeRawBufferPointer(rebasing: bytes.prefix(Int(limits.head)))
        var next = 0
        if let fault = readStatusLine(head, next: &next) { return fault }
        fieldsStart = UInt32(truncatingIfNeeded: next)
        var fields = Fields()
        while true {
            switch FieldStep.read(head, at: next) {
            case .bad(let fault):
                if fault == .incomplete, bytes.count > head.count { return .headTooLong }
                return ResponseFault(fault)
            case .end(let end):
                headLength = UInt32(truncatingIfNeeded: end)
                return judge(fields, request)
            case .field(let line):
                guard fieldCount < limits.fields else { return .tooManyFields }
                fieldCount &+= 1
                next = line.next
                let known = KnownField.named(head, line.nameStart, line.nameEnd)
                guard known != .other else { continue }
                if let fault = fields.add(known, line, head) { return fault }
            }
        }
    }

    /// `HTTP/1.x SP 3DIGIT SP [ reason ] CRLF` (RFC 9112 4).
    @inline(__always)
    private mutating func readStatusLine(_ bytes: UnsafeRawBufferPointer, next: inout Int) -> ResponseFault? {
        guard bytes.count >= 15 else { return .statusLineSyntax }
        let version = bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self).bigEndian
        guard version &>> 24 == 0x48_5454_502f, HTTPBytes.isDigit(bytes[5]), bytes[6] == 0x2e, HTTPBytes.isDigit(bytes[7]) else {
            return .statusLineSyntax
        }
        minorVersion = bytes[7] &- HTTPBytes.zero
        guard bytes[5] == 0x31, minorVersion <= 1 else { return .versionUnsupported }
        guard bytes[8] == HTTPBytes.space, HTTPBytes.isDigit(bytes[9]), HTTPBytes.isDigit(bytes[10]), HTTPBytes.isDigit(bytes[11]),
            bytes[12] == HTTPBytes.space
        else { return .statusLineSyntax }
        status = UInt16(bytes[9] &- HTTPBytes.zero) &* 100 &+ UInt16(bytes[10] &- HTTPBytes.zero) &* 10
        status &+= UInt16(bytes[11] &- HTTPBytes.zero)
        guard status >= 100 else { return .statusCode }
        var index = 13
        while true {
            index = HTTPBytes.nextControl(bytes, from: index)
            guard index &+ 1 < bytes.count else { return .incompleteHead }
            guard bytes[index] == HTTPBytes.tab else { break }
            index &+= 1
        }
        guard bytes[index] == HTTPBytes.carriageReturn else { return bytes[index] == HTTPBytes.lineFeed ? .bareLF : .controlByte }
        guard bytes[index &+ 1] == HTTPBytes.lineFeed else { return .bareCR }
        next = index &+ 2
        return nil
    }

    /// What needs all fields to be known (RFC 9112 6.3).
    @inline(__always)
    private mutating func judge(_ fields: Fields, _ request: AnsweredRequest) -> ResponseFault? {
        if fields.sawCoding {
            guard fields.length == nil else { return .lengthAndChunked }
            guard minorVersion == 1 else { return .codingInOldVersion }
        }
        saysClose = fields.options.close || fields.options.malformed
        saysKeepAlive = fields.options.keepAlive

        if status < 200 || status == 204 {
            // A reader that believes these fields would take the next response for a body.
            guard !fields.sawCoding, fields.length == nil || fields.length == 0 else { return .bodyWithoutContent }
            framing = .none
            guard status == 101 else { return nil }
            guard request.upgraded else { return .upgradeUnasked }
            guard minorVersion == 1, fields.options.upgrade, fields.upgradeIsWebSocket else { return .upgradeSyntax }
        } else if request.isHead || status == 304 {
            framing = .none
        } else if fields.sawCoding {
            // RFC 9112 6.1: never to a request of HTTP/1.0.
            guard request.minorVersion == 1 else { return .codingForOldClient }
            framing = .chunked
        } else if let length = fields.length {
            framing = .length(length)
        } else {
            framing = .untilClose
        }
        return nil
    }
}
