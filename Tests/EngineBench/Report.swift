import CallCounts

/// What a run has found, as one JSON object.
enum Report {
    static func replay(_ name: String, _ exchanges: Int, _ session: borrowing Session) -> String {
        let sorted = session.pace.sorted()
        return object(
            [
                ("case", "\"\(name)\""), ("exchanges", "\(exchanges)"), ("frames", "\(session.framesMeasured)"),
                ("packets", "\(session.packetsMeasured)"), ("nanoseconds", "\(session.time)"),
                ("best_ns_per_frame", decimal(sorted.first ?? 0)),
                ("median_ns_per_frame", decimal(sorted.isEmpty ? 0 : sorted[sorted.count / 2])),
            ] + counts(session.counts))
    }

    static func counts(_ found: call_counts) -> [(String, String)] {
        [
            ("allocations", "\(found.allocations)"), ("allocated_bytes", "\(found.bytes)"), ("frees", "\(found.frees)"),
            ("objects", "\(found.objects)"), ("retains", "\(found.retains)"), ("releases", "\(found.releases)"),
            ("accesses", "\(found.accesses)"),
        ]
    }

    static func object(_ fields: [(String, String)]) -> String {
        "{" + fields.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
    }

    /// With one digit behind the point.
    static func decimal(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }
}
