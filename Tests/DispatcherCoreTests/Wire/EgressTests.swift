import Testing

@testable import DispatcherCore

@Suite("Wire: egress and splitter")
struct EgressTests {
    private static let source = Endpoint(address: IPAddress("10.77.1.100")!, port: 80)
    private static let destination = Endpoint(address: IPAddress("10.77.1.11")!, port: 40_000)

    private func outgoing(_ flags: TCPFlags = .ack, segmentSize: Int = 1_460) -> OutgoingSegment {
        OutgoingSegment(
            side: .client, source: Self.source, destination: Self.destination, sequence: SequenceNumber(0xFFFF_FF00),
            acknowledgement: SequenceNumber(77), flags: flags, window: 1_000, segmentSize: segmentSize)
    }

    private func read(_ packet: [UInt8], strict: Bool = true) throws(FrameFault) -> TestSegment {
        try TestSegment(
            frame: [UInt8](repeating: 0, count: 12) + (packet[0] >> 4 == 4 ? [0x08, 0x00] : [0x86, 0xDD]) + packet, strict: strict)
    }

    private func packets(_ egress: borrowing Egress) -> [[UInt8]] {
        (0..<egress.count).map { Array(UnsafeRawBufferPointer(egress.bytes(of: egress[$0]))) }
    }

    @Test("segments are written as an independent reader wants them")
    func segments() throws {
        var egress = Egress(packets: 16, bytes: 1 << 20)
        var syn = outgoing([.syn, .ack])
        syn.maximumSegmentSize = 1_460
        var taken = egress.append(syn, payload: UnsafeRawBufferPointer(start: nil, count: 0))
        var random = SimulationRandom(seed: 1)
        for size in [0, 1, 2, 3, 535, 1_459, 1_460] {
            let payload = random.bytes(size)
            var known = outgoing([.ack, .psh])
            known.payloadSum = TestChecksum.fold(TestChecksum.sum(payload[...]))
            payload.withUnsafeBytes { bytes in
                taken = egress.append(outgoing([.ack, .psh]), payload: bytes) && taken
                taken = egress.append(known, payload: bytes) && taken
            }
        }
        taken = egress.append(outgoing(.rst), payload: UnsafeRawBufferPointer(start: nil, count: 0)) && taken
        #expect(taken)
        let all = packets(egress)
        #expect(all.count == 16)
        for packet in all {
            let segment = try read(packet)
            #expect(segment.source == Self.source && segment.destination == Self.destination && segment.sequence == 0xFFFF_FF00)
        }
        #expect(try read(all[0]).maximumSegmentSize == 1_460)
        #expect(try read(all[15]).acknowledgement == 0)
        #expect(stride(from: 1, to: 15, by: 2).allSatisfy { all[$0] == all[$0 + 1] })
    }

    @Test("a checksum is left to whoever sends, unless a verified one gives it")
    func leftChecksums() throws {
        var egress = Egress(packets: 16, bytes: 1 << 20, leavesChecksums: true)
        var random = SimulationRandom(seed: 3)
        let payload = random.bytes(1_000)
        var known = outgoing()
        known.payloadSum = TestChecksum.fold(TestChecksum.sum(payload[...]))
        payload.withUnsafeBytes { bytes in
            _ = egress.append(outgoing(), payload: bytes)
            _ = egress.append(known, payload: bytes)
            known.segmentSize = 500
            _ = egress.append(known, payload: bytes)
        }
        #expect((0..<3).map { egress[$0].isChecksumPartial } == [true, false, true])
        let all = packets(egress)
        #expect(throws: FrameFault.self) { _ = try read(all[0]) }
        #expect(throws: Never.self) { _ = try read(all[1]) }
    }

