import NIOHTTP1

/// Who asks, when proxies are in between.
enum ClientAddress {
    /// The peer, or, when the peer is trusted, the last element of X-Forwarded-For that is not itself trusted.
    ///
    /// An element that is no address ends the search: the trusted one behind it is then the best that is known.
    static func of(peer: IPAddress, headers: HTTPHeaders, trusted: [IPNetwork]) -> IPAddress {
        func isTrusted(_ address: IPAddress) -> Bool { trusted.contains { $0.contains(address) } }
        guard isTrusted(peer) else { return peer }
        var client = peer
        for element in headers[canonicalForm: "x-forwarded-for"].reversed() {
            guard let address = address(in: element) else { break }
            client = address
            if !isTrusted(address) { break }
        }
        return client
    }

    /// The address in an element, which some proxies write with a port: `1.2.3.4:5`, `[::1]:5`.
    private static func address(in element: some StringProtocol) -> IPAddress? {
        if let address = IPAddress(element) { return address }
        if element.hasPrefix("["), let end = element.firstIndex(of: "]") {
            return IPAddress(element[element.index(after: element.startIndex)..<end])
        }
        return element.lastIndex(of: ":").flatMap { IPAddress(element[..<$0]) }
    }
}
