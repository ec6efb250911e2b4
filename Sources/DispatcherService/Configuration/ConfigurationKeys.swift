/// Every key of the configuration file. Keys may be added, never renamed; a test holds docs/configuration.md equal to this table.
public enum ConfigurationKeys {
    public static let all: [ConfigurationKey] = top + sides + tcp + services + pools + poolLimits + poolStates + poolLater

    static let byPath: [String: ConfigurationKey] = Dictionary(uniqueKeysWithValues: all.map { ($0.path, $0) })

    private typealias Kind = ConfigurationKey.Kind

    private static func key(_ path: String, _ kind: Kind, _ standard: String? = nil, required: Bool = false) -> ConfigurationKey {
        ConfigurationKey(path: path, kind: kind, standard: standard, isRequired: required)
    }

    /// A text of which the reader wants more than that it is there.
    private static func form(_ form: String, _ key: ConfigurationKey) -> ConfigurationKey {
        var key = key
        key.form = form
        return key
    }

    private static func onlyIPv4(_ key: ConfigurationKey) -> ConfigurationKey {
        var key = key
        key.isIPv4Only = true
        return key
    }

    /// Of some values, those built are named.
    private static func partly(_ path: String, _ kind: Kind, _ standard: String? = nil, built: [String] = [], required: Bool = false)
        -> ConfigurationKey
    {
        ConfigurationKey(path: path, kind: kind, standard: standard, isRequired: required, built: .partly, builtValues: built)
    }

    /// Refused unless it says the default.
    private static func later(_ path: String, _ kind: Kind, _ standard: String? = nil) -> ConfigurationKey {
        ConfigurationKey(path: path, kind: kind, standard: standard, built: .later)
    }

    private static let any: ClosedRange<Int> = 0...Int.max
    private static let perClient: ClosedRange<Int> = 0...10_000_000
    private static let memory: Kind = .size(1 << 20...2047 << 20)
    private static let head: Kind = .size(256...64 << 10)

