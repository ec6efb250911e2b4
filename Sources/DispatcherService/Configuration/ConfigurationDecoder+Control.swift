import DispatcherCore
import Yams

/// What moves a limit: the key `control`, a mapping with a shape of its own.
extension ConfigurationDecoder {
    /// The kind of a band's ends, by the metric that is held. Rates are whole numbers a second.
    static func kind(of metric: Metric) -> ConfigurationKey.Kind {
        switch metric {
        case .averageResponseTime, .maximumResponseTime: .duration
        case .throughput: .rate
        case .requestRate, .packetThroughput, .reported: .count(0...Int.max)
        }
    }

    private static let metrics = Metric.allCases.map(\.rawValue).sorted()

    /// - Parameter isTunnels: whether it is that of the tunnel limit, which only what the server reports may move.
    /// - Returns: `fixed` when it is left out, or wrong and reported.
    func control(_ section: ConfigurationSection, isTunnels: Bool = false) -> LimitControl {
        guard let node = section.node("control") else { return .fixed }
        let line = section.line(of: "control")
        let path = "\(section.path).control"
        if case .scalar(let scalar) = node, scalar.string == "fixed" { return .fixed }
        let kinds: [String] = ["hold", "optimise", "stored"]
        guard case .mapping(let mapping) = node, let first = mapping.first(where: { kinds.contains($0.key.shown) })?.key.shown else {
            problems.report(line, "\(path): \(node.shown) is not fixed, { hold: ... }, { optimise: throughput } or { stored: ... }")
            return .fixed
        }
        let allowed = first == "optimise" ? ["optimise"] : ["hold", "from", "to", "stored"]
        for (name, _) in mapping where !allowed.contains(name.shown) {
            problems.report(name.mark?.line ?? line, "unknown key: \(path).\(name.shown)")
            return .fixed
        }
        if first == "optimise" {
            guard mapping["optimise"]?.shown == "throughput" else {
                problems.report(line, "\(path): \(node.shown) is not { optimise: throughput }")
                return .fixed
            }
            if isTunnels { return notForTunnels(node, path, line) }
            return .optimiseThroughput
        }
        guard let found = stored(mapping, path, line), let held = hold(mapping, path, line, maximum: section.number("maximum")) else {
            return .fixed
        }
        let control: LimitControl
        switch (found.value, held.value) {
        case (let stored?, let (metric, low, high)?):
            control = .storedHolding(raiseAbove: stored.above, lowerBelow: stored.below, metric, low: low, high: high)
        case (let stored?, nil): control = .stored(raiseAbove: stored.above, lowerBelow: stored.below)
        case (nil, let (metric, low, high)?): control = .hold(metric, low: low, high: high)
        case (nil, nil): control = .fixed
        }
        if let fault = control.fault {
            problems.report(line, "\(path): \(fault)")
            return .fixed
        }
        if isTunnels, control.metric != .reported || found.value != nil { return notForTunnels(node, path, line) }
        return control
    }

    private func notForTunnels(_ node: Node, _ path: String, _ line: Int) -> LimitControl {
        problems.report(line, "\(path): \(node.shown) says nothing about tunnels; it is fixed or { hold: reported, from:, to: }")
        return .fixed
    }

    /// A part that may be missing: nil where it is.
    private struct Part<Value> { var value: Value? }

    /// - Returns: nil when it is wrong, and reported.
    private func stored(_ mapping: Node.Mapping, _ path: String, _ line: Int) -> Part<(above: Int, below: Int)>? {
        guard let node = mapping["stored"] else { return Part() }
        var numbers: [String: Int] = [:]
        guard case .mapping(let inner) = node else {
            problems.report(node.mark?.line ?? line, "\(path).stored: this must be { raise-above: N, lower-below: N }")
            return nil
        }
        for (name, value) in inner {
            guard ["raise-above", "lower-below"].contains(name.shown) else {
                problems.report(name.mark?.line ?? line, "unknown key: \(path).stored.\(name.shown)")
                return nil
            }
            guard let number = Int(value.shown), (0...1_000_000).contains(number) else {
                problems.report(
                    value.mark?.line ?? line, "\(path).stored.\(name.shown): \(value.shown) is not a number from 0 to 1000000")
                return nil
            }
            numbers[name.shown] = number
        }
        guard let above = numbers["raise-above"], let below = numbers["lower-below"] else {
            problems.report(node.mark?.line ?? line, "\(path).stored: raise-above and lower-below are both needed")
            return nil
        }
        guard below <= above else {
            problems.report(node.mark?.line ?? line, "\(path).stored: lower-below \(below) is more than raise-above \(above)")
            return nil
        }
        return Part(value: (above, below))
    }

    /// - Returns: nil when it is wrong, and reported.
    private func hold(_ mapping: Node.Mapping, _ path: String, _ line: Int, maximum: Int) -> Part<(Metric, Double?, Double?)>? {
        guard let node = mapping["hold"] else {
            guard let end = mapping["from"] ?? mapping["to"] else { return Part() }
            problems.report(end.mark?.line ?? line, "\(path): a band needs the metric that it holds (hold:)")
            return nil
        }
        guard let metric = Metric(rawValue: node.shown) else {
            problems.report(line, "\(path): \(node.shown) is not one of \(Self.metrics.joined(separator: ", "))")
            return nil
        }
        let from = mapping["from"]
        let to = mapping["to"]
        guard from != nil || to != nil else {
            problems.report(line, "\(path): the band has neither from nor to")
            return nil
        }
        var ends: [Double?] = []
        for end in [from, to] {
            guard let end else {
                ends.append(nil)
                continue
            }
            do throws(ConfigurationValue.Misread) {
                ends.append(Self.figure(try ConfigurationValue(end.shown, as: Self.kind(of: metric))))
            } catch {
                problems.report(end.mark?.line ?? line, "\(path): \(error.reason)")
                return nil
            }
        }
        if let low = ends[0], let high = ends[1] {
            guard low < high else {
                problems.report(
                    from?.mark?.line ?? line, "\(path): the band cannot hold, from \(from!.shown) is not below to \(to!.shown)")
                return nil
            }
            // One connection more or less moves what rises with their number by as much.
            let narrowest = 1 + 2 / Double(max(maximum, 1))
            guard !metric.risesWithLoad || metric == .reported || high / low >= narrowest else {
                problems.report(
                    from?.mark?.line ?? line,
                    "\(path): the band cannot hold, one connection of \(maximum) moves the metric by more than from \(from!.shown) to \(to!.shown); make it wider"
                )
                return nil
            }
        }
        return Part(value: (metric, ends[0], ends[1]))
    }

    /// In the metric's unit: seconds, bytes a second, or a number.
    static func figure(_ value: ConfigurationValue) -> Double? {
        switch value {
        case .number(let number): Double(number)
        case .interval(let interval): Double(interval.nanoseconds) / 1e9
        default: nil
        }
    }
}
