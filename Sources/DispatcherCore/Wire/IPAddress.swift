/// An IPv4 or IPv6 address. IPv4 is held as its mapped form (RFC 4291 2.5.5.2), so that one type serves both families.
public struct IPAddress: Hashable, Sendable {
    /// The first and the last eight bytes, read as big-endian integers.
    public var high: UInt64
    public var low: UInt64

    @inlinable public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Parameter v4: the four bytes read as a big-endian integer: 10.0.0.1 is 0x0A000001.
    @inlinable public init(v4: UInt32) {
        self.init(high: 0, low: 0x0000_FFFF_0000_0000 | UInt64(v4))
    }

    @inlinable public var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }
    /// The four bytes of an IPv4 address; meaningless for IPv6.
    @inlinable public var v4: UInt32 { UInt32(truncatingIfNeeded: low) }

    /// Whether a unicast segment may carry this as its source (RFC 9293 3.9.2.3, MUST-63).
    public var isUnicastSource: Bool {
        if isIPv4 {
            let first = v4 >> 24
            return v4 != 0 && first != 0 && first != 127 && first < 224
        }
        return !(high == 0 && low <= 1) && high >> 56 != 0xFF
    }

    /// Whether it names the host itself: 127.0.0.0/8 (RFC 1122 3.2.1.3), ::1 (RFC 4291 2.5.3).
    @inlinable public var isLoopback: Bool { isIPv4 ? v4 >> 24 == 127 : high == 0 && low == 1 }
}

extension IPAddress: LosslessStringConvertible {
    /// Reads dotted IPv4 ("10.0.0.1") or IPv6 text (RFC 4291 2.2); nil for anything else, zones included.
    public init?(_ text: String) {
        if let v4 = Self.parseIPv4(Substring(text)) {
            self.init(v4: v4)
        } else if let groups = Self.parseIPv6(text) {
            self.init(
                high: groups[0..<4].reduce(0) { $0 << 16 | UInt64($1) },
                low: groups[4..<8].reduce(0) { $0 << 16 | UInt64($1) })
        } else {
            return nil
        }
    }

    private static func parseIPv4(_ text: Substring) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.utf8.count), part.utf8.allSatisfy({ (48...57).contains($0) }), let byte = UInt8(part),
                part.utf8.count == 1 || part.utf8.first != 48
            else { return nil }
            value = value << 8 | UInt32(byte)
        }
        return value
    }

    private static func parseIPv6(_ text: String) -> [UInt16]? {
        guard text.utf8.contains(58) else { return nil }
        func groups(_ side: Substring) -> [UInt16]? {
            if side.isEmpty { return [] }
            var found: [UInt16] = []
            let parts = side.split(separator: ":", omittingEmptySubsequences: false)
            for (index, part) in parts.enumerated() {
                if index == parts.count - 1, part.utf8.contains(46) {
                    guard let v4 = parseIPv4(part) else { return nil }
                    found += [UInt16(v4 >> 16), UInt16(v4 & 0xFFFF)]
                } else {
                    let isHex = part.utf8.allSatisfy { (48...57).contains($0) || (65...70).contains($0) || (97...102).contains($0) }
                    guard (1...4).contains(part.utf8.count), isHex, let group = UInt16(part, radix: 16) else { return nil }
                    found.append(group)
                }
            }
            return found
        }
        guard let gap = text.range(ofDoubleColon: ()) else {
            guard let all = groups(Substring(text)), all.count == 8 else { return nil }
            return all
        }
        guard let before = groups(text[..<gap.lowerBound]), let after = groups(text[gap.upperBound...]), before.count + after.count <= 7
        else {
            return nil
        }
        return before + [UInt16](repeating: 0, count: 8 - before.count - after.count) + after
    }

    /// Dotted for IPv4; RFC 5952 for IPv6.
    public var description: String {
        if isIPv4 { return "\(v4 >> 24).\(v4 >> 16 & 255).\(v4 >> 8 & 255).\(v4 & 255)" }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: ($0 < 4 ? high : low) >> UInt64(48 - 16 * ($0 % 4))) }
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > max(best.count, 1) { best = start..<end }
            start = max(end, start + 1)
        }
        func text(_ part: some Sequence<UInt16>) -> String { part.map { String($0, radix: 16) }.joined(separator: ":") }
        return best.isEmpty ? text(groups) : text(groups[..<best.lowerBound]) + "::" + text(groups[best.upperBound...])
    }
}

extension String {
    fileprivate func range(ofDoubleColon: Void) -> Range<Index>? {
        var at = startIndex
        while at < endIndex {
            let next = index(after: at)
            if next < endIndex, self[at] == ":", self[next] == ":" { return at..<index(after: next) }
            at = next
        }
        return nil
    }
}

/// An address and a port.
public struct Endpoint: Hashable, Sendable {
    public var address: IPAddress
    public var port: UInt16

    @inlinable public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }
}

extension Endpoint: CustomStringConvertible {
    public var description: String { address.isIPv4 ? "\(address):\(port)" : "[\(address)]:\(port)" }
}

/// A 48-bit Ethernet address in the low bits of an integer; 0 = none known.
public struct HardwareAddress: Hashable, Sendable {
    public var bits: UInt64

    @inlinable public init(bits: UInt64) { self.bits = bits & 0xFFFF_FFFF_FFFF }

    public static let none = HardwareAddress(bits: 0)
    public static let broadcast = HardwareAddress(bits: 0xFFFF_FFFF_FFFF)
}

extension HardwareAddress: CustomStringConvertible {
    public var description: String {
        (0..<6).map { index in
            let byte = UInt8(truncatingIfNeeded: bits >> UInt64(40 - 8 * index))
            return (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined(separator: ":")
    }
}
