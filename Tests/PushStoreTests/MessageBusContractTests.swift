import Foundation
import PushProtocol
import Synchronization
import Testing

@testable import PushStore

/// What every engine beneath `MessageBus` does. A new engine is a new case of `BusEngine`.
@Suite("Push: the contract of message buses")
struct MessageBusContractTests {
    private func arrived(_ numbers: Range<Int>) -> [BusNote] {
        numbers.map { BusNote.arrived(sequence: Int64($0), devices: [DeviceID()]) }
    }

    @Test("Notes reach the worker they are for, and no other, in order, however many", arguments: BusEngine.allCases)
    func notes(engine: BusEngine) async throws {
        let meeting = try engine.meeting()
        let (one, atOne) = try meeting.join()
        let (two, atTwo) = try meeting.join([.monitor])
        let (three, atThree) = try meeting.join()
        let sent = arrived(0..<3000)
        for note in sent { one.send(note, to: .worker(two.name)) }
        #expect(try await atTwo.wait(for: sent.count) == sent)
        #expect(one.lostNotes == 0)
        #expect(atOne.all.isEmpty && atThree.all.isEmpty)
        for bus in [one, two, three] { bus.close() }
    }

    @Test("A worker's notes to itself arrive", arguments: BusEngine.allCases)
    func own(engine: BusEngine) async throws {
        let meeting = try engine.meeting()
        let (one, atOne) = try meeting.join()
        let sent = arrived(0..<10)
        for note in sent { one.send(note, to: .worker(one.name)) }
        #expect(try await atOne.wait(for: sent.count) == sent)
        one.close()
    }

    @Test("A note for a role finds a worker that has it; the own one first", arguments: BusEngine.allCases)
    func monitors(engine: BusEngine) async throws {
        let meeting = try engine.meeting()
        let (one, atOne) = try meeting.join()
        let (two, atTwo) = try meeting.join([.monitor])
        let (three, atThree) = try meeting.join([.monitor])
        let own = (0..<20).map { BusNote.accepted(application: 3, sequence: Int64($0)) }
        for note in own { two.send(note, to: .any(.monitor)) }
        #expect(try await atTwo.wait(for: own.count) == own)
        one.send(.accepted(application: 1, sequence: 2), to: .any(.monitor))
        try await eventually { atTwo.all.count + atThree.all.count == own.count + 1 }
        #expect((atTwo.all + atThree.all).contains(.accepted(application: 1, sequence: 2)))
        #expect(atOne.all.isEmpty)
        let (four, atFour) = try meeting.join([.monitor, .uaUDP])
        one.send(.wakeUps, to: .any(.uaUDP))
        #expect(try await atFour.wait(for: 1) == [.wakeUps])
        for bus in [one, two, three, four] { bus.close() }
    }

    @Test(
        "A note for a worker that is gone, or for a monitor where there is none, is lost and counted; the worker is named",
        arguments: BusEngine.allCases)
    func gone(engine: BusEngine) async throws {
        let meeting = try engine.meeting()
        let (one, atOne) = try meeting.join()
        let (two, _) = try meeting.join([.monitor])
        two.close()
        one.send(.replaced(device: DeviceID(), connection: 1), to: .worker(two.name))
        try await eventually { one.lostNotes == 1 }
        one.send(.accepted(application: 1, sequence: 2), to: .any(.monitor))
        try await eventually { one.lostNotes == 2 }
        one.send(.accepted(application: 1, sequence: 2), to: .worker(WorkerName()))
        try await eventually { one.lostNotes == 3 }
        try await eventually { atOne.gone.count == 2 }
        #expect(atOne.gone.first == two.name)
        #expect(atOne.all.isEmpty)
        one.close()
    }

    @Test("A bus that is closed receives nothing more", arguments: BusEngine.allCases)
    func closed(engine: BusEngine) async throws {
        let meeting = try engine.meeting()
        let (one, _) = try meeting.join([.monitor])
        let (two, atTwo) = try meeting.join()
        one.send(.accepted(application: 1, sequence: 1), to: .worker(two.name))
        _ = try await atTwo.wait(for: 1)
        two.close()
        one.send(.accepted(application: 1, sequence: 2), to: .worker(two.name))
        try await eventually { one.lostNotes == 1 }
        #expect(atTwo.all.count == 1)
        one.close()
    }
}
