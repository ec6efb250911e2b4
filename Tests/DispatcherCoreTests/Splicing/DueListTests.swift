import Testing

@testable import DispatcherCore

@Suite("What is due")
struct DueListTests {
    private func at(_ nanoseconds: Int64) -> Instant { Instant(nanoseconds: 1_000 + nanoseconds) }

    @Test("in order, each when it is due, around the end of its room and never more than that")
    func order() {
        var list = DueList(capacity: 3)
        func taken(_ now: Instant) -> Int? { list.removeFirst(by: now) }
        func kept(_ place: Int, _ due: Instant) -> Bool { list.append(place, due: due) }
        func deadline() -> Instant { list.deadline }
        #expect(deadline() == .distantFuture && taken(.distantFuture) == nil)
        for turn in 0..<5 {
            let start = Int64(turn * 100)
            for place in 0..<3 { #expect(kept(10 * turn + place, at(start + Int64(place)))) }
            #expect(!kept(99, at(start + 9)), "full")
            #expect(deadline() == at(start))
            #expect(taken(at(start - 1)) == nil)
            #expect(taken(at(start)) == 10 * turn)
            #expect(taken(at(start)) == nil)
            #expect(kept(10 * turn + 7, at(start + 3)), "a place has become free")
            for place in [1, 2, 7] { #expect(taken(.distantFuture) == 10 * turn + place) }
            #expect(deadline() == .distantFuture)
        }
    }
}
