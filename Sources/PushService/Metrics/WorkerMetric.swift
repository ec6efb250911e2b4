/// One metric of `/metrics`: its name, its kind, what it says, and its labels. docs/worker-metrics.md has the same, by a test.
struct WorkerMetric: Hashable, Sendable {
    enum Kind: String, Sendable { case counter, gauge, histogram }

    static let prefix = "sluice_worker_"

    /// Without the prefix.
    let name: String
    let kind: Kind
    let labels: [String]
    let help: String

    private init(_ name: String, _ kind: Kind, _ labels: [String], _ help: String) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.help = help
    }

    // MARK: The process

    static let info = WorkerMetric("info", .gauge, ["worker", "roles"], "1; the labels have the worker's name and its roles.")
    static let phase = WorkerMetric("phase", .gauge, ["phase"], "1 for the phase that the worker is in.")
    static let eventLoopDelay = WorkerMetric(
        "event_loop_delay_seconds", .gauge, [], "How late the slowest event loop runs what is due: the worker's load.")
    static let frontConnections = WorkerMetric("front_connections", .gauge, ["front"], "Open connections by front, WebSockets included.")
    static let frontConnectionsAll = WorkerMetric("front_connections_total", .counter, ["front"], "Connections accepted, by front.")
    static let acceptingStopped = WorkerMetric(
        "accepting_stopped_total", .counter, [], "Times that a front stopped accepting connections for want of descriptors.")
    static let requestsUnderWay = WorkerMetric("requests_under_way", .gauge, [], "HTTP requests that have come and are not answered.")
    static let httpErrors = WorkerMetric(
        "http_errors_total", .counter, [], "Connections with bytes that are no HTTP, or broken off by an error.")

    // MARK: TLS

    static let tlsHandshakes = WorkerMetric("tls_handshakes_total", .counter, ["result"], "Handshakes by how they ended.")
    static let tlsErrors = WorkerMetric("tls_errors_total", .counter, [], "Connections that TLS ended after their handshake.")
    static let tlsCertificateEnd = WorkerMetric(
        "tls_certificate_not_after_seconds", .gauge, [], "When the certificate ends, in seconds since 1970 UTC; 0 without TLS.")
    static let reloads = WorkerMetric("reloads_total", .counter, ["what", "result"], "Files read again on SIGHUP.")

    // MARK: Devices

    static let tokensIssued = WorkerMetric("tokens_issued_total", .counter, [], "UATokens given.")
    static let sockets = WorkerMetric("sockets", .gauge, [], "Open WebSockets of devices.")
    static let socketsOpened = WorkerMetric("sockets_opened_total", .counter, [], "WebSockets opened.")
    static let socketsClosed = WorkerMetric("sockets_closed_total", .counter, ["reason"], "WebSockets that the worker closed.")
    static let devices = WorkerMetric("devices", .gauge, [], "Registered devices with a WebSocket to this worker.")
    static let devicesRegistered = WorkerMetric("devices_registered_total", .counter, [], "Registrations of devices (registerUA).")

    // MARK: Devices that sleep

    static let wakeUpsRequested = WorkerMetric("wake_ups_requested_total", .counter, [], "Devices for which a message made a wake-up due.")
    static let wakeUpCalls = WorkerMetric(
        "wake_up_calls_total", .counter, ["result"], "Wake-ups that were due, by what became of the call of an NS-WakeUp.")
    static let devicesWoken = WorkerMetric("devices_woken_total", .counter, [], "Devices that came after a wake-up.")
    static let wakeUpPackets = WorkerMetric(
        "wake_up_packets_total", .counter, ["result"], "Orders to this NS-WakeUp, by what became of them.")

    // MARK: Messages

    static let accepted = WorkerMetric("messages_accepted_total", .counter, [], "Messages of application servers that were stored.")
    static let sent = WorkerMetric(
        "messages_sent_total", .counter, ["kind"],
        "Messages sent to devices: for the first time on a connection, again after a time, or in an answer to getAllMessages.")
    static let acknowledgements = WorkerMetric(
        "acknowledgements_total", .counter, ["result"],
        "Acknowledgements: stored, for no pending message (unknown), or not stored because the store failed (lost).")
    static let acknowledgementsPostponed = WorkerMetric(
        "acknowledgements_postponed_total", .counter, [], "Acknowledgements that the store did not take and that are tried again.")
    static let replayed = WorkerMetric(
        "messages_replayed_total", .counter, [], "Messages that came again with the same id and signature and were not stored again.")
    static let devicesForgotten = WorkerMetric(
        "devices_forgotten_total", .counter, [], "Devices that this monitor removed because they were not connected for long.")
    static let removed = WorkerMetric(
        "messages_removed_total", .counter, ["reason"], "Messages removed by this monitor: expired, or with a ttl of 0 and sent once.")
    static let refused = WorkerMetric(
        "refused_total", .counter, ["request", "reason"], "Requests that were refused: for a token, of a device, with a notification.")
    static let acknowledgementDuration = WorkerMetric(
        "acknowledgement_duration_seconds", .histogram, [],
        "Time from a message's acceptance to a device's acknowledgement on the connection on which it was sent.")

    // MARK: Store and bus

    static let acceptDuration = WorkerMetric(
        "store_accept_duration_seconds", .histogram, [], "Time from handing a message to the store until it is durable.")
    static let storeWaiting = WorkerMetric("store_waiting", .gauge, ["kind"], "Operations that wait for the store.")
    static let storeReadFailures = WorkerMetric(
        "store_read_failures_total", .counter, [], "Reads for delivery or routing that failed and were done again.")
    static let storeWriteFailures = WorkerMetric(
        "store_write_failures_total", .counter, [], "Writes for wake-ups and routing that failed.")
    static let notesLost = WorkerMetric(
        "bus_notes_lost_total", .counter, [], "Notes to other workers that could not be handed over: their messages come later.")
    static let messageLogLinesLost = WorkerMetric(
        "message_log_lines_lost_total", .counter, [], "Lines of the message log that were not written.")

    /// In the order of the page.
    static let all = [
        info, phase, eventLoopDelay, frontConnections, frontConnectionsAll, acceptingStopped, requestsUnderWay, httpErrors, tlsHandshakes,
        tlsErrors,
        tlsCertificateEnd, reloads, tokensIssued, sockets, socketsOpened, socketsClosed, devices, devicesRegistered, wakeUpsRequested,
        wakeUpCalls,
        devicesWoken, wakeUpPackets, accepted, sent,
        acknowledgements, acknowledgementsPostponed, replayed, devicesForgotten, removed, refused, acknowledgementDuration, acceptDuration,
        storeWaiting, storeReadFailures, storeWriteFailures, notesLost,
        messageLogLinesLost,
    ]
}
