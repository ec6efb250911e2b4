import DispatcherCore
import Glibc

/// Lines of the access log in HAProxy's HTTP log format (`option httplog`; its configuration manual, 8.2.3), those of connections in mode l4/3
/// in its TCP log format, behind the prefix that syslog writes, so that its tools read them.
struct AccessLogFormat: Sendable {
    private var services: [String]
    private var pools: [String]
    private let host: String
    private let process: String

    /// - Parameters:
    ///   - host: this host's name.
    ///   - process: as in "haproxy[14389]".
    init(configuration: Configuration, host: String, process: String) {
        services = configuration.services.map(\.name)
        pools = configuration.pools.map(\.name)
        self.host = host
        self.process = process
    }

    /// Those of another configuration, in which all have the places that they had.
    mutating func take(names configuration: Configuration) {
        services = configuration.services.map(\.name)
        pools = configuration.pools.map(\.name)
    }

    /// Appends a line.
    /// - Parameter clockOffset: from monotonic instants to nanoseconds since 1970.
    func append(_ record: borrowing RequestRecord, clockOffset: Interval, to line: inout [UInt8]) {
        let started = record.started + clockOffset
        let written = started + record.total
        let service = services.indices.contains(record.service) ? services[record.service] : "-"
        line.append(text: "\(Self.syslogTime(written)) \(host) \(process): \(record.client) [\(Self.requestTime(started))] \(service) ")
        if record.kind == .connection { return appendConnection(record, service, to: &line) }
        line.append(text: "\(backend(record, service)) \(times(record)) \(record.status == 0 ? "-1" : String(record.status)) ")
        // The first line of a tunnel is written while it goes on: HAProxy marks such figures with +.
        let isOpen = record.kind == .tunnelOpened
        line.append(text: "\(isOpen ? "+" : "")\(record.bytesToClient) - - ")
        line.append(record.cause.rawValue)
        line.append(record.phase.rawValue)
        line.append(text: "-- \(record.connections)/\(record.serviceConnections)/\(record.poolActive)/\(record.serverActive)/")
        line.append(text: "\(record.retries) 0/\(record.queuePosition) \"")
        appendRequest(record, to: &line)
        line.append(text: "\"\n")
    }

    /// The rest of a line in HAProxy's TCP log format (`option tcplog`; its configuration manual, 8.2.2).
    private func appendConnection(_ record: borrowing RequestRecord, _ service: String, to line: inout [UInt8]) {
        let times = "\(Self.shown(record.queue))/\(Self.shown(record.connect))/\(Self.shown(record.total))"
        line.append(text: "\(backend(record, service)) \(times) \(record.bytesToClient) ")
        line.append(record.cause.rawValue)
        line.append(record.phase.rawValue)
        line.append(text: " \(record.connections)/\(record.serviceConnections)/\(record.poolActive)/\(record.serverActive)/")
        line.append(text: "\(record.retries) 0/\(record.queuePosition)\n")
    }

    private static func shown(_ interval: Interval?) -> String { interval.map { String(max(0, $0.milliseconds)) } ?? "-1" }

    private func backend(_ record: borrowing RequestRecord, _ service: String) -> String {
        guard let index = record.pool, pools.indices.contains(index) else { return "\(service)/<NOSRV>" }
        let pool = pools[index]
        guard let server = record.server else { return "\(pool)/<NOSRV>" }
        return "\(pool)/\(server)"
    }

    private func times(_ record: borrowing RequestRecord) -> String {
        let total = "\(record.kind == .tunnelOpened ? "+" : "")\(max(0, record.total.milliseconds))"
        let phases = [record.receive, record.queue, record.connect, record.response].map(Self.shown)
        return (phases + [total]).joined(separator: "/")
    }

    /// HAProxy's encoding: what is not printable, quotes and # become #XX. A request that was never read is <BADREQ>; the end of a tunnel
    /// is <TUNNEL>: its request is in the line of its 101, by the client's address and port.
    private func appendRequest(_ record: borrowing RequestRecord, to line: inout [UInt8]) {
        guard record.lineLength > 0 else { return line.append(text: record.kind == .tunnelClosed ? "<TUNNEL>" : "<BADREQ>") }
        for index in 0..<min(record.lineLength, RequestRecord.lineCapacity) {
            let byte = record.line[index]
            if byte < 0x20 || byte >= 0x7F || byte == 0x22 || byte == 0x23 {
                line.append(0x23)
                line.append(Self.hexDigit(byte >> 4))
                line.append(Self.hexDigit(byte & 15))
            } else {
                line.append(byte)
            }
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 0x30 + value : 0x37 + value }

    // MARK: Dates, in local time as HAProxy writes them

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    private static func local(_ instant: Instant) -> tm {
        var seconds = time_t(instant.nanoseconds / 1_000_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        return parts
    }

    /// "06/Feb/2009:12:14:14.655".
    static func requestTime(_ instant: Instant) -> String {
        let parts = local(instant)
        let milliseconds = instant.nanoseconds / 1_000_000 % 1_000
        return two(parts.tm_mday) + "/" + months[Int(parts.tm_mon)] + "/\(parts.tm_year + 1_900):" + clock(parts) + "."
            + three(milliseconds)
    }

    /// "Feb  6 12:14:14", as syslog has it.
    static func syslogTime(_ instant: Instant) -> String {
        let parts = local(instant)
        return months[Int(parts.tm_mon)] + (parts.tm_mday < 10 ? "  " : " ") + "\(parts.tm_mday) " + clock(parts)
    }

    private static func clock(_ parts: tm) -> String { two(parts.tm_hour) + ":" + two(parts.tm_min) + ":" + two(parts.tm_sec) }
    private static func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    private static func three(_ number: Int64) -> String { number < 10 ? "00\(number)" : number < 100 ? "0\(number)" : "\(number)" }
}

extension [UInt8] {
    fileprivate mutating func append(text: String) { append(contentsOf: text.utf8) }
}
