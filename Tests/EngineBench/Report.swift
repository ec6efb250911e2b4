/// What a run has found, as one JSON object.
enum Report {
    static func replay(_ name: String, _ exchanges: Int, _ session: borrowing Session) -> String {
        let sorted = session.pace.sorted()
        return object([
            ("case", "\"\(name)\""), ("exchanges", "\(exchanges)"), ("frames", "\(session.framesMeasured)"),
            ("packets", "\(session.packetsMeasured)"), ("nanoseconds", "\(session.time)"),
            ("best_ns_per_frame", decimal(sorted.first ?? 0)), ("median_ns_per_frame", decimal(sorted.isEmpty ? 0 : sorted[sorted.count / 2])),
            ("allocations", "\(session.counts.allocations)"), ("allocated_bytes", "\(session.counts.bytes)"),
            ("frees", "\(session.counts.frees)"), ("objects", "\(session.counts.objects)"),
            ("retains", "\(session.counts.retains)"), ("releases", "\(session.counts.releases)"),
            ("accesses", "\(session.counts.accesses)"),
        ])
    }

    static func object(_ fields: [(String, String)]) -> String {
        "{" + fields.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
    }

    /// With one digit behind the point.
    static func decimal(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
