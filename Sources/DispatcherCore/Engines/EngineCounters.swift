/// The counters of an engine in one piece of plain memory; `export` makes the public form.
struct EngineCounters: ~Copyable {
    private let cells: UnsafeMutablePointer<UInt64>
    private static let drops = DropReason.allCases.count
    private static let kinds = EmissionKind.allCases.count
    private static let refusals = RefusalReason.allCases.count
    private static let requestFaults = RequestFault.allCases.count
    private static let responseFaults = ResponseFault.allCases.count
    private static let deliveries = Delivery.allCases.count
    // Per side: frames in, consumed, forwarded, drops, emissions, retransmissions, lost in the egress. Then refusals, faults, deliveries.
    private static let side = 3 + drops + 2 * kinds + 1
    private static let total = 2 * side + refusals + requestFaults + responseFaults + deliveries

    var repeatedRequests: UInt64 = 0
    var streamedRequests: UInt64 = 0
    var overLimit: UInt64 = 0
    var recordsLost: UInt64 = 0
    var eventsLost: UInt64 = 0
    var answersOmitted: UInt64 = 0
    var idleEvictions: UInt64 = 0
    var halfOpenExpired: UInt64 = 0
    var idleExpired: UInt64 = 0
    var closedForgotten: UInt64 = 0
    var resetsWithheld: UInt64 = 0

    init() {
        cells = .allocate(capacity: Self.total)
        cells.initialize(repeating: 0, count: Self.total)
    }

    deinit { cells.deallocate() }

    private func base(_ side: Side) -> Int { Int(side.rawValue) * Self.side }

    func frameIn(_ side: Side) { cells[base(side)] &+= 1 }

    func note(_ outcome: FrameOutcome, _ side: Side) {
        switch outcome {
        case .consumed: cells[base(side) + 1] &+= 1
        case .forwarded: cells[base(side) + 2] &+= 1
        case .dropped(let reason): cells[base(side) + 3 + Int(reason.rawValue)] &+= 1
        }
    }

    func emitted(_ kind: EmissionKind, _ side: Side) { cells[base(side) + 3 + Self.drops + Int(kind.rawValue)] &+= 1 }
    func retransmitted(_ kind: EmissionKind, _ side: Side) {
        cells[base(side) + 3 + Self.drops + Self.kinds + Int(kind.rawValue)] &+= 1
    }
    func lostInEgress(_ side: Side) { cells[base(side) + Self.side - 1] &+= 1 }
    func refused(_ reason: RefusalReason) { cells[2 * Self.side + Int(reason.rawValue)] &+= 1 }
    func delivered(_ way: Delivery) { cells[Self.total - Self.deliveries + Int(way.rawValue)] &+= 1 }
    func fault(_ fault: RequestFault) { cells[2 * Self.side + Self.refusals + Int(fault.rawValue)] &+= 1 }
    func fault(_ fault: ResponseFault) { cells[2 * Self.side + Self.refusals + Self.requestFaults + Int(fault.rawValue)] &+= 1 }

    func export() -> Counters {
        var out = Counters()
        for side in Side.allCases {
            let index = Int(side.rawValue)
            let at = base(side)
            out.framesIn[index] = cells[at]
            out.consumed[index] = cells[at + 1]
            out.forwarded[index] = cells[at + 2]
            out.egressLost[index] = cells[at + Self.side - 1]
            for reason in 0..<Self.drops { out.dropped[index][reason] = cells[at + 3 + reason] }
            for kind in 0..<Self.kinds {
                out.emitted[index][kind] = cells[at + 3 + Self.drops + kind]
                out.retransmitted[index][kind] = cells[at + 3 + Self.drops + Self.kinds + kind]
            }
        }
        var at = 2 * Self.side
        for reason in 0..<Self.refusals { out.refused[reason] = cells[at + reason] }
        at += Self.refusals
        for fault in RequestFault.allCases { out.requestFaults.append(("\(fault.label)", cells[at + Int(fault.rawValue)])) }
        at += Self.requestFaults
        for fault in ResponseFault.allCases { out.responseFaults.append(("\(fault.label)", cells[at + Int(fault.rawValue)])) }
        for way in 0..<Self.deliveries { out.deliveries[way] = cells[Self.total - Self.deliveries + way] }
        out.repeatedRequests = repeatedRequests
        out.streamedRequests = streamedRequests
        out.overLimit = overLimit
        out.recordsLost = recordsLost
        out.eventsLost = eventsLost
        out.answersOmitted = answersOmitted
        out.idleEvictions = idleEvictions
        out.halfOpenExpired = halfOpenExpired
        out.idleExpired = idleExpired
        out.closedForgotten = closedForgotten
        out.resetsWithheld = resetsWithheld
        return out
    }
}

/// What became of a frame.
enum FrameOutcome {
    case consumed
    case forwarded
    case dropped(DropReason)
}
