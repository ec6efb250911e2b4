/// An address as text without allocating, for `X-Forwarded-For`.
extension IPAddress {
    /// Bytes of the longest text: eight groups of four digits and seven colons.
    static let longestText = 39

    /// Writes at most `longestText` bytes: dotted for IPv4, the form of RFC 5952 for IPv6.
    /// - Returns: how many.
    func write(at text: UnsafeMutableRawPointer) -> Int { isIPv4 ? writeIPv4(at: text) : writeIPv6(at: text) }

    private func writeIPv4(at text: UnsafeMutableRawPointer) -> Int {
        var at = 0
        for shift in stride(from: UInt32(24), through: 0, by: -8) {
            let byte = UInt8(truncatingIfNeeded: v4 >> shift)
            if byte >= 100 {
                text.store(48 + byte / 100, at: at)
                at += 1
            }
            if byte >= 10 {
                text.store(48 + byte / 10 % 10, at: at)
                at += 1
            }
            text.store(48 + byte % 10, at: at)
            at += 1
            if shift > 0 {
                text.store(UInt8(ascii: "."), at: at)
                at += 1
            }
        }
        return at
    }

    private func group(_ index: Int) -> UInt16 {
        UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index & 3)))
    }

    /// The longest run of two or more zero groups becomes "::", the first of equal ones (RFC 5952 4.2).
    private func writeIPv6(at text: UnsafeMutableRawPointer) -> Int {
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, group(end) == 0 { end += 1 }
            if end - start > max(best.count, 1) { best = start..<end }
            start = max(end, start + 1)
        }
        var at = 0
        var index = 0
        while index < 8 {
            if !best.isEmpty, index == best.lowerBound {
                text.store(UInt16(0x3A3A), at: at)
                at += 2
                index = best.upperBound
                continue
            }
            if index > 0, index != best.upperBound || best.isEmpty {
                text.store(UInt8(ascii: ":"), at: at)
                at += 1
            }
            at += Self.writeHex(group(index), at: text + at)
            index += 1
        }
        return at
    }

    /// Lower case, without leading zeros (RFC 5952 4.1, 4.3).
    private static func writeHex(_ value: UInt16, at text: UnsafeMutableRawPointer) -> Int {
        let count = value == 0 ? 1 : (19 - value.leadingZeroBitCount) / 4
        for place in 0..<count {
            let digit = UInt8(truncatingIfNeeded: value >> UInt16(4 * (count - 1 - place))) & 15
            text.store(digit < 10 ? 48 + digit : 87 + digit, at: place)
        }
        return count
    }
}
