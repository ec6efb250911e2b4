import DispatcherCore

/// What a link does to frames in one direction. All chances are from 0 to 1.
struct Impairments {
    /// The least time that a frame takes, and how much more at most (uniform): frames overtake each other when this is larger than their distance.
    var delay = Interval.microseconds(50)
    var jitter = Interval.zero
    var loss = 0.0
    var duplication = 0.0
    /// The chance that a frame is held back by up to `reorderingDelay`.
    var reordering = 0.0
    var reorderingDelay = Interval.milliseconds(2)
    var corruption = 0.0
    var tampering = 0.0
    /// The chance that a data segment waits up to `mergeWindow` for its successors and becomes one segment with them (GRO).
    var merging = 0.0
    var mergeWindow = Interval.microseconds(100)
    /// Segments with more payload than this are cut (what a device does with a large send); 0 = never.
    var splitSize = 0
    /// The chance that a frame arrives with the pseudo-header's sum only, as over veth.
    var partialChecksums = 0.0
    /// Bytes a second; 0 = no bound.
    var rate = 0
    /// Frames that may wait for the rate; further ones are dropped.
    var capacity = 1_000
    /// The chance that with a frame a stall begins, of up to `stallTime`: what is sent meanwhile leaves at its end.
    var stalling = 0.0
    var stallTime = Interval.seconds(2)
    /// When the chances above end, as virtual time since the start; nil = never.
    var calmAfter: Interval?

    /// Nothing is lost, comes twice, late or damaged any more.
    mutating func makeClean() {
        (loss, duplication, reordering, corruption, tampering, stalling) = (0, 0, 0, 0, 0, 0)
        jitter = .zero
        rate = 0
    }

    /// A lossless link with a delay.
    static func clean(_ delay: Interval = .microseconds(50)) -> Impairments {
        var impairments = Impairments()
        impairments.delay = delay
        return impairments
    }
}

/// One direction of a link.
final class SimulatedLink {
    struct Statistics: Equatable {
        var sent = 0, delivered = 0, lost = 0, duplicated = 0, reordered = 0, corrupted = 0, tampered = 0, overflowed = 0, filtered = 0
        /// Frames that vanished into another one, and extra frames that came out of one.
        var merged = 0, split = 0
    }

    let simulation: Simulation
    let name: String
    var impairments: Impairments
    var deliver: (SimulatedFrame) -> Void = { _ in }
    /// Scripted interference: return false to lose the frame.
    var filter: ((TestSegment) -> Bool)?
    private(set) var statistics = Statistics()
    private var random: SimulationRandom
    private var busyUntil = Instant.distantPast
    private var stalledUntil = Instant.distantPast
    private var waiting = 0
    /// Whether everything is lost, until it is set back: a cable that was pulled.
    var isCut = false
    private var merge: SegmentMerger?
    private let mergeTimer: SimulationTimer

    init(_ simulation: Simulation, name: String, impairments: Impairments) {
        self.simulation = simulation
        self.name = name
        self.impairments = impairments
        random = simulation.random.fork("link \(name)")
        mergeTimer = SimulationTimer(simulation)
        mergeTimer.action = { [weak self] in self?.flushMerge() }
    }

    private var isCalm: Bool { impairments.calmAfter.map { simulation.elapsed >= $0 } ?? false }

    func send(_ bytes: [UInt8]) {
        statistics.sent += 1
        if isCut {
            statistics.lost += 1
            return
        }
        if let filter, let segment = try? TestSegment(frame: bytes), !filter(segment) {
            statistics.filtered += 1
            return
        }
        let pieces = SegmentMerger.split(bytes, payload: impairments.splitSize)
        statistics.split += pieces.count - 1
        for piece in pieces { transmit(SimulatedFrame(bytes: piece)) }
    }

    private func transmit(_ frame: SimulatedFrame) {
        var departure = simulation.now
        if impairments.rate > 0 {
            guard waiting < impairments.capacity else {
                statistics.overflowed += 1
                return
            }
            waiting += 1
            let time = Interval(nanoseconds: Int64(frame.bytes.count) * 1_000_000_000 / Int64(impairments.rate))
            departure = max(departure, busyUntil) + time
            busyUntil = departure
            simulation.at(departure) { [self] in waiting -= 1 }
        }
        guard !isCalm else {
            arrive(frame, at: departure + impairments.delay)
            return
        }
        if random.chance(impairments.loss) {
            statistics.lost += 1
            return
        }
        if random.chance(impairments.stalling) {
            stalledUntil = simulation.now + Interval(nanoseconds: Int64(random.below(Int(impairments.stallTime.nanoseconds))))
        }
        departure = max(departure, stalledUntil)
        var frame = frame
        if random.chance(impairments.corruption) { damage(&frame, repair: false) }
        if random.chance(impairments.tampering) { damage(&frame, repair: true) }
        if frame.damage == .none, random.chance(impairments.partialChecksums) { SegmentMerger.makePartial(&frame.bytes) }
        arrive(frame, at: departure + pathDelay())
        if random.chance(impairments.duplication) {
            statistics.duplicated += 1
            arrive(frame, at: departure + pathDelay())
        }
    }

    private func pathDelay() -> Interval {
        var delay = impairments.delay
        if impairments.jitter > .zero { delay = delay + Interval(nanoseconds: Int64(random.below(Int(impairments.jitter.nanoseconds)))) }
        if random.chance(impairments.reordering) {
            statistics.reordered += 1
            delay = delay + Interval(nanoseconds: Int64(random.below(Int(impairments.reorderingDelay.nanoseconds))))
        }
        return delay
    }

    /// Flips one bit of the IP packet; with `repair`, one of the TCP header or payload, and both checksums are made good. Of an IPv6 header
    /// only the addresses are under a checksum.
    private func damage(_ frame: inout SimulatedFrame, repair: Bool) {
        guard let tcp = frame.tcpOffset, frame.damage == .none else { return }
        let isIPv4 = tcp == 34
        let length = isIPv4 ? 16 : 18
        let end = (isIPv4 ? 14 : 54) + (Int(frame.bytes[length]) << 8 | Int(frame.bytes[length + 1]))
        let first = repair ? tcp + 4 : isIPv4 ? 14 : 22
        let at = first + random.below(end - first)
        frame.bytes[at] ^= 1 << UInt8(random.below(8))
        if repair {
            SegmentMerger.repairChecksum(&frame.bytes)
            frame.damage = .tampered
            statistics.tampered += 1
        } else {
            frame.damage = .corrupted
            statistics.corrupted += 1
        }
    }

    private func arrive(_ frame: SimulatedFrame, at time: Instant) {
        simulation.at(time) { [self] in
            guard impairments.merging > 0 || merge != nil else { return hand(frame) }
            if merge != nil {
                if merge!.append(frame) {
                    statistics.merged += 1
                    if merge!.isComplete { flushMerge() }
                    return
                }
                flushMerge()
            }
            if !isCalm, frame.damage == .none, let started = SegmentMerger(frame), random.chance(impairments.merging) {
                merge = started
                mergeTimer.arm(after: impairments.mergeWindow)
            } else {
                hand(frame)
            }
        }
    }

    private func flushMerge() {
        mergeTimer.cancel()
        guard let pending = merge else { return }
        merge = nil
        hand(SimulatedFrame(bytes: pending.frame()))
    }

    private func hand(_ frame: SimulatedFrame) {
        statistics.delivered += 1
        deliver(frame)
    }
}
