import Testing

@testable import DispatcherCore

@Suite("The table of clients")
struct ClientTableTests {
    private static let key = SipKey(1, 2)
    private static let start = Instant(nanoseconds: 1_000_000_000)

    private func client(_ number: Int, scope: Int = 0) -> ClientTable.Client {
        ClientTable.Client(IPAddress(v4: 0x0A00_0000 + UInt32(number)), scope: scope)
    }

    @Test func whatIsHeldIsCountedByClientAndScope() {
        var table = ClientTable(capacity: 100, key: Self.key)
        for _ in 0..<3 { table.hold(client(1), at: Self.start) }
        table.hold(client(2), at: Self.start)
        table.hold(client(1, scope: 1), at: Self.start)
        #expect(table.held(by: client(1)) == 3 && table.held(by: client(2)) == 1 && table.held(by: client(1, scope: 1)) == 1)
        #expect(table.held(by: client(3)) == 0 && table.held == 5)
        for _ in 0..<4 { table.release(client(1)) }
        table.release(client(3))
        #expect(table.held(by: client(1)) == 0 && table.held == 2)
    }

    @Test func anIPv6ClientIsItsNetwork() throws {
        var table = ClientTable(capacity: 100, key: Self.key)
        let addresses = try ["2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1", "10.0.0.1", "10.0.0.2"].map {
            ClientTable.Client(try #require(IPAddress($0)), scope: 0)
        }
        table.hold(addresses[0], at: Self.start)
        table.hold(addresses[3], at: Self.start)
        for (address, held) in zip(addresses, [1, 1, 0, 1, 0]) { #expect(table.held(by: address) == held) }
    }

    @Test(arguments: [1, 3, 10, 1_000, 10_000_000])
    func aSecondsWorthMayComeAtOnceThenOneAtATime(perSecond: Int) {
        var bucket = TokenBucket()
        var now = Self.start
        let burst = min(perSecond, 1_000)
        if perSecond > burst { for _ in burst..<perSecond { bucket.take(perSecond, at: now) } }
        for taken in 0..<burst {
            #expect(bucket.allows(perSecond, at: now), "after \(taken)")
            bucket.take(perSecond, at: now)
        }
        #expect(!bucket.allows(perSecond, at: now) && !bucket.isFull(at: now))
        now = now + .seconds(1) / Int64(perSecond) + Interval(nanoseconds: 1)
        #expect(bucket.allows(perSecond, at: now))
        bucket.take(perSecond, at: now)
        #expect(!bucket.allows(perSecond, at: now))
        #expect(bucket.isFull(at: now + .seconds(1)))
    }

    @Test func requestsAndConnectionsAreCountedApart() {
        var table = ClientTable(capacity: 100, key: Self.key)
        let answer1 = table.takeRequest(client(1), perSecond: 1, at: Self.start)
        #expect(answer1)
        let answer2 = table.takeRequest(client(1), perSecond: 1, at: Self.start)
        #expect(!answer2)
        let answer3 = table.takeRequest(client(2), perSecond: 1, at: Self.start)
        #expect(answer3)
        let answer4 = table.mayConnect(client(1), perSecond: 1, at: Self.start)
        #expect(answer4)
        table.connect(client(1), perSecond: 1, at: Self.start)
        let answer5 = table.mayConnect(client(1), perSecond: 1, at: Self.start)
        #expect(!answer5)
        let answer6 = table.mayConnect(client(1), perSecond: 1, at: Self.start + .seconds(1))
        #expect(answer6)
    }

    @Test func aFullTableForgetsThoseWhoHoldLeastAndRefusesNobody() {
        var table = ClientTable(capacity: 1, key: Self.key)
        for _ in 0..<50 { table.hold(client(0), at: Self.start) }
        var held = 50
        for number in 1...20_000 {
            let now = Self.start + .microseconds(Int64(number))
            let answer7 = table.mayConnect(client(number), perSecond: 1, at: now)
            #expect(answer7)
            table.hold(client(number), at: now)
            held += 1
            #expect(table.held(by: client(number)) == 1)
        }
        #expect(table.held(by: client(0)) == 50, "who holds most is forgotten last")
        #expect(table.evictions > 0 && table.held + Int(table.evictions) == held)
        // What was forgotten is not taken from anybody else.
        for number in 1...20_000 { table.release(client(number)) }
        #expect(table.held == 50)
    }

    @Test func anEntryThatSaysNothingAnyMoreIsFree() {
        var table = ClientTable(capacity: 1, key: Self.key)
        for round in 0..<20 {
            let now = Self.start + .seconds(Int64(2 * round))
            for number in 0..<500 {
                let isTaken = table.takeRequest(client(round * 500 + number), perSecond: 1, at: now)
                #expect(isTaken)
            }
        }
        // Of 500 clients some share a set of 1,024 places with more than seven others; of 10,000 at a time nearly all would.
        #expect(table.evictions < 500, "\(table.evictions)")
    }
}
