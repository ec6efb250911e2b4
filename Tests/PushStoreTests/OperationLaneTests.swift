import Foundation
import Synchronization
import Testing

@testable import PushStore

@Suite("Store: lanes of operations")
struct OperationLaneTests {
    @Test("What comes until the batch is taken belongs to it, in the order in which it came")
    func takenLate() {
        let batches = Mutex<[[Int]]>([])
        let (begun, ready) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let lane = OperationLane<Int>(name: "test", limits: .init(gathering: 0, enough: 10, batch: 100, waiting: 1000)) { take in
            begun.signal()
            ready.wait()
            let batch = take()
            batches.withLock { $0.append(batch) }
        }
        #expect(lane.submit(1) == nil)
        begun.wait()
        for number in 2...5 { #expect(lane.submit(number) == nil) }
        ready.signal()
        ready.signal()
        lane.close()
        #expect(batches.withLock { $0 } == [[1, 2, 3, 4, 5]])
        #expect(lane.submit(6) == .closed)
    }

    @Test("A longer gathering holds from the next batch on")
    func gathering() {
        let count = Mutex(0)
        let lane = OperationLane<Int>(name: "test", limits: .init(gathering: 0, enough: 3, batch: 100, waiting: 1000)) { take in
            _ = take()
            count.withLock { $0 += 1 }
        }
        lane.gathering = 3600
        #expect(lane.gathering == 3600)
        for number in 1...3 { #expect(lane.submit(number) == nil) }
        lane.close()
        #expect(count.withLock { $0 } == 1)
    }
}