    @Test("E27 every packet has DF, TTL 64, identification 0, its own length, and no ECN mark", arguments: [0, 1, 1_460, 20_000])
    func internetHeader(size: Int) {
        var egress = Egress(packets: 4, bytes: 1 << 20)
        let taken = [UInt8](repeating: 7, count: size).withUnsafeBytes { egress.append(outgoing(), payload: $0) }
        #expect(taken)
        let whole = packets(egress)[0]
        var all = [whole]
        whole.withUnsafeBytes { bytes in
            let splitter = SegmentSplitter(packet: bytes, segmentSize: 1_000)
            withUnsafeTemporaryAllocation(byteCount: SegmentSplitter.largestHeader, alignment: 8) { header in
                for piece in 0..<splitter.count where size > 0 {
                    let (length, payload) = splitter.writeHeader(of: piece, into: header.baseAddress!)
                    all.append(Array(header[..<length]) + Array(payload))
                }
            }
        }
        for packet in all {
            #expect(packet[0] == 0x45 && packet[1] == 0 && packet[8] == 64)
            #expect(Int(packet[2]) << 8 | Int(packet[3]) == packet.count)
            #expect(packet[4..<8].elementsEqual([0, 0, 0x40, 0]))
            #expect(TestChecksum.fold(TestChecksum.sum(packet[0..<20])) == 0xFFFF)
        }
    }

    @Test("M05 a large segment cut by the splitter is the same stream", arguments: [1, 48, 536, 1_000, 1_460, 9_000])
    func splitter(size: Int) throws {
        var random = SimulationRandom(seed: 2)
        for length in [0, 1, 47, 48, 49, 1_460, 1_461, 20_000, 65_495] where length < 5_000 || size > 40 {
            var egress = Egress(packets: 4, bytes: 1 << 20)
            let payload = random.bytes(length)
            payload.withUnsafeBytes { _ = egress.append(outgoing([.ack, .psh, .fin], segmentSize: size), payload: $0) }
            let whole = UnsafeRawBufferPointer(egress.bytes(of: egress[0]))
            let splitter = SegmentSplitter(packet: whole, segmentSize: egress[0].segmentSize)
            #expect(splitter.count == max(1, (length + size - 1) / size))
            var stream: [UInt8] = []
            for index in 0..<splitter.count {
                let piece = withUnsafeTemporaryAllocation(byteCount: SegmentSplitter.largestHeader, alignment: 8) { header in
                    let (count, payload) = splitter.writeHeader(of: index, into: header.baseAddress!)
                    return Array(header[..<count]) + Array(payload)
                }
                // FIN beside PSH is what was asked for; the reader's other rules hold.
                let segment = try read(piece)
                #expect(segment.sequence == 0xFFFF_FF00 &+ UInt32(stream.count) && segment.payload.count <= size)
                #expect(segment.flags == (index == splitter.count - 1 ? [.ack, .psh, .fin] : .ack))
                stream += segment.payload
            }
            #expect(stream == payload)
        }
    }

    @Test("IPv6: header, checksums known, computed and left, cut and whole", arguments: [20, 1_000, 1_440, 9_000])
    func six(size: Int) throws {
        let source = Endpoint(address: IPAddress("fd77:1::100")!, port: 80)
        let destination = Endpoint(address: IPAddress("2001:db8:ffff::11")!, port: 40_000)
        var random = SimulationRandom(seed: 5)
        for length in [0, 1, 2, 19, 999, 1_439, 1_440, 1_441, 20_000, 65_475] where length < 5_000 || size > 40 {
            let payload = random.bytes(length)
            var segment = OutgoingSegment(
                side: .client, source: source, destination: destination, sequence: SequenceNumber(0xFFFF_FF00),
                acknowledgement: SequenceNumber(77), flags: [.ack, .psh, .fin], window: 1_000, segmentSize: size)
            #expect(segment.mostPayload == 65_475)
            var egress = Egress(packets: 4, bytes: 1 << 20)
            var lazy = Egress(packets: 4, bytes: 1 << 20, leavesChecksums: true)
            let taken = payload.withUnsafeBytes { bytes in
                let plain = egress.append(segment, payload: bytes) && lazy.append(segment, payload: bytes)
                segment.payloadSum = TestChecksum.fold(TestChecksum.sum(payload[...]))
                return plain && egress.append(segment, payload: bytes)
            }
            #expect(taken)
            let (all, left) = (packets(egress), packets(lazy))
            #expect(all[0] == all[1])
            #expect(try read(all[0], strict: false).checksum == (length > size ? .partial : .full))
            #expect(try read(left[0], strict: false).checksum == .partial)
            // Version, class and label; the length behind the header; TCP; hop limit 64.
            #expect(Array(all[0][..<8]) == [0x60, 0, 0, 0, UInt8((length + 20) >> 8), UInt8((length + 20) & 255), 6, 64])
            let whole = UnsafeRawBufferPointer(egress.bytes(of: egress[0]))
            let splitter = SegmentSplitter(packet: whole, segmentSize: egress[0].segmentSize)
            #expect(splitter.count == max(1, (length + size - 1) / size))
            var stream: [UInt8] = []
            for index in 0..<splitter.count {
                let piece = withUnsafeTemporaryAllocation(byteCount: SegmentSplitter.largestHeader, alignment: 8) { header in
                    let (count, payload) = splitter.writeHeader(of: index, into: header.baseAddress!)
                    return Array(header[..<count]) + Array(payload)
                }
                let read = try read(piece)
                #expect(read.source == source && read.destination == destination)
                #expect(read.sequence == 0xFFFF_FF00 &+ UInt32(stream.count) && read.payload.count <= size)
                #expect(read.flags == (index == splitter.count - 1 ? [.ack, .psh, .fin] : .ack))
                stream += read.payload
            }
            #expect(stream == payload)
        }
    }

