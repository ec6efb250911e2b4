import DispatcherCore
import Testing

/// Each injector acts, and only it.
@Suite("Simulator: links")
struct SimulatedLinkTests {
    private static let source = Endpoint(address: IPAddress(v4: 0x0A00_0001), port: 1)
    private static let destination = Endpoint(address: IPAddress(v4: 0x0A00_0002), port: 2)

    private func segment(_ index: Int, size: Int = 1_000) -> [UInt8] {
        var segment = TestSegment(source: Self.source, destination: Self.destination)
        segment.sequence = UInt32(index * size)
        segment.flags = .ack
        segment.payload = Tagged.bytes(UInt32(index), count: size)
        return segment.frame(from: HardwareAddress(bits: 1), to: HardwareAddress(bits: 2))
    }

    private struct Outcome {
        var frames: [SimulatedFrame] = []
        var times: [Instant] = []
        var statistics = SimulatedLink.Statistics()
        var segments: [TestSegment] { frames.compactMap { try? TestSegment(frame: $0.bytes) } }
        var order: [UInt32] { segments.map(\.sequence) }
    }

    private func run(
        count: Int = 1_000, every gap: Interval = .microseconds(10), size: Int = 1_000, seed: UInt64 = 3,
        _ change: (inout Impairments) -> Void
    ) -> Outcome {
        let simulation = Simulation(seed: seed)
        var impairments = Impairments()
        change(&impairments)
        let link = SimulatedLink(simulation, name: "under test", impairments: impairments)
        var frames: [SimulatedFrame] = []
        var times: [Instant] = []
        link.deliver = { frame in
            frames.append(frame)
            times.append(simulation.now)
        }
        for index in 0..<count { simulation.at(Simulation.start + gap * Int64(index)) { link.send(segment(index, size: size)) } }
        simulation.run(for: .seconds(60))
        return Outcome(frames: frames, times: times, statistics: link.statistics)
    }

    @Test("without impairments every frame arrives, in order, after the delay")
    func clean() {
        let outcome = run { $0.delay = .milliseconds(5) }
        #expect(outcome.frames.count == 1_000)
        #expect(outcome.order == outcome.order.sorted())
        #expect(outcome.times[0] == Simulation.start + .milliseconds(5))
        #expect(outcome.frames[17].bytes == segment(17))
    }

    @Test("loss loses about as many as it should")
    func loss() {
        let outcome = run { $0.loss = 0.1 }
        #expect((60...140).contains(outcome.statistics.lost))
        #expect(outcome.frames.count == 1_000 - outcome.statistics.lost)
    }

    @Test("duplication repeats frames")
    func duplication() {
        let outcome = run { $0.duplication = 0.1 }
        #expect((60...140).contains(outcome.statistics.duplicated))
        #expect(outcome.frames.count == 1_000 + outcome.statistics.duplicated)
        #expect(Set(outcome.order).count == 1_000)
    }

    @Test("reordering lets frames overtake each other")
    func reordering() {
        let outcome = run { $0.reordering = 0.1 }
        #expect((60...140).contains(outcome.statistics.reordered))
        #expect(outcome.frames.count == 1_000 && outcome.order != outcome.order.sorted())
    }

    @Test("jitter lets frames overtake each other when it exceeds their distance")
    func jitter() {
        let outcome = run { $0.jitter = .milliseconds(1) }
        #expect(outcome.frames.count == 1_000 && outcome.order != outcome.order.sorted())
        let steady = run(every: .milliseconds(2)) { $0.jitter = .milliseconds(1) }
        #expect(steady.order == steady.order.sorted())
    }

