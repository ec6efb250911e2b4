import Foundation
import RadioModel

/// What `sluice radio` found.
struct RadioReport {
    var capture: String
    /// Whether the file ends inside a frame.
    var isCut: Bool
    var frames: Int
    var traffic: CapturedTraffic
    var addresses: [NetworkAddress]
    var part: CapturedTraffic.DevicePart
    var run: RadioRun
    var units: RadioUnits

    /// What a person should know before believing the figures.
    var remarks: [String] {
        var remarks: [String] = []
        if isCut {
            remarks.append(
                "\(capture) ends inside a packet: the figures are of the \(frames) before it; capture until the end of what counts")
        }
        if traffic.outOfOrder > 0 {
            let behind = traffic.furthestBehind.secondsText
            remarks.append(
                "\(traffic.outOfOrder) packets were up to \(behind) s out of order and were put into order; check the capture's clock")
        }
        if traffic.badHeaders > 0 { remarks.append("\(traffic.badHeaders) packets had an IP header that is cut or wrong and do not count") }
        return remarks
    }

    static func date(_ instant: Duration) -> String {
        Date(timeIntervalSince1970: instant.seconds).formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: false))
    }
}

/// The report for people.
struct RadioTable {
    private let report: RadioReport
    private let whole: RadioUse
    private let total: Double

    init(_ report: RadioReport) {
        self.report = report
        whole = report.run.whole
        total = whole.units(report.units)
    }

    private var seconds: Double { (whole.until - whole.from).seconds }

    var lines: [String] {
        let names = report.addresses.map(\.description).joined(separator: ", ")
        let head = [
            "\(report.capture): device \(names)",
            "from \(RadioReport.date(whole.from)) until \(RadioReport.date(whole.until)) (\(Self.number(seconds, decimals: 1)) s)", "",
        ]
        return head + states + [""] + facts + (report.run.stretches.isEmpty ? [] : [""] + timeline)
    }

    private var states: [String] {
        let rows = RadioState.allCases.map { state in
            let (time, units) = (whole.time[state].seconds, whole.units(state, report.units))
            return [
                state.name, Self.number(time, decimals: 1), Self.share(time, seconds), Self.number(units, decimals: 0),
                Self.share(units, total),
            ]
        }
        let all = ["all", Self.number(seconds, decimals: 1), "", Self.number(total, decimals: 0), ""]
        return Self.columns([["state", "seconds", "share", "units", "share"]] + rows + [all])
            + ["on average \(Self.number(total / seconds, decimals: 2)) units a second"]
    }

    private var facts: [String] {
        let promotions = whole.promotions.sorted { ($0.key.from, $0.key.to) < ($1.key.from, $1.key.to) }
            .map { "\($0.key.from.name) to \($0.key.to.name) \($0.value)" }
        var releases = ["T1 \(whole.releasesByT1)", "T2 \(whole.releasesByT2)", "T3 \(whole.releasesByT3)"]
        if whole.releasesByFastDormancy > 0 { releases.append("fast dormancy \(whole.releasesByFastDormancy)") }
        let uncounted = [
            (report.traffic.notIP, "not IP"), (report.traffic.badHeaders, "with a bad header"), (report.part.others, "of others"),
            (report.part.internalPackets, "inside the device"), (report.run.packetsOutside, "before or after"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return [
            "packets     \(whole.packetsUp) up (\(whole.bytesUp) bytes), \(whole.packetsDown) down (\(whole.bytesDown) bytes)",
            "promotions  \(whole.promotionCount)" + (promotions.isEmpty ? "" : ": " + promotions.joined(separator: ", "))
                + "; paged by the network \(whole.pages)",
            "releases    " + releases.joined(separator: ", "),
        ] + (uncounted.isEmpty ? [] : ["not counted \(uncounted.joined(separator: ", "))"])
    }

    private var timeline: [String] {
        let head = ["from"] + RadioState.allCases.map(\.name) + ["units", "promotions", "packets", "bytes"]
        let rows = report.run.stretches.map { use in
            [RadioReport.date(use.from)] + RadioState.allCases.map { Self.number(use.time[$0].seconds, decimals: 1) }
                + [
                    Self.number(use.units(report.units), decimals: 0), "\(use.promotionCount)", "\(use.packetsUp + use.packetsDown)",
                    "\(use.bytesUp + use.bytesDown)",
                ]
        }
        return Self.columns([head] + rows)
    }

    /// The first column to the left, the others to the right.
    private static func columns(_ rows: [[String]]) -> [String] {
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - row[column].count)
                return column == 0 ? row[column] + space : space + row[column]
            }
            return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
    }

    private static func number(_ value: Double, decimals: Int) -> String {
        value.formatted(.number.precision(.fractionLength(decimals)).grouping(.never).locale(Locale(identifier: "en_US_POSIX")))
    }

    private static func share(_ part: Double, _ whole: Double) -> String {
        whole > 0 ? number(part / whole * 100, decimals: 1) + " %" : "-"
    }
}

/// The report for programs: times in seconds, instants in seconds since 1970.
struct RadioJSON: Encodable {
    struct Use: Encodable {
        struct State: Encodable {
            var seconds: Double
            var units: Double
        }

        struct Traffic: Encodable {
            var packets: Int
            var bytes: Int
        }

        var from: Double
        var until: Double
        var states: [String: State]
        var units: Double
        var averageUnits: Double
        /// By `idle-fach` and the like.
        var promotions: [String: Int]
        var pages: Int
        /// By `t1`, `t2`, `t3`, `fastDormancy`.
        var releases: [String: Int]
        var up: Traffic
        var down: Traffic

        init(_ use: RadioUse, _ units: RadioUnits) {
            from = use.from.seconds
            until = use.until.seconds
            states = Dictionary(
                uniqueKeysWithValues: RadioState.allCases.map {
                    ($0.key, State(seconds: use.time[$0].seconds, units: use.units($0, units)))
                })
            self.units = use.units(units)
            averageUnits = self.units / (use.until - use.from).seconds
            promotions = Dictionary(uniqueKeysWithValues: use.promotions.map { ("\($0.key.from.key)-\($0.key.to.key)", $0.value) })
            pages = use.pages
            releases = [
                "t1": use.releasesByT1, "t2": use.releasesByT2, "t3": use.releasesByT3, "fastDormancy": use.releasesByFastDormancy,
            ]
            up = Traffic(packets: use.packetsUp, bytes: use.bytesUp)
            down = Traffic(packets: use.packetsDown, bytes: use.bytesDown)
        }
    }

    struct Uncounted: Encodable {
        var notIP: Int
        var badHeaders: Int
        var others: Int
        var internalPackets: Int
        var outside: Int
    }

    var capture: String
    var device: [String]
    var endsInsidePacket: Bool
    var outOfOrder: Int
    var uncounted: Uncounted
    var whole: Use
    var timeline: [Use]

    init(_ report: RadioReport) {
        capture = report.capture
        device = report.addresses.map(\.description)
        endsInsidePacket = report.isCut
        outOfOrder = report.traffic.outOfOrder
        uncounted = Uncounted(
            notIP: report.traffic.notIP, badHeaders: report.traffic.badHeaders, others: report.part.others,
            internalPackets: report.part.internalPackets, outside: report.run.packetsOutside)
        whole = Use(report.run.whole, report.units)
        timeline = report.run.stretches.map { Use($0, report.units) }
    }

    func text() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
