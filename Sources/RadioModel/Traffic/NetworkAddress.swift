import Glibc

/// An IPv4 or IPv6 address in a capture.
public struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
    /// An IPv4 address lies in the last four bytes of `low`.
    private let high: UInt64
    private let low: UInt64
    public let isIPv4: Bool

    /// From 4 or 16 bytes in network order.
    init(bytes: some Collection<UInt8>) {
        precondition(bytes.count == 4 || bytes.count == 16, "an address has 4 or 16 bytes")
        isIPv4 = bytes.count == 4
        high = isIPv4 ? 0 : bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        low = bytes.suffix(8).reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// A literal address, such as 10.0.0.2 or 2001:db8::2; nil when it is none.
    public init?(_ text: String) {
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &bytes) == 1 {
            self.init(bytes: bytes.prefix(4))
        } else if inet_pton(AF_INET6, text, &bytes) == 1 {
            self.init(bytes: bytes)
        } else {
            return nil
        }
    }

    /// Whether one device alone can have it: not a group's, everybody's, or nobody's.
    var isUnicast: Bool {
        if isIPv4 { return low != 0 && low < 0xE000_0000 }
        return high >> 56 != 0xFF && (high, low) != (0, 0)
    }

    public var description: String {
        var bytes = withUnsafeBytes(of: high.bigEndian, Array.init) + withUnsafeBytes(of: low.bigEndian, Array.init)
        if isIPv4 { bytes.removeFirst(12) }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(isIPv4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return text.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }
}
