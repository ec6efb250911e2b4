/// What the `Connection` fields of a message say (RFC 9110 7.6.1).
struct ConnectionOptions {
    var close = false
    var keepAlive = false
    var upgrade = false
    /// An option that may name a field of this message which is not dropped anyway.
    var nominates = false
    /// An option is not a token, or there are too many.
    var malformed = false
    private var count = 0

    /// Adds the options of one `Connection` line.
    mutating func add(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) {
        var members = ListMembers(bytes, start, end)
        while let member = members.next() {
            count &+= 1
            guard count <= HeadLimits.connectionOptions, ListMembers.isToken(bytes, member.start, member.end) else {
                malformed = true
                return
            }
            if HTTPBytes.equal(bytes, member.start, member.end, "close") {
                close = true
            } else if HTTPBytes.equal(bytes, member.start, member.end, "keep-alive") {
                keepAlive = true
            } else if HTTPBytes.equal(bytes, member.start, member.end, "upgrade") {
                upgrade = true
            } else if KnownField.named(bytes, member.start, member.end) == .other {
                nominates = true
            }
        }
    }
}
