/// A request target taken apart (RFC 9112 3.2). Offsets from the head's first byte.
struct RequestTarget {
    enum Form {
        /// "/path?query".
        case origin
        /// "http://host/path?query"; what goes on is the origin form.
        case absolute
        /// "*", with OPTIONS.
        case asterisk
    }

    var form = Form.origin
    /// The authority of the absolute form.
    var hostStart = 0
    var hostEnd = 0
    var pathStart = 0
    /// Also where the query begins, with its "?".
    var pathEnd = 0
    /// One past the target.
    var end = 0

    /// Reads the target that begins at `start` and ends before a space.
    ///
    /// A path holds pchar and "/" and what browsers leave as it is (`HTTPBytes.path`); a percent sign there begins an escape of two
    /// digits. In a query a percent sign may stand alone.
    @inline(__always)
    static func read(_ bytes: UnsafeRawBufferPointer, at start: Int, isOptions: Bool) -> Result<RequestTarget, RequestFault> {
        guard start < bytes.count else { return .failure(.incompleteHead) }
        var target = RequestTarget()
        target.pathStart = start
        switch bytes[start] {
        case HTTPBytes.slash: break
        case HTTPBytes.space: return .failure(.targetEmpty)
        case HTTPBytes.asterisk:
            guard isOptions, start &+ 1 < bytes.count, bytes[start &+ 1] == HTTPBytes.space else { return .failure(.targetForm) }
            target.form = .asterisk
            target.pathEnd = start &+ 1
            target.end = start &+ 1
            return .success(target)
        default:
            if let fault = target.readAuthority(bytes, at: start) { return .failure(fault) }
        }
        if let fault = target.readPath(bytes) { return .failure(fault) }
        return .success(target)
    }

    /// Reads "http://authority". What follows is the path, which may be empty.
    @inline(never)
    private mutating func readAuthority(_ bytes: UnsafeRawBufferPointer, at start: Int) -> RequestFault? {
        let prefix = 7
        guard bytes.count &- start > prefix else { return .targetForm }
        guard HTTPBytes.equal(bytes, start, start &+ prefix, "http://") else {
            return HTTPBytes.equal(bytes, start, start &+ prefix, "https:/") ? .targetScheme : .targetForm
        }
        form = .absolute
        hostStart = start &+ prefix
        hostEnd = hostStart
        while hostEnd < bytes.count {
            let byte = bytes[hostEnd]
            if byte == HTTPBytes.slash || byte == HTTPBytes.question || byte <= HTTPBytes.space { break }
            hostEnd &+= 1
        }
        // RFC 9110 4.2.1: a URI without host is invalid; 4.2.4: user information is an error.
        guard HostSyntax.endOfName(bytes, hostStart, hostEnd) > hostStart, HostSyntax.isValid(bytes, hostStart, hostEnd) else {
            return .targetForm
        }
        pathStart = hostEnd
        return nil
    }

    @inline(__always)
    private mutating func readPath(_ bytes: UnsafeRawBufferPointer) -> RequestFault? {
        let count = bytes.count
        let path = HTTPBytes.path
        var index = pathStart
        while index < count, path.contains(bytes[index]) {
            if bytes[index] == HTTPBytes.percent {
                guard index &+ 2 < count, HTTPBytes.hexValue(bytes[index &+ 1]) < 16, HTTPBytes.hexValue(bytes[index &+ 2]) < 16 else {
                    return .targetByte
                }
            }
            index &+= 1
        }
        pathEnd = index
        if index < count, bytes[index] == HTTPBytes.question {
            let query = HTTPBytes.query
            while index < count, query.contains(bytes[index]) { index &+= 1 }
        }
        end = index
        guard index < count else { return .incompleteHead }
        switch bytes[index] {
        case HTTPBytes.space: return nil
        case HTTPBytes.hash: return .targetFragment
        case HTTPBytes.carriageReturn, HTTPBytes.tab: return .requestLineSyntax
        case HTTPBytes.lineFeed: return .bareLF
        default: return .targetByte
        }
    }
}
