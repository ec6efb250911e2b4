import ArgumentParser
import Foundation
import Lab
import PacketIO
import RadioModel

/// `sluice radio`: what a device's traffic costs its radio, by the states of chapter 2.
struct RadioCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "radio", abstract: "Compute time and relative units in the radio states of a 3G device from a capture of its traffic.",
        discussion: """
            The capture (pcap or pcapng; - is standard input) may be of Ethernet, raw IP or Linux cooked frames, and may hold only the \
            headers. Times are seconds, or have a unit: 30, 0.5s, 4m, 24h, 1d. docs/radio.md explains the model.
            """)

    @Argument(help: ArgumentHelp("File with the traffic of one device.", valueName: "capture")) var capture: String

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Address of the device; once for each that it has (default: the one address that has a part in every packet).",
            valueName: "address"))
    var device: [String] = []

    @OptionGroup(title: "What counts") var window: RadioWindow
    @OptionGroup(title: "The network's rules") var network: RadioNetworkOptions

    @Option(help: ArgumentHelp("What a second in each state costs.", valueName: "state=units,..."))
    var units = "idle=1,pch=2,fach=40,dch=100"

    @Option(help: ArgumentHelp("Also show each part of this length by itself, for example 1h.", valueName: "time")) var timeline: String?
    @Flag(help: "Print one JSON object.") var json = false

    func validate() throws {
        _ = try addresses()
        _ = try network.rules()
        _ = try relativeUnits()
        _ = try stretch()
        try window.check()
    }

    func run() throws {
        do {
            let report = try report()
            for remark in report.remarks { Output.remark(remark) }
            Output.line(json ? try RadioJSON(report).text() : RadioTable(report).lines.joined(separator: "\n"))
        } catch let error as CaptureError {
            throw LabError("\(error)")
        } catch let error as RadioError {
            throw LabError("\(capture): \(error)")
        }
    }

    private func report() throws -> RadioReport {
        let file = try SavedCapture(path: capture)
        guard let link = LinkLayer(dataLink: file.dataLink) else {
            throw RadioError("its frames are of \(file.dataLinkName), which is not read; capture as one of: \(LinkLayer.known)")
        }
        var traffic = CapturedTraffic(link: link)
        while let frame = try file.next() {
            traffic.add(frame.bytes, length: frame.originalLength, at: .nanoseconds(frame.at.nanoseconds))
        }
        guard file.count > 0 else { throw RadioError(file.isCut ? "it is cut inside its first packet" : "it has no packet at all") }
        let given = try addresses()
        let addresses = given.isEmpty ? [try traffic.device()] : given
        let part = try traffic.part(of: Set(addresses))
        let first = part.packets[0].at
        let from = window.from?.instant(after: first) ?? first
        let until = try window.end(from: from, first: first)
        let run = try RadioRun(part.packets, rules: try network.rules(), from: from, until: until, stretch: try stretch())
        return RadioReport(
            capture: capture, isCut: file.isCut, frames: file.count, traffic: traffic, addresses: addresses, part: part, run: run,
            units: try relativeUnits())
    }

    private func addresses() throws -> [NetworkAddress] {
        try device.map { text in
            guard let address = NetworkAddress(text) else {
                throw ValidationError("--device \(text): must be a literal address, such as 10.0.0.2 or 2001:db8::2")
            }
            return address
        }
    }

    private func relativeUnits() throws -> RadioUnits {
        do { return try RadioUnits(parsing: units) } catch { throw ValidationError("--units: \(error)") }
    }

    private func stretch() throws -> Duration? {
        guard let timeline else { return nil }
        let length = try RadioNetworkOptions.time(timeline, option: "--timeline")
        guard length > .zero else { throw ValidationError("--timeline \(timeline): must be more than 0") }
        return length
    }
}

/// From when until when it counts.
struct RadioWindow: ParsableArguments {
    @Option(
        help: ArgumentHelp("From then on: 2026-01-31T12:00:00Z, or +10m after the first packet (default: from it).", valueName: "instant"))
    var from: RadioInstant?
    @Option(
        help: ArgumentHelp(
            "Until then, also past the last packet (default: until the radio is IDLE again after it).", valueName: "instant"))
    var until: RadioInstant?
    @Option(help: ArgumentHelp("Instead of --until: so long, for example 24h.", valueName: "time")) var duration: String?