    private static let top = [
        key("user", .text, "nobody"),
        key("log", .section),
        key("log.level", .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]), "info"),
        form("none, stdout or a file", key("log.access", .text, "none")),
        key("admin", .section),
        onlyIPv4(partly("admin.listen", .endpoint, "127.0.0.1:9900")),
        key("stop", .section),
        key("stop.drain", .duration, "10s"),
        key("stop.tunnels-per-second", .count(any), "1000"),
        key("transmit", .choice(["auto", "raw", "packet"]), "auto"),
        form("auto or number 1 to 64", key("shards", .text, "auto")),
    ]

    private static let sides = [
        key("client-side", .section, required: true),
        key("client-side.interface", .text, required: true),
        form("auto, address or list", key("client-side.gateway", .texts, "auto")),
        key("client-side.reply-to", .choice(["sender", "route"]), "sender"),
        key("client-side.capture-memory", memory, "256MiB"),
        key("server-side", .section, required: true),
        key("server-side.interface", .text, required: true),
        partly("server-side.source-addresses", .addresses, required: true),
        form("auto, address or list", key("server-side.gateway", .texts, "auto")),
        key("server-side.capture-memory", memory, "256MiB"),
        key("server-side.kernel-addresses", .boolean, "false"),
        key("server-side.first-port", .count(1...65_535), "10000"),
        key("server-side.last-port", .count(1...65_535), "65535"),
        key("server-side.layers", .count(1...64), "5"),
        key("server-side.servers", .count(1...1_024), "16"),
        key("server-side.connections-per-server", .count(1...65_535), "256"),
    ]

    private static let tcp = [
        key("tcp", .section),
        key("tcp.options", .choice(["all", "mss"]), "all"),
        key("tcp.acknowledge", .choice(["with-response", "immediate"]), "with-response"),
        key("tcp.tail-custody", .size(0...128 << 10), "64KiB"),
        key("tcp.staging-memory", .size(any), "64MiB"),
        key("tcp.initial-window", .choice(["clamped", "client"]), "clamped"),
        key("tcp.time-wait", .duration, "60s"),
        key("tcp.server-time-wait", .duration, "1s"),
        form("auto or number 536 to 65495", key("tcp.server-mss", .text, "auto")),
    ]

    private static let services = [
        key("services", .sections, required: true),
        key("services[].name", .text, required: true),
        key("services[].listen", .endpoints, required: true),
        key("services[].mode", .choice(["l7/3", "l4/3"]), "l7/3"),
        key("services[].owned-by-kernel", .boolean, "false"),
        key("services[].limits", .section),
        key("services[].limits.head", head, "16KiB"),
        key("services[].limits.fields", .count(1...1_000), "100"),
        key("services[].limits.response-head", head, "16KiB"),
        key("services[].limits.body", .size(0...1 << 40), "1MiB"),
        key("services[].limits.body-buffer", .size(0...128 << 10), "64KiB"),
        key("services[].limits.head-time", .duration, "10s"),
        key("services[].limits.body-rate", .rate, "500B/s"),
        key("services[].limits.send-idle", .duration, "60s"),
        key("services[].limits.idle", .duration, "75s"),
        key("services[].limits.tunnel-idle", .duration, "1h"),
        key("services[].limits.connections", .count(1...10_000_000), "100000"),
        key("services[].limits.per-client-connections", .count(perClient), "0"),
        key("services[].limits.per-client-new-connections", .count(perClient), "0"),
        key("services[].limits.per-client-requests", .count(perClient), "0"),
        key("services[].error-pages", .sections),
        key("services[].error-pages[].status", .count(400...599), required: true),
        key("services[].error-pages[].file", .text, required: true),
        key("services[].error-pages[].type", .text, "text/html"),
        key("services[].routes", .sections, required: true),
        key("services[].routes[].path-prefix", .text),
        key("services[].routes[].host", .text),
        form("method or list", key("services[].routes[].method", .texts)),
        key("services[].routes[].header", .section),
        key("services[].routes[].header.name", .text, required: true),
        key("services[].routes[].header.value", .text),
        key("services[].routes[].upgrade", .choice(["websocket"])),
        key("services[].routes[].pool", .text, required: true),
    ]

    private static let pools = [
        key("pools", .sections, required: true),
        key("pools[].name", .text, required: true),
        key("pools[].servers", .sections, required: true),
        key("pools[].servers[].address", .endpoint, required: true),
        key("pools[].servers[].initial", .count(0...65_535), "limit.initial"),
        key("pools[].servers[].minimum", .count(0...65_535), "limit.minimum"),
        key("pools[].servers[].maximum", .count(1...65_535), "limit.maximum"),
        key("pools[].servers[].weight", .count(1...65_535), "1"),
        key("pools[].servers[].backup", .boolean, "false"),
        key("pools[].servers[].capacity", .count(1...65_535)),
        form("round-robin, least-connections, hash: source, hash: path, hash: header NAME", key("pools[].balance", .text, "round-robin")),
        key("pools[].open", .choice(["on-connection", "on-request", "at-start"]), "on-connection"),
        key("pools[].proxy-protocol", .choice(["none", "v2"]), "none"),
        key("pools[].queue", .section),
        key("pools[].queue.capacity", .count(1...1_000_000), "4096"),
        key("pools[].queue.memory", .size(64 << 10...16 << 30), "64MiB"),
        key("pools[].queue.refuse-above", .count(1...1_000_000), "half of capacity"),
        key("pools[].queue.resume-below", .count(1...1_000_000), "4/5 of refuse-above"),
        key("pools[].queue.wait", .duration, "1s"),
        key("pools[].queue.refuse-with", .choice(["reset", "answer"]), "reset"),
        key("pools[].queue.per-client", .percentage, "100%"),
        key("pools[].retries", .count(0...10), "1"),
        key("pools[].timeouts", .section),
        key("pools[].timeouts.connect", .duration, "1s"),
        key("pools[].timeouts.response", .duration, "30s"),
    ]

    private static let poolLimits = [
        key("pools[].limit", .section),
        key("pools[].limit.initial", .count(0...65_535), "8"),
        key("pools[].limit.minimum", .count(0...65_535), "1"),
        key("pools[].limit.maximum", .count(1...65_535), "256"),
        key("pools[].limit.control", .control, "fixed"),
        key("pools[].tunnels", .section),
        key("pools[].tunnels.initial", .count(0...65_535), "19000"),
        key("pools[].tunnels.maximum", .count(0...65_535), "19000"),
        key("pools[].tunnels.control", .control, "fixed"),
    ]

    private static let poolLater = [
        key("pools[].l4", .section),
        key("pools[].l4.cookie", .boolean, "false"),
        key("pools[].l4.source", .choice(["rewrite", "keep"]), "rewrite"),
        key("pools[].l4.idle", .duration, "15m"),
    ]

    private static let poolStates = [
        key("pools[].health", .section),
        key("pools[].health.path", .text),
        key("pools[].health.tcp", .boolean, "false"),
        key("pools[].health.every", .duration, "2s"),
        key("pools[].health.timeout", .duration, "1s"),
        key("pools[].health.rise", .count(1...100), "2"),
        key("pools[].health.fall", .count(1...100), "3"),
        form("status or list", key("pools[].health.expect", .texts, "200")),
        key("pools[].health.report-header", .text),
        key("pools[].ejection", .section),
        key("pools[].ejection.failures", .count(1...1_000), "5"),
        key("pools[].ejection.time", .duration, "10s"),
        key("pools[].slow-start", .duration, "0s"),
    ]
}
