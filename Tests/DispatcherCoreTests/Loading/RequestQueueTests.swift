import Testing

@testable import DispatcherCore

@Suite("RequestQueue")
struct RequestQueueTests {
    private let now = Instant(nanoseconds: 1_000_000_000)

    @Test("first in first out, but those that are repeated before all; entries leave from anywhere, and are counted by kind")
    func order() {
        var queue = RequestQueue(capacity: 4, memory: 1_000)
        let kinds: [RequestQueue.Kind] = [.plain, .streamed, .upgrade]
        let entries = kinds.enumerated().map { queue.insert(front: UInt32($0), bytes: 100, kind: $1, at: now) }
        #expect(queue.insert(front: 9, bytes: 100, kind: .streamed, at: now, atFront: true) != nil)
        #expect(queue.insert(front: 10, bytes: 0, kind: .plain, at: now) == nil)
        func fronts() -> [UInt32] {
            var list: [UInt32] = []
            var next = queue.first(in: 0)
            while let entry = next {
                list.append(queue[entry].front)
                next = queue.next(after: entry)
            }
            return list
        }
        #expect(fronts() == [9, 0, 1, 2] && kinds.map { queue.count($0, in: 0) } == [1, 2, 1])
        queue.remove(entries[1]!, at: now)
        #expect(fronts() == [9, 0, 2] && kinds.map { queue.count($0, in: 0) } == [1, 1, 1] && queue.bytes == 300)
        #expect(queue.insert(front: 11, bytes: 701, kind: .plain, at: now) == nil)
        while let first = queue.first(in: 0) { queue.remove(first, at: now + .seconds(2)) }
        #expect(kinds.allSatisfy { queue.count($0, in: 0) == 0 } && queue.count == 0 && queue.bytes == 0 && queue.high == 4)
        let (later, muchLater) = (queue.waited(at: now + .seconds(2)), queue.waited(at: now + .seconds(9)))
        #expect(later == .seconds(2) && muchLater == .seconds(2))
    }

    @Test("half of a server's limit may be streamed, at least one", arguments: [(1, 1), (2, 1), (3, 1), (8, 4)])
    func half(limit: Int, most: Int) {
        let server = SharedServer(
            limit: limit, tunnels: 0, control: LoadControl(.fixed, initial: limit, minimum: 1, maximum: 8))
        for _ in 0..<most { #expect(server.mayStream && server.takeStream()) }
        #expect(!server.mayStream && !server.takeStream())
        server.streamed.wrappingSubtract(1, ordering: .relaxed)
        #expect(server.takeStream() == true)
    }
}
