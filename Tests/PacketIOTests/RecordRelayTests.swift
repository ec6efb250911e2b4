import DispatcherCore
import Foundation
import Synchronization
import Testing

@testable import PacketIO

struct RecordRelayTests {
    private func record(_ status: UInt16) -> RequestRecord {
        var record = RequestRecord()
        record.status = status
        return record
    }

    @Test func keepsTheOrderAndTheBytes() {
        let relay = RecordRelay(capacity: 8)
        var request = record(200)
        request.line[0] = 71
        request.lineLength = 1
        relay.push(request)
        relay.push(record(404))
        var seen: [(UInt16, UInt8)] = []
        #expect(relay.drain { seen.append(($0.status, $0.line[0])) } == 2)
        #expect(seen.map(\.0) == [200, 404])
        #expect(seen.map(\.1) == [71, 0])
        #expect(relay.drain { _ in } == 0)
    }

    @Test func aFullOneLosesTheNewestAndCounts() {
        let relay = RecordRelay(capacity: 4)
        for status in 1...6 { relay.push(record(UInt16(status))) }
        #expect(relay.lostCount == 2)
        var seen: [UInt16] = []
        relay.drain { seen.append($0.status) }
        #expect(seen == [1, 2, 3, 4])
        relay.push(record(7))
        relay.drain { seen.append($0.status) }
        #expect(seen.last == 7)
    }

    @Test func drainsNoMoreThanTheLimit() {
        let relay = RecordRelay(capacity: 8)
        for status in 1...5 { relay.push(record(UInt16(status))) }
        #expect(relay.drain(limit: 2) { _ in } == 2)
        #expect(relay.drain { _ in } == 3)
    }

    @Test func aSleepingReaderIsWoken() {
        let relay = RecordRelay(capacity: 8)
        let start = Date()
        let thread = Thread {
            usleep(30_000)
            relay.push(RequestRecord())
            relay.publish()
        }
        thread.start()
        relay.wait(atMost: 10_000)
        #expect(Date().timeIntervalSince(start) < 5)
        #expect(relay.drain { _ in } == 1)
    }

    @Test func oneWriterAndOneReaderLoseNothingThatWasNotCounted() {
        let relay = RecordRelay(capacity: 64)
        let total = 20_000
        let isDone = Atomic<Bool>(false)
        let thread = Thread {
            for index in 0..<total {
                relay.push(record(UInt16(truncatingIfNeeded: index)))
                relay.publish()
            }
            isDone.store(true, ordering: .releasing)
        }
        thread.start()
        var read = 0
        var last = -1
        var isOrdered = true
        while true {
            let wasDone = isDone.load(ordering: .acquiring)
            let count = relay.drain { record in
                let gap = (Int(record.status) - last + 65_536) % 65_536
                isOrdered = isOrdered && gap > 0 && gap < 32_768
                last = Int(record.status)
            }
            read += count
            if count == 0 && wasDone { break }
        }
        #expect(isOrdered)
        #expect(UInt64(read) + relay.lostCount == UInt64(total))
    }
}
