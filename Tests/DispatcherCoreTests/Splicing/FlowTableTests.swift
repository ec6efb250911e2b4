import Testing

@testable import DispatcherCore

@Suite("Flow table")
struct FlowTableTests {
    @Test("what was put in is found until it is taken out, up to the last place", arguments: [1, 7, 64, 1_000])
    func model(_ capacity: Int) {
        var random = SeededRandom(seed: UInt64(capacity))
        var table = FlowTable(capacity: capacity)
        // Few different hashes: flows lie on top of each other, and taking one out moves others.
        let hashes = (0..<capacity).map { _ in (random.next() % UInt64(1 + capacity / 3)) << 32 | random.next() % UInt64(1 + capacity / 2) }
        var present: Set<Int> = []
        func find(_ index: Int) -> Int? { table.find(hashes[index]) { $0 == index } }
        for index in 0..<capacity {
            table.insert(hashes[index], index)
            present.insert(index)
        }
        for _ in 0..<20 * capacity {
            let index = Int(random.next() % UInt64(capacity))
            if present.remove(index) == nil {
                table.insert(hashes[index], index)
                present.insert(index)
            } else {
                table.remove(hashes[index], index) { hashes[$0] }
            }
            let other = Int(random.next() % UInt64(capacity))
            let found = find(other)
            #expect(found == (present.contains(other) ? other : nil))
        }
        let count = table.count
        #expect(count == present.count)
        for index in 0..<capacity {
            let found = find(index)
            #expect(found == (present.contains(index) ? index : nil))
        }
    }
}
