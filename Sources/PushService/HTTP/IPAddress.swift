import Glibc
import NIOCore

/// An IPv4 or IPv6 address; IPv4 ones that came mapped into IPv6 are IPv4.
public struct IPAddress: Hashable, Sendable {
    /// The address as IPv6 would carry it (RFC 4291, section 2.5.5.2 for IPv4).
    let high: UInt64
    let low: UInt64

    private static let mappedPrefix: UInt64 = 0xffff_0000_0000

    private init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A literal address without brackets, port or zone.
    public init?(_ text: some StringProtocol) {
        guard !text.utf8.contains(0) else { return nil }
        var v4 = in_addr()
        var v6 = in6_addr()
        if inet_pton(AF_INET, String(text), &v4) == 1 {
            self.init(high: 0, low: Self.mappedPrefix | UInt64(UInt32(bigEndian: v4.s_addr)))
        } else if inet_pton(AF_INET6, String(text), &v6) == 1 {
            self.init(v6)
        } else {
            return nil
        }
    }

    /// The address of a socket; nil for one that is not of the Internet.
    init?(_ address: SocketAddress?) {
        switch address {
        case .v4(let address)?: self.init(high: 0, low: Self.mappedPrefix | UInt64(UInt32(bigEndian: address.address.sin_addr.s_addr)))
        case .v6(let address)?: self.init(address.address.sin6_addr)
        default: return nil
        }
    }

    private init(_ address: in6_addr) {
        let high = withUnsafeBytes(of: address) { $0.loadUnaligned(as: UInt64.self) }
        let low = withUnsafeBytes(of: address) { $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self) }
        self.init(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low))
    }

    var isIPv4: Bool { high == 0 && low & ~0xffff_ffff == Self.mappedPrefix }

    /// What limits are kept by: an IPv4 address, or the /64 of an IPv6 one.
    var limitKey: IPAddress {
        isIPv4 ? self : IPAddress(high: high, low: 0)
    }

    /// The first `length` of the 128 bits.
    func prefix(_ length: Int) -> IPAddress {
        func mask(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : ~(UInt64.max >> UInt64(bits)) }
        return IPAddress(high: high & mask(length), low: low & mask(length - 64))
    }
}

/// A network in the notation of RFC 4632: address/length; an address alone is a network of one.
public struct IPNetwork: Hashable, Sendable {
    private let address: IPAddress
    /// Of the 128 bits.
    private let length: Int

    /// The network that `text` names; bits past the length must be zero.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count <= 2, let address = IPAddress(parts[0]) else { return nil }
        let offset = address.isIPv4 && !parts[0].contains(":") ? 96 : 0
        var length = 128
        if parts.count == 2 {
            guard let given = Int(parts[1]), parts[1].allSatisfy(\.isNumber), (0...128 - offset).contains(given) else { return nil }
            length = given + offset
        }
        guard address.prefix(length) == address else { return nil }
        self.address = address
        self.length = length
    }

    /// Whether `address` is in the network.
    func contains(_ address: IPAddress) -> Bool {
        address.prefix(length) == self.address
    }
}