    func check() throws {
        guard until == nil || duration == nil else { throw ValidationError("--until and --duration say the same: give one") }
        if let duration, try RadioNetworkOptions.time(duration, option: "--duration") <= .zero {
            throw ValidationError("--duration \(duration): must be more than 0")
        }
    }

    func end(from: Duration, first: Duration) throws -> Duration? {
        if let duration { return from + (try RadioNetworkOptions.time(duration, option: "--duration")) }
        return until?.instant(after: first)
    }
}

/// An instant of a capture.
enum RadioInstant: ExpressibleByArgument {
    /// Since 1970.
    case absolute(Duration)
    /// Since the first packet of the device.
    case relative(Duration)

    init?(argument: String) {
        if argument.hasPrefix("+") {
            guard let time = Duration(parsing: argument.dropFirst()) else { return nil }
            self = .relative(time)
        } else {
            let plain = Date.ISO8601FormatStyle()
            guard
                let date = (try? plain.parse(argument)) ?? (try? Date.ISO8601FormatStyle(includingFractionalSeconds: true).parse(argument))
            else { return nil }
            self = .absolute(.milliseconds(Int64((date.timeIntervalSince1970 * 1_000).rounded())))
        }
    }

    func instant(after first: Duration) -> Duration {
        switch self {
        case .absolute(let instant): instant
        case .relative(let time): first + time
        }
    }
}

/// The network's timers and thresholds.
struct RadioNetworkOptions: ParsableArguments {
    private static let standard = NetworkRules()

    @Option(help: ArgumentHelp("T1: DCH without traffic becomes FACH (the source: 5 to 20 s).", valueName: "time"))
    var t1 = standard.t1.secondsText
    @Option(help: ArgumentHelp("T2: FACH without traffic becomes PCH (the source: 30 s).", valueName: "time"))
    var t2 = standard.t2.secondsText
    @Option(help: ArgumentHelp("T3: PCH becomes IDLE (the source: longer than T1 and T2).", valueName: "time"))
    var t3 = standard.t3.secondsText
    @Flag(help: "The network has no PCH: T2 leads from FACH to IDLE.") var noPch = false
    @Option(help: ArgumentHelp("The device asks to be released so long after its last traffic (default: never).", valueName: "time"))
    var fastDormancy: String?
    @Option(help: ArgumentHelp("More than this in one direction is too much for FACH; one number, or UP/DOWN.", valueName: "bytes"))
    var dchThreshold = "\(standard.thresholdUp)"
    @Option(help: ArgumentHelp("Bytes a second that FACH carries in each direction.", valueName: "bytes")) var fachRate = standard.fachRate
    @Option(help: ArgumentHelp("Where traffic leads from IDLE: by its size, or always to one.", valueName: "size|fach|dch"))
    var idleTo = standard.idlePromotion.rawValue
    @Option(help: ArgumentHelp("What it takes to leave IDLE (the source: near 2 s).", valueName: "time"))
    var idleDelay = standard.idleDelay.secondsText

    func rules() throws -> NetworkRules {
        var rules = NetworkRules()
        rules.t1 = try Self.time(t1, option: "--t1")
        rules.t2 = try Self.time(t2, option: "--t2")
        rules.t3 = try Self.time(t3, option: "--t3")
        rules.hasPCH = !noPch
        rules.fastDormancy = try fastDormancy.map { try Self.time($0, option: "--fast-dormancy") }
        let thresholds = dchThreshold.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
        guard (1...2).contains(thresholds.count), let up = thresholds[0], let down = thresholds[thresholds.count - 1] else {
            throw ValidationError("--dch-threshold \(dchThreshold): must be bytes, such as 512, or UP/DOWN, such as 540/475")
        }
        (rules.thresholdUp, rules.thresholdDown) = (up, down)
        rules.fachRate = fachRate
        guard let promotion = NetworkRules.IdlePromotion(rawValue: idleTo) else {
            throw ValidationError("--idle-to \(idleTo): must be one of size, fach, dch")
        }
        rules.idlePromotion = promotion
        rules.idleDelay = try Self.time(idleDelay, option: "--idle-delay")
        do { try rules.check() } catch { throw ValidationError("\(error)") }
        return rules
    }

    static func time(_ text: String, option: String) throws -> Duration {
        guard let time = Duration(parsing: text) else {
            throw ValidationError("\(option) \(text): must be seconds, or a number with s, m, h or d, such as 30, 0.5s, 24h")
        }
        return time
    }
}
