import Synchronization
import Testing

@testable import DispatcherCore

@Suite("What shards share")
struct SharedLoadTests {
    @Test("tokens are never more than the limit, whatever the threads do, and none is lost")
    func exact() async {
        let seen = Contended()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for turn in 0..<50_000 where seen.pair.take() {
                        seen.note(seen.taken.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue)
                        if turn % 64 == 0 { await Task.yield() }
                        seen.taken.wrappingSubtract(1, ordering: .sequentiallyConsistent)
                        seen.pair.give()
                    }
                }
            }
        }
        #expect((1...7).contains(seen.most.load(ordering: .relaxed)))
        #expect(seen.pair.outstanding == 0 && seen.pair.limit == 7)
    }

    /// What several tasks take from, and the most that they have had.
    private final class Contended: Sendable {
        let pair = TokenPair(limit: 7)
        let taken = Atomic<Int>(0)
        let most = Atomic<Int>(0)

        func note(_ out: Int) {
            var before = most.load(ordering: .relaxed)
            while out > before {
                let (done, found) = most.weakCompareExchange(expected: before, desired: out, ordering: .relaxed)
                if done { return }
                before = found
            }
        }
    }

    @Test("a lower limit lets what is out come back first")
    func lowered() {
        let pair = TokenPair(limit: 3)
        for _ in 0..<3 { #expect(pair.take() == true) }
        #expect(!pair.take() && !pair.hasRoom)
        pair.setLimit(1)
        #expect(pair.limit == 1 && pair.outstanding == 3)
        pair.give()
        pair.give()
        #expect(pair.take() == false)
        pair.give()
        #expect(pair.take() == true)
        #expect(pair.take() == false)
        pair.setLimit(0)
        pair.give()
        #expect(!pair.hasRoom && !pair.take())
    }

    @Test("of the heads the oldest of the others is told; one that is taken back is not")
    func heads() {
        let pool = SharedPool(shards: 3)
        #expect(pool.oldest(besides: 0) == nil)
        let tickets = (0..<3).map { _ in pool.takeTicket() }
        #expect(tickets == tickets.sorted() && Set(tickets).count == 3)
        pool.publish(tickets[2], shard: 0)
        pool.publish(tickets[1], shard: 1)
        pool.publish(tickets[0], shard: 2)
        #expect(pool.oldest(besides: 0)! == (2, tickets[0]) && pool.oldest(besides: 2)! == (1, tickets[1]))
        pool.publish(nil, shard: 2)
        #expect(pool.oldest(besides: 0)! == (1, tickets[1]))
    }

    @Test("a pool waits while any shard does")
    func waiting() {
        let pool = SharedPool(shards: 2)
        let start = Instant.distantPast + .seconds(5)
        pool.begins(shard: 0, at: start)
        pool.begins(shard: 1, at: start + .seconds(1))
        #expect(pool.shardsThatWait == 0b11)
        pool.ends(shard: 0, at: start + .seconds(2))
        #expect(pool.shardsThatWait == 0b10 && pool.waited(at: start + .seconds(3)) == .seconds(3))
        pool.ends(shard: 1, at: start + .seconds(4))
        #expect(pool.shardsThatWait == 0 && pool.waited(at: start + .seconds(9)) == .seconds(4))
    }

    @Test("a server is one as long as a shard holds it, and begins anew after that")
    func held() {
        let load = SharedLoad(shards: 2)
        let endpoint = Endpoint(address: IPAddress(v4: 0x0A00_0001), port: 80)
        func hold() -> (server: UnsafeMutablePointer<SharedServer>, isNew: Bool) {
            load.hold(endpoint, pool: 0, mode: .l73) {
                SharedServer(limit: 4, tunnels: 1, control: LoadControl(.fixed, initial: 4, minimum: 1, maximum: 8))
            }
        }
        let first = hold()
        let second = hold()
        #expect(first.isNew && !second.isNew && first.server == second.server)
        first.server.pointee.requests.setLimit(2)
        load.release(endpoint, pool: 0, mode: .l73)
        #expect(second.server.pointee.requests.limit == 2)
        load.release(endpoint, pool: 0, mode: .l73)
        let third = hold()
        #expect(third.isNew && third.server.pointee.requests.limit == 4)
        #expect(load.hold(endpoint, pool: 1, mode: .l73) { other() }.isNew)
        // To the engine of the other mode a server that it checks is another one.
        #expect(load.hold(endpoint, pool: 0, mode: .l43) { other() }.isNew)
        #expect(load.pool(0, mode: .l73) != load.pool(0, mode: .l43) && load.pool(0, mode: .l43) == load.pool(0, mode: .l43))
    }

    @Test("what shards count of a server's traffic is taken once, before the measuring is looked at")
    func traffic() {
        var server = SharedServer(
            limit: 4, tunnels: 0, control: LoadControl(.fixed, initial: 4, minimum: 1, maximum: 8), shards: 2)
        let start = Instant.distantPast + .seconds(5)
        // What came while nothing was measured counts for nothing.
        server.traffic.cell(of: 0).pointee.carried(7)
        _ = server.withMeasuring { $0.dispatched(limit: 4, waited: .zero, at: start) }
        server.traffic.cell(of: 0).pointee.carried(100)
        server.traffic.cell(of: 1).pointee.carried(30)
        server.traffic.cell(of: 1).pointee.carried(0)
        let ended = server.withMeasuring { $0.end(waited: .zero, isWhole: true, at: start + .seconds(3)) }
        let last = server.withMeasuring { $0.last }
        #expect(!ended && last?.bytes == 130 && last?.packets == 3)
        _ = server.withMeasuring { $0.end(waited: .zero, isWhole: true, at: start + .seconds(6)) }
        let next = server.withMeasuring { $0.last }
        #expect(next?.bytes == 0 && next?.packets == 0)
        // Whoever must not wait sees the era all the same.
        server.withMeasuring { $0.enforced(2, waited: .zero, at: start + .seconds(7)) }
        #expect(server.era.load(ordering: .relaxed) == 1)
    }

    private func other() -> SharedServer {
        SharedServer(limit: 1, tunnels: 1, control: LoadControl(.fixed, initial: 1, minimum: 1, maximum: 1))
    }

    @Test("the ports of shards are all ports, each once, and a slot keeps its shard in every layer", arguments: [1, 2, 3, 5])
    func ports(shards: Int) {
        var plan = PortPlan(first: 10_001, last: 30_000, layers: 3, servers: 7, connections: 11)
        plan.shards = shards
        for slot in 0..<plan.slots {
            let ports = (0..<plan.layers).map { plan.port(layer: $0, server: slot / 11, connection: slot % 11) }
            #expect(Set(ports.map { Int($0) % shards }).count == 1 && Set(ports).count == 3)
            for (layer, port) in ports.enumerated() {
                let place = plan.slot(of: port)
                #expect(place?.layer == layer && place?.slot == slot && Int(port) < plan.firstTunnelPort)
            }
        }
        #expect((0..<shards).reduce(0) { sum, shard in sum + (10_001...30_000).count { Shard(shard, of: shards).has(port: $0) } } == 20_000)
    }
}
