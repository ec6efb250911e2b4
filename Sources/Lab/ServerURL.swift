import Foundation

/// Something that the lab's clients cannot do; the text says what failed, on what, why, and what to do.
public struct LabError: Error, Sendable, CustomStringConvertible {
    public let description: String

    /// An error with this text.
    public init(_ description: String) {
        self.description = description
    }
}

/// An `http`, `https`, `ws` or `wss` URL taken apart: where to connect, and what to ask for.
public struct ServerURL: Hashable, Sendable {
    /// The name or literal address to connect to, without brackets.
    public let host: String
    public let port: Int
    /// The path with the query, at least `/`.
    public let path: String
    /// Whether the connection is in TLS: `https` and `wss`.
    public let isSecure: Bool
    /// The value of the Host field.
    public let authority: String

    /// Reads `text`, for example `http://127.0.0.1:8080`.
    public init(_ text: String) throws(LabError) {
        guard let parts = URLComponents(string: text), let host = parts.host, !host.isEmpty else {
            throw LabError("\"\(text)\" is no URL with a host; write it like http://127.0.0.1:8080")
        }
        switch parts.scheme?.lowercased() {
        case "http", "ws": isSecure = false
        case "https", "wss": isSecure = true
        default: throw LabError("\(text): only http://, https://, ws:// and wss:// URLs are supported")
        }
        guard parts.user == nil, parts.password == nil else {
            throw LabError("\(text): user names in URLs are not supported; leave out what stands before @")
        }
        let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        self.host = bare
        port = parts.port ?? (isSecure ? 443 : 80)
        path = (parts.percentEncodedPath.isEmpty ? "/" : parts.percentEncodedPath) + (parts.percentEncodedQuery.map { "?\($0)" } ?? "")
        authority = (bare.contains(":") ? "[\(bare)]" : bare) + (parts.port.map { ":\($0)" } ?? "")
    }
}
