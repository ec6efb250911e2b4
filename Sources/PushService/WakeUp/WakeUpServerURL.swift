import Foundation

/// The base of an NS-WakeUp's URLs.
struct WakeUpServerURL {
    /// Without a slash at the end.
    let base: String

    /// The URL in `text`; nil unless it is http or https with a host, and without query, fragment and user.
    init?(_ text: String) {
        guard let parts = URLComponents(string: text), ["http", "https"].contains(parts.scheme), let host = parts.host, !host.isEmpty,
            parts.query == nil, parts.fragment == nil, parts.user == nil
        else { return nil }
        base = String(text.reversed().drop { $0 == "/" }.reversed())
    }
}
