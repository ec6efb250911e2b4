/// One metric: its name, its kind, what it says, and its labels. docs/metrics.md has the same, by a test.
struct MetricFamily: Sendable {
    enum Kind: String, Sendable { case counter, gauge, histogram }

    /// Without the prefix.
    var name: String
    var kind: Kind
    var labels: [String]
    var help: String

    static let prefix = "sluice_"

    private init(_ name: String, _ kind: Kind, _ labels: [String], _ help: String) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.help = help
    }

    static let requests = MetricFamily("requests_total", .counter, ["service", "status"], "Finished requests by status; 0: none was sent.")
    static let duration = MetricFamily(
        "request_duration_seconds", .histogram, ["phase"],
        "Time of finished requests by phase: receive (TR), queue (Tw), connect (Tc), response (Tr), total (Ta).")
    static let queueLength = MetricFamily("queue_length", .gauge, ["pool"], "Requests that wait for an idle server.")
    static let queueHigh = MetricFamily("queue_high", .gauge, ["pool"], "The most requests that have waited.")
    static let queueOldest = MetricFamily("queue_oldest_seconds", .gauge, ["pool"], "How long the first request in the queue has waited.")
    static let refused = MetricFamily("refused_total", .counter, ["reason"], "Connections and requests that were refused.")
    static let frontConnections = MetricFamily("front_connections", .gauge, ["service"], "Connections of clients.")
    static let tunnels = MetricFamily("tunnels", .gauge, ["service"], "Connections after 101 Switching Protocols.")
    static let serverLimit = MetricFamily("server_limit", .gauge, ["pool", "server"], "Permissible connections.")
    static let serverActive = MetricFamily("server_active", .gauge, ["pool", "server"], "Connections with a request outstanding.")
    static let serverStreamed = MetricFamily(
        "server_streamed", .gauge, ["pool", "server"], "Those of them whose request body is streamed.")
    static let serverIdle = MetricFamily("server_idle", .gauge, ["pool", "server"], "Open connections without a request.")
    static let serverConnects = MetricFamily("server_connects_total", .counter, ["pool", "server"], "Connections opened to the server.")
    static let serverUp = MetricFamily(
        "server_up", .gauge, ["pool", "server"],
        "1 while it takes requests: its health check is good, it is neither ejected nor out by order, and the last attempt to open a connection succeeded."
    )
    static let serverState = MetricFamily(
        "server_state", .gauge, ["pool", "server", "state"],
        "1 for its state: up, drain or down (by order), failed (health check), ejected (failures in a row), removed (in the configuration no longer)."
    )
    static let serverWeight = MetricFamily(
        "server_weight", .gauge, ["pool", "server"], "Its part of the requests, beside those of others.")
    static let serverFailures = MetricFamily(
        "server_failures_total", .counter, ["pool", "server"],
        "Timeouts, resets, refused connections, responses that were refused, and its own 5xx.")
    static let serverTunnels = MetricFamily("server_tunnels", .gauge, ["pool", "server"], "Its tunnels.")
    static let serverTunnelLimit = MetricFamily("server_tunnel_limit", .gauge, ["pool", "server"], "Tunnels that it may have.")
    static let serverMetric = MetricFamily(
        "server_metric", .gauge, ["pool", "server", "metric"],
        "What was measured in its last performance window: times in seconds, rates a second; reported: as it says.")
    static let serverBandLow = MetricFamily(
        "server_band_low", .gauge, ["pool", "server", "metric"], "The low end of the band in which a metric is held.")
    static let serverBandHigh = MetricFamily(
        "server_band_high", .gauge, ["pool", "server", "metric"], "The high end of the band in which a metric is held.")
    static let serverSaturated = MetricFamily(
        "server_saturated", .gauge, ["pool", "server"],
        "1 if in its last performance window the limit, not the demand, decided how much it did.")
    static let serverElasticity = MetricFamily(
        "server_elasticity", .gauge, ["pool", "server"],
        "How much of a change of the limit its rate follows, as measured: d ln rate / d ln limit; absent where it is not known.")
    static let controllerState = MetricFamily(
        "controller_state", .gauge, ["pool", "server", "state"], "1 for the state that the controller of its limit is in.")
    static let healthChecks = MetricFamily(
        "health_checks_total", .counter, ["pool", "server", "result"], "Health checks by what became of them.")
    static let reportsInvalid = MetricFamily(
        "health_reports_invalid_total", .counter, ["pool", "server"],
        "Health answers whose `report-header` was missing, or no number.")
    static let overLimit = MetricFamily(
        "over_limit_total", .counter, [], "Requests dispatched to a server that had as many as its limit: an alarm, it stays 0.")
    static let dropped = MetricFamily("dropped_frames_total", .counter, ["side", "reason"], "Frames that were dropped.")
    static let retransmitted = MetricFamily(
        "retransmitted_segments_total", .counter, ["side", "kind"], "Segments sent again, by what they are for.")
    static let evicted = MetricFamily(
        "evicted_connections_total", .counter, [], "Connections without a request that were closed to make room for others.")
    static let resetsWithheld = MetricFamily(
        "resets_withheld_total", .counter, [], "Segments that deserved a reset and got none: too many had got one in that second.")
    static let repeated = MetricFamily("repeated_requests_total", .counter, [], "Requests that were repeated on another connection.")
    static let streamed = MetricFamily("streamed_requests_total", .counter, [], "Requests whose body was longer than `body-buffer`.")
    static let captureDrops = MetricFamily(
        "capture_drops_total", .counter, ["side"], "Frames lost because `capture-memory` was full: an alarm.")
    static let egressErrors = MetricFamily(
        "egress_errors_total", .counter, ["side"], "Packets that the kernel did not take, or that found no room on the way to it.")
    static let nextHopDrops = MetricFamily(
        "next_hop_drops_total", .counter, ["side", "reason"], "Packets dropped because nobody was found to send them to.")
    static let neighbours = MetricFamily("neighbours", .gauge, ["side"], "Neighbours whose hardware addresses are known or asked for.")
    static let neighbourFailures = MetricFamily(
        "neighbour_failures_total", .counter, ["side"], "Neighbours that did not answer ARP or neighbour solicitations.")
    static let bodyBytes = MetricFamily("body_bytes", .gauge, [], "Memory that the bodies of requests take.")
    static let stagingBytes = MetricFamily("staging_bytes", .gauge, [], "Memory of response bytes held for clients.")
    static let deliveries = MetricFamily(
        "responses_total", .counter, ["delivery"],
        "Responses by their way to the client: staged, end-to-end, with its end kept (tail-kept), end to end without-memory for more.")
    static let buildInfo = MetricFamily("build_info", .gauge, ["version"], "1; the label has the version.")

    static let all = [
        requests, duration, queueLength, queueHigh, queueOldest, refused, frontConnections, tunnels, serverLimit, serverActive,
        serverStreamed, serverIdle, serverConnects, serverUp, serverState, serverWeight, serverFailures, serverTunnels, serverTunnelLimit,
        serverMetric, serverBandLow, serverBandHigh, serverSaturated, serverElasticity, controllerState, healthChecks, reportsInvalid,
        overLimit, dropped, retransmitted, evicted, resetsWithheld, repeated, streamed,
        captureDrops, egressErrors, nextHopDrops, neighbours, neighbourFailures, bodyBytes, stagingBytes, deliveries, buildInfo,
    ]
}