    @Test("corruption breaks a checksum, tampering leaves it right")
    func damage() {
        let corrupted = run { $0.corruption = 0.1 }
        #expect((60...140).contains(corrupted.statistics.corrupted))
        for (index, frame) in corrupted.frames.enumerated() {
            let isSound = (try? TestSegment(frame: frame.bytes))?.checksum == .full
            #expect(isSound == (frame.damage == .none), "frame \(index)")
        }
        let tampered = run { $0.tampering = 0.1 }
        #expect((60...140).contains(tampered.statistics.tampered))
        for (index, frame) in tampered.frames.enumerated() {
            #expect(frame.damage == .none ? frame.bytes == segment(index) : frame.bytes != segment(index))
            // A changed data offset may leave no header to read; all others have right checksums.
            if let segment = try? TestSegment(frame: frame.bytes) { #expect(segment.checksum == .full) }
        }
    }

    @Test("merging joins neighbours into segments of at most 64 KiB that say the same")
    func merging() {
        let outcome = run { impairments in
            impairments.merging = 1
            impairments.mergeWindow = .seconds(1)
        }
        #expect(outcome.statistics.merged > 900)
        #expect(outcome.segments.allSatisfy { $0.payload.count <= SegmentMerger.largestPayload && $0.checksum == .full })
        #expect(outcome.segments.contains { $0.payload.count > 60_000 })
        #expect(outcome.segments.flatMap(\.payload) == (0..<1_000).flatMap { Tagged.bytes(UInt32($0), count: 1_000) })
    }

    @Test("splitting cuts large segments, PSH and FIN on the last piece only")
    func splitting() {
        let outcome = run(count: 5, size: 5_000) { $0.splitSize = 1_460 }
        #expect(outcome.frames.count == 20 && outcome.statistics.split == 15)
        #expect(outcome.segments.flatMap(\.payload) == (0..<5).flatMap { Tagged.bytes(UInt32($0), count: 5_000) })
        var last = TestSegment(source: Self.source, destination: Self.destination)
        last.flags = [.ack, .psh, .fin]
        last.payload = Tagged.bytes(9, count: 3_000)
        let pieces = SegmentMerger.split(last.frame(from: .none, to: .none), payload: 1_460).compactMap { try? TestSegment(frame: $0) }
        #expect(pieces.map(\.flags) == [.ack, .ack, [.ack, .psh, .fin]])
    }

    @Test("a rate spaces frames, and a full queue drops its tail")
    func rate() {
        let outcome = run(count: 100) { impairments in
            impairments.rate = 1_000_000
            impairments.capacity = 10
        }
        #expect(outcome.statistics.overflowed > 50)
        #expect(outcome.statistics.overflowed + outcome.frames.count == 100)
        let gaps = zip(outcome.times, outcome.times.dropFirst()).map { ($1 - $0).nanoseconds }
        #expect(gaps.allSatisfy { $0 >= 1_054_000 })
    }

    @Test("partial checksums hold the pseudo-header's sum")
    func partial() {
        let outcome = run(count: 100) { $0.partialChecksums = 0.5 }
        let kinds = outcome.segments.map(\.checksum)
        #expect(kinds.contains(.full) && kinds.contains(.partial) && !kinds.contains(.bad))
    }

    @Test("a filter loses what it is told to, and calm ends everything")
    func filterAndCalm() {
        let simulation = Simulation(seed: 1)
        var impairments = Impairments()
        impairments.loss = 1
        impairments.calmAfter = .milliseconds(5)
        let link = SimulatedLink(simulation, name: "l", impairments: impairments)
        var delivered = 0
        link.deliver = { _ in delivered += 1 }
        link.filter = { $0.sequence != 20_000 }
        for index in 0..<30 { simulation.at(Simulation.start + .milliseconds(Int64(index))) { link.send(segment(index)) } }
        simulation.run(for: .seconds(1))
        #expect(delivered == 24)
        #expect(link.statistics.filtered == 1 && link.statistics.lost == 5)
    }

    @Test("a capture is a nanosecond pcap of Ethernet frames")
    func capture() {
        var capture = CaptureFile()
        capture.append([1, 2, 3], at: Instant(nanoseconds: 2_000_000_007))
        #expect(capture.bytes.count == 24 + 16 + 3)
        #expect(Array(capture.bytes[..<4]) == [0x4D, 0x3C, 0xB2, 0xA1])
        #expect(capture.bytes[20] == 1)
        #expect(Array(capture.bytes[24..<40]) == [2, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0])
    }
}
