import DispatcherCore

/// What an nftables table drops so that this host's kernel stays away from what the dispatcher captures (architecture.md, "Addresses").
/// A capture sees a frame before any rule does.
struct GuardRules: Equatable, Sendable {
    /// One rule: whose frames, and what a rule must match to drop them.
    struct Rule: Equatable, Sendable {
        var side: Side
        var match: String
    }

    var rules: [Rule]

    /// What a host needs; no rules: nothing.
    /// - Parameter forwards: by family. A kernel that forwards would pass frames to addresses that it does not own on, or answer them.
    init(_ configuration: Configuration, forwards: HostCheck.Forwarding) {
        rules = []
        for isIPv4 in [true, false] {
            let family = isIPv4 ? "ip" : "ip6"
            let client = "iifname \"\(configuration.clientSide.interface)\" \(family)"
            let server = "iifname \"\(configuration.serverSide.interface)\" \(family)"
            func list(_ addresses: [IPAddress]) -> String? { Self.set(addresses.filter { $0.isIPv4 == isIPv4 }.map(\.description)) }
            func list(_ endpoints: [Endpoint]) -> String? {
                Self.set(endpoints.filter { $0.address.isIPv4 == isIPv4 }.map { "\($0.address) . \($0.port)" })
            }

            let shared = configuration.services.filter(\.isOwnedByKernel).flatMap(\.listen)
            if let ends = list(shared) { rules.append(Rule(side: .client, match: "\(client) daddr . tcp dport \(ends)")) }
            if configuration.sourceIsKernels, let sources = list(configuration.sourceAddresses),
                let servers = list(configuration.serverEndpoints)
            {
                // Only what servers send: a process of this host may have a port of the range for a connection of its own.
                rules.append(
                    Rule(
                        side: .server,
                        match:
                            "\(server) saddr . tcp sport \(servers) \(family) daddr \(sources) tcp dport \(configuration.ports.first)-\(configuration.ports.last)"
                    ))
            }
            guard isIPv4 ? forwards.v4 : forwards.v6 else { continue }
            if let own = list(configuration.ownServiceAddresses) { rules.append(Rule(side: .client, match: "\(client) daddr \(own)")) }
            if let kept = list(configuration.keptServers) {
                // What goes to clients goes through the dispatcher. The host's own connections to such a server are its own.
                rules.append(Rule(side: .server, match: "\(server) saddr . tcp sport \(kept) fib daddr type != local"))
            }
            if let own = list(configuration.ownSourceAddresses) { rules.append(Rule(side: .server, match: "\(server) daddr \(own)")) }
        }
    }

    private static func set(_ elements: [String]) -> String? {
        var seen: Set<String> = []
        let each = elements.filter { seen.insert($0).inserted }
        return each.isEmpty ? nil : "{ \(each.joined(separator: ", ")) }"
    }

    private static func mark(_ index: Int, _ side: Side) -> String { "comment \"sluice \(index) \(side)\"" }

    /// One line for `nft -i`: a line is one transaction, so there is all of it or nothing. The table is its owner's: nobody else changes
    /// it, and the kernel removes it when the owner's socket closes, however that comes about (Linux 5.12).
    func command(table: String) -> String {
        var parts = [
            "create table inet \(table) { flags owner; }",
            // Before connections are tracked and fragments put together.
            "add chain inet \(table) before { type filter hook prerouting priority -450; policy accept; }",
        ]
        for (index, rule) in rules.enumerated() {
            parts.append("add rule inet \(table) before \(rule.match) counter drop \(Self.mark(index, rule.side))")
        }
        return parts.joined(separator: "; ") + "\n"
    }

    /// What a listing of the table lacks; nil = it is as it must be.
    func fault(in listing: String) -> String? {
        guard listing.contains("flags owner") else { return "the table has no owner" }
        guard listing.contains("hook prerouting") else { return "the table has no chain" }
        return drops(in: listing) == nil ? "rules are missing" : nil
    }

    /// Packets dropped, by side, as a listing of the table tells; nil when a rule is missing.
    func drops(in listing: String) -> [UInt64]? {
        let lines = listing.split(separator: "\n")
        var drops = [UInt64](repeating: 0, count: Side.allCases.count)
        for (index, rule) in rules.enumerated() {
            guard let line = lines.first(where: { $0.contains(Self.mark(index, rule.side)) }) else { return nil }
            let words = line.split(separator: " ")
            guard words.contains("drop"), let place = words.lastIndex(of: "packets"), place + 1 < words.count,
                let count = UInt64(words[place + 1])
            else { return nil }
            drops[Int(rule.side.rawValue)] += count
        }
        return drops
    }
}
