import Testing

@testable import DispatcherCore

@Suite("Path MTUs")
struct PathTableTests {
    private let start = Instant(nanoseconds: 1_000_000_000)

    private func peer(_ number: Int) -> IPAddress { IPAddress(v4: 0x0A00_0000 + UInt32(number)) }

    @Test("a value holds for ten minutes, is lowered, not raised, and is one side's")
    func life() {
        var table = PathTable(key: SipKey(1, 2))
        #expect(table.mtu(to: peer(1), on: .client, at: start) == nil && table.segmentSize(to: peer(1), on: .client, at: start) == .max)
        table.note(1_400, to: peer(1), on: .client, at: start)
        table.note(1_450, to: peer(1), on: .client, at: start)
        #expect(table.mtu(to: peer(1), on: .client, at: start) == 1_400)
        #expect(table.mtu(to: peer(1), on: .server, at: start) == nil && table.mtu(to: peer(2), on: .client, at: start) == nil)
        table.note(1_000, to: peer(1), on: .client, at: start + .seconds(300))
        #expect(table.segmentSize(to: peer(1), on: .client, at: start + .seconds(899)) == 960)
        #expect(table.mtu(to: peer(1), on: .client, at: start + .seconds(900)) == nil)
        table.note(1_450, to: peer(1), on: .client, at: start + .seconds(900))
        #expect(table.mtu(to: peer(1), on: .client, at: start + .seconds(901)) == 1_450)
    }

    @Test("it is bounded: in a full set the oldest goes")
    func bounded() {
        var table = PathTable(sets: 1, key: SipKey(3, 4))
        for number in 0..<10 { table.note(1_000 + number, to: peer(number), on: .client, at: start + .seconds(Int64(number))) }
        let known = (0..<10).map { table.mtu(to: peer($0), on: .client, at: start + .seconds(10)) }
        #expect(known == [nil, nil, nil, nil, nil, nil, 1_006, 1_007, 1_008, 1_009])
    }

    @Test("an IPv6 address has its own floor and headers")
    func six() {
        let peer = IPAddress("fd77::1")!
        var table = PathTable(key: SipKey(5, 6))
        table.note(1_300, to: peer, on: .client, at: start)
        #expect(table.segmentSize(to: peer, on: .client, at: start) == 1_240)
        #expect(PathMTU.heeded(told: 68, length: 1_500, present: 1_500, to: peer) == 1_280)
    }

    @Test("what a router's word comes to: floor, plateaus of RFC 1191 section 7, forgeries")
    func heeded() {
        func heeded(_ told: Int, _ length: Int, present: Int = 1_500) -> Int? {
            PathMTU.heeded(told: told, length: length, present: present, to: peer(1))
        }
        #expect(heeded(1_400, 1_500) == 1_400 && heeded(68, 1_500) == 576 && heeded(576, 577) == 576)
        #expect(heeded(1_500, 1_500) == nil && heeded(1_400, 40) == nil && heeded(0, 0) == nil)
        #expect(heeded(0, 1_500) == 1_492 && heeded(0, 1_492) == 1_006 && heeded(0, 1_006) == 576 && heeded(0, 100) == 576)
        #expect(heeded(0, 1_520) == 1_492 && heeded(0, 65_535, present: 9_000) == 8_166)
        for (length, wanted) in [(65_535, 32_000), (32_000, 17_914), (17_914, 8_166), (8_166, 4_352), (4_352, 2_002), (2_002, 1_492)] {
            #expect(heeded(0, length, present: 65_535) == wanted)
        }
    }
}
