/// The grammar of a `Host` value and of a target's authority (RFC 9110 7.2, RFC 3986 3.2.2): a registered name, an IPv4 address
/// (which is a registered name by its syntax) or a bracketed IPv6 address, and an optional port.
enum HostSyntax {
    /// Whether `bytes[start..<end]` is `uri-host [":" port]`. An empty name is valid syntax; user information is not.
    static func isValid(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        let nameEnd = endOfName(bytes, start, end)
        if start < end, bytes[start] == HTTPBytes.openBracket {
            guard nameEnd > start &+ 2, bytes[nameEnd &- 1] == HTTPBytes.closeBracket else { return false }
            guard isIPv6(bytes, start &+ 1, nameEnd &- 1) else { return false }
        } else {
            let name = HTTPBytes.registeredName
            var index = start
            while index < nameEnd {
                guard name.contains(bytes[index]) else { return false }
                if bytes[index] == HTTPBytes.percent {
                    guard index &+ 2 < nameEnd, HTTPBytes.hexValue(bytes[index &+ 1]) < 16, HTTPBytes.hexValue(bytes[index &+ 2]) < 16
                    else { return false }
                }
                index &+= 1
            }
        }
        guard nameEnd < end else { return true }
        guard nameEnd &+ 1 < end else { return true }  // "a:" has an empty port (RFC 3986 3.2.3)
        guard end &- nameEnd <= 6, let port = HTTPBytes.decimal(bytes, nameEnd &+ 1, end) else { return false }
        return port <= 65_535
    }

    /// Where the name ends and ":port" begins; `end` when there is no port.
    static func endOfName(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Int {
        var index = start
        if start < end, bytes[start] == HTTPBytes.openBracket {
            while index < end, bytes[index] != HTTPBytes.closeBracket { index &+= 1 }
            guard index < end else { return end }
            index &+= 1
            return index == end || bytes[index] == HTTPBytes.colon ? index : end
        }
        while index < end, bytes[index] != HTTPBytes.colon { index &+= 1 }
        return index
    }

    /// IPv6address of RFC 3986 3.2.2: eight groups, or fewer with one "::"; the last two may be written as an IPv4 address.
    private static func isIPv6(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        var groups = 0
        var sawGap = false
        var index = start
        if end &- start >= 2, bytes[start] == HTTPBytes.colon {
            guard bytes[start &+ 1] == HTTPBytes.colon else { return false }
            sawGap = true
            index &+= 2
            if index == end { return true }
        }
        while true {
            let groupStart = index
            while index < end, HTTPBytes.hexValue(bytes[index]) < 16 { index &+= 1 }
            if index < end, bytes[index] == 0x2e {
                guard isIPv4(bytes, groupStart, end) else { return false }
                groups &+= 2
                break
            }
            guard index > groupStart, index &- groupStart <= 4 else { return false }
            groups &+= 1
            guard groups <= 8 else { return false }
            if index == end { break }
            guard bytes[index] == HTTPBytes.colon else { return false }
            index &+= 1
            if index < end, bytes[index] == HTTPBytes.colon {
                guard !sawGap else { return false }
                sawGap = true
                index &+= 1
                if index == end { break }
            }
        }
        return sawGap ? groups <= 7 : groups == 8
    }

    /// IPv4address of RFC 3986 3.2.2: four numbers of 0...255 without leading zeros.
    private static func isIPv4(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Bool {
        var index = start
        for part in 0..<4 {
            let partStart = index
            while index < end, HTTPBytes.isDigit(bytes[index]) { index &+= 1 }
            guard index &- partStart <= 3, let value = HTTPBytes.decimal(bytes, partStart, index), value <= 255 else { return false }
            if index &- partStart > 1, bytes[partStart] == HTTPBytes.zero { return false }
            if part < 3 {
                guard index < end, bytes[index] == 0x2e else { return false }
                index &+= 1
            }
        }
        return index == end
    }
}
