import DispatcherCore
import Yams

extension ConfigurationDecoder {
    /// What a controller may hold, and the kind of its band's ends.
    private static let metrics: [String: ConfigurationKey.Kind] = [
        "request-rate": .count(0...Int.max), "average-response-time": .duration, "maximum-response-time": .duration,
        "throughput": .rate, "packet-throughput": .count(0...Int.max), "reported": .count(0...Int.max),
    ]

    /// `control` is `fixed`; a band is checked although it is not built yet, so that one that cannot hold is told from one that will.
    func checkControl(_ section: ConfigurationSection) {
        guard let node = section.node("control") else { return }
        let line = section.line(of: "control")
        let path = "\(section.path).control"
        if case .scalar(let scalar) = node, scalar.string == "fixed" { return }
        guard case .mapping(let mapping) = node, let kind = mapping.first?.key.string,
            ["hold", "optimise", "stored"].contains(kind)
        else {
            return problems.report(line, "\(path): \(node.shown) is not fixed, { hold: ... }, { optimise: throughput } or { stored: ... }")
        }
        if kind == "hold", !bandHolds(mapping, path, line) { return }
        problems.report(line, "not supported yet: \(path) (\(node.shown))")
    }

    private func bandHolds(_ mapping: Node.Mapping, _ path: String, _ line: Int) -> Bool {
        let metric = mapping["hold"]?.shown ?? ""
        guard let kind = Self.metrics[metric] else {
            problems.report(line, "\(path): \(metric) is not one of \(Self.metrics.keys.sorted().joined(separator: ", "))")
            return false
        }
        for (name, _) in mapping where !["hold", "from", "to"].contains(name.shown) {
            problems.report(name.mark?.line ?? line, "unknown key: \(path).\(name.shown)")
            return false
        }
        let from = mapping["from"]
        let to = mapping["to"]
        guard from != nil || to != nil else {
            problems.report(line, "\(path): the band has neither from nor to")
            return false
        }
        var ends: [ConfigurationValue] = []
        for end in [from, to] {
            guard let end else { continue }
            do throws(ConfigurationValue.Misread) {
                ends.append(try ConfigurationValue(end.shown, as: kind))
            } catch {
                problems.report(end.mark?.line ?? line, "\(path): \(error.reason)")
                return false
            }
        }
        if ends.count == 2, !Self.isBelow(ends[0], ends[1]) {
            problems.report(from?.mark?.line ?? line, "\(path): the band cannot hold, from \(from!.shown) is not below to \(to!.shown)")
            return false
        }
        return true
    }

    private static func isBelow(_ a: ConfigurationValue, _ b: ConfigurationValue) -> Bool {
        switch (a, b) {
        case (.number(let a), .number(let b)): a < b
        case (.interval(let a), .interval(let b)): a < b
        default: false
        }
    }
}