    @Test("a packet larger than its segments leaves only the pseudo-header's sum in its checksum")
    func partial() throws {
        var egress = Egress(packets: 4, bytes: 1 << 20)
        [UInt8](repeating: 7, count: 5_000).withUnsafeBytes { _ = egress.append(outgoing(), payload: $0) }
        #expect(try read(packets(egress)[0], strict: false).checksum == .partial)
    }

    @Test("a full egress refuses, asks to be flushed before, and is usable again when emptied")
    func capacity() {
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        var few = Egress(packets: 4, bytes: 1 << 20)
        var taken: [Bool] = []
        var wants: [Bool] = [few.wantsFlush]
        for _ in 0..<5 {
            taken.append(few.append(outgoing(), payload: nothing))
            wants.append(few.wantsFlush)
        }
        #expect(taken == [true, true, true, true, false])
        #expect(wants == [false, false, true, true, true, true])
        few.removeAll()
        let (count, stillWants) = (few.count, few.wantsFlush)
        #expect(count == 0 && !stillWants)
        let again = few.append(outgoing(), payload: nothing)
        #expect(again)
    }

    @Test("the arena is bounded in bytes as well, and no packet is larger than IP allows")
    func bytes() {
        var small = Egress(packets: 1_000, bytes: 200_000)
        let large = [UInt8](repeating: 1, count: 60_000)
        var taken: [Bool] = []
        var wants: [Bool] = []
        for _ in 0..<4 {
            taken.append(large.withUnsafeBytes { small.append(outgoing(), payload: $0) })
            wants.append(small.wantsFlush)
        }
        #expect(taken == [true, true, true, false])
        #expect(wants == [false, true, true, true])
        small.removeAll()
        let tooLarge = [UInt8](repeating: 1, count: 65_496).withUnsafeBytes { small.append(outgoing(), payload: $0) }
        let largest = [UInt8](repeating: 1, count: 65_495).withUnsafeBytes { small.append(outgoing(), payload: $0) }
        #expect(!tooLarge && largest)
    }

    @Test("what the engine writes into a full egress is counted as lost, not as sent")
    func engine() {
        var configuration = EngineConfiguration()
        configuration.sourceAddresses = [World.sourceAddress]
        configuration.services = [ServiceConfiguration(name: "web", listen: [World.service], routes: [RouteConfiguration(pool: 0)])]
        configuration.pools = [PoolConfiguration(name: "pool", servers: [ServerConfiguration(endpoint: World.serverEndpoint(0))])]
        var engine = L73Dispatcher(configuration: configuration, seed: 1)
        var egress = Egress(packets: 2, bytes: 1 << 20)
        let hardware = SimulatedDispatcher.clientSideHardware
        for port in UInt16(1)...5 {
            var syn = TestSegment(source: Endpoint(address: IPAddress(v4: 0x0A4D_010B), port: port), destination: World.service)
            syn.flags = .syn
            let frame = syn.frame(from: HardwareAddress(bits: 1), to: hardware)
            engine.receive(frame.span.bytes, on: .client, at: Instant(nanoseconds: 1), into: &egress)
        }
        let counters = engine.snapshot(at: Instant(nanoseconds: 1)).counters
        let sent = counters.emitted[0][Int(EmissionKind.handshake.rawValue)]
        let (count, lost) = (egress.count, counters.egressLost)
        #expect(count == 2 && sent == 2 && lost == [3, 0])
    }
}
