extension RequestHead {
    /// Judges a request's head by RFC 9112 and RFC 9110: strictly, and once; nothing that is refused here reaches a server.
    ///
    /// - Parameter head: bytes that begin with a head, as `HeadScanner` delimits it. What comes after it is not looked at.
    public static func parse(_ head: UnsafeRawBufferPointer, limits: HeadLimits) -> RequestJudgement {
        var request = RequestHead()
        if let fault = request.read(head, limits: limits) { return .bad(fault) }
        return .good(request)
    }

    @inline(__always)
    private mutating func read(_ bytes: UnsafeRawBufferPointer, limits: HeadLimits) -> RequestFault? {
        let head = UnsafeRawBufferPointer(rebasing: bytes.prefix(Int(limits.head)))
        var start = 0
        var emptyLines: UInt8 = 0
        while start &+ 1 < head.count, head[start] == HTTPBytes.carriageReturn, head[start &+ 1] == HTTPBytes.lineFeed {
            emptyLines &+= 1
            guard emptyLines <= HeadLimits.leadingEmptyLines else { return .emptyLines }
            start &+= 2
        }
        var next = 0
        if let fault = readRequestLine(head, at: start, next: &next) { return fault }
        fieldsStart = UInt32(truncatingIfNeeded: next)

        var fields = Fields()
        while true {
            switch FieldStep.read(head, at: next) {
            case .bad(let fault):
                if fault == .incomplete, bytes.count > head.count { return .headTooLong }
                return RequestFault(fault)
            case .end(let end):
                headLength = UInt32(truncatingIfNeeded: end)
                return judge(fields, limits: limits)
            case .field(let line):
                guard fieldCount < limits.fields else { return .tooManyFields }
                fieldCount &+= 1
                next = line.next
                let known = KnownField.named(head, line.nameStart, line.nameEnd)
                guard known != .other else { continue }
                if let fault = fields.add(known, line, head, request: &self) { return fault }
            }
        }
    }

    /// `METHOD SP target SP HTTP/1.x CRLF` with single spaces (RFC 9112 3).
    @inline(__always)
    private mutating func readRequestLine(_ bytes: UnsafeRawBufferPointer, at start: Int, next: inout Int) -> RequestFault? {
        let count = bytes.count
        let token = HTTPBytes.token
        var index = start
        while index < count, token.contains(bytes[index]) {
            index &+= 1
            guard index &- start <= HeadLimits.methodLength else { return .methodTooLong }
        }
        guard index < count else { return .incompleteHead }
        guard bytes[index] == HTTPBytes.space, index > start else { return .requestLineSyntax }
        methodRange = HeadRange(start, index)
        method = Self.method(bytes, start, index)
        if method == .other {
            if bytes[start..<index].elementsEqual(UnsafeRawBufferPointer.of("CONNECT")) { return .connectMethod }
            if bytes[start..<index].elementsEqual(UnsafeRawBufferPointer.of("PRI")) { return .h2Preface }
        }
        let target: RequestTarget
        switch RequestTarget.read(bytes, at: index &+ 1, isOptions: method == .options) {
        case .failure(let fault): return fault
        case .success(let read): target = read
        }
        pathRange = HeadRange(target.pathStart, target.pathEnd)
        targetRange = HeadRange(target.pathStart, target.end)
        if target.form == .absolute {
            hostRange = HeadRange(target.hostStart, target.hostEnd)
            flags.insert(.hasHost)
            if pathRange.isEmpty { flags.insert(method == .options && targetRange.isEmpty ? .becomesAsterisk : .addsSlash) }
        }
        next = target.end &+ 11  // SP, eight bytes of version, CRLF
        guard next <= count else { return Self.versionFault(bytes, target.end &+ 1) }
        let version = bytes.loadUnaligned(fromByteOffset: target.end &+ 1, as: UInt64.self).bigEndian
        let minor = UInt8(truncatingIfNeeded: version) &- HTTPBytes.zero
        guard version &>> 8 == 0x48_5454_502f_312e, minor < 10, bytes[next &- 2] == HTTPBytes.carriageReturn,
            bytes[next &- 1] == HTTPBytes.lineFeed
        else { return Self.versionFault(bytes, target.end &+ 1) }
        receivedMinorVersion = minor
        minorVersion = min(minor, 1)
        return nil
    }

    /// What is wrong with the end of a request line: `HTTP/2.0` is another version, anything else is not one.
    @inline(never)
    private static func versionFault(_ bytes: UnsafeRawBufferPointer, _ start: Int) -> RequestFault {
        guard start &+ 10 <= bytes.count, bytes[start &+ 8] == HTTPBytes.carriageReturn, bytes[start &+ 9] == HTTPBytes.lineFeed,
            bytes[start..<(start &+ 5)].elementsEqual(UnsafeRawBufferPointer.of("HTTP/")), HTTPBytes.isDigit(bytes[start &+ 5]),
            bytes[start &+ 6] == 0x2e, HTTPBytes.isDigit(bytes[start &+ 7])
        else { return .versionSyntax }
        return .versionUnsupported
    }

    @inline(__always)
    private static func method(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> RequestMethod {
        let count = end &- start
        guard count >= 3, count <= 7 else { return .other }
        var word: UInt64 = 0
        for index in start..<end { word = word &<< 8 | UInt64(bytes[index]) }
        switch word {
        case 0x47_4554: return .get
        case 0x4845_4144: return .head
        case 0x504f_5354: return .post
        case 0x50_5554: return .put
        case 0x4445_4c45_5445: return .delete
        case 0x4f_5054_494f_4e53: return .options
        case 0x54_5241_4345: return .trace
        case 0x50_4154_4348: return .patch
        default: return .other
        }
    }

    /// What needs all fields to be known.
    @inline(__always)
    private mutating func judge(_ fields: Fields, limits: HeadLimits) -> RequestFault? {
        if fields.sawCoding {
            guard !fields.sawLength else { return .lengthAndChunked }
            guard minorVersion == 1 else { return .codingInOldVersion }
        }
        guard minorVersion == 0 || fields.sawHost else { return .missingHost }
        if case .length(let length) = framing, length > limits.body { return .bodyTooLong }
        let hasBody = framing != .none && framing != .length(0)
        if hasBody {
            if method == .trace { return .bodyInTrace }
            // Servers of HTTP/1.0 disagree whether these have a body.
            if minorVersion == 0, method != .post, method != .put, method != .patch, method != .other { return .bodyInOldVersion }
        }
        let options = fields.options
        guard !options.malformed else { return .connectionSyntax }
        if minorVersion == 1 ? !options.close : options.keepAlive && !options.close { flags.insert(.keepAlive) }
        if options.nominates { flags.insert(.nominates) }
        if fields.expectsContinue, hasBody, minorVersion == 1 { flags.insert(.expectsContinue) }
        if fields.upgradeIsWebSocket, options.upgrade, minorVersion == 1, method == .get {
            guard !hasBody else { return .bodyInUpgrade }
            flags.insert(.upgradesToWebSocket)
        }
        return nil
    }
}
