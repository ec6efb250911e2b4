import Foundation
import PushProtocol
import Testing

@testable import PushStore

@Suite("Push: the bus in a directory")
struct DirectoryBusTests {
    @Test("The files of dead workers are removed, those of live ones are not")
    func deadWorkers() throws {
        let directory = try TemporaryDirectory()
        let one = try DirectoryBus(directory: directory.path, roles: [])
        one.start { _ in }
        // A worker that was killed leaves its file.
        let dead = "\(directory.path)/bus/\(WorkerName()).monitor"
        try #require(FileManager.default.createFile(atPath: dead, contents: nil))
        let two = try DirectoryBus(directory: directory.path, roles: [])
        #expect(!FileManager.default.fileExists(atPath: dead))
        #expect(FileManager.default.fileExists(atPath: "\(directory.path)/bus/\(one.name)"))
        one.close()
        two.close()
    }

    @Test("Every note survives its datagram; a broken datagram is none")
    func datagrams() {
        let notes: [BusNote] = [
            .accepted(application: 7, sequence: .max), .arrived(sequence: 1, devices: []),
            .arrived(sequence: 2, devices: [DeviceID(), DeviceID()]),
            .replaced(device: DeviceID(), connection: 9),
        ]
        for note in notes {
            let datagram = note.datagram
            #expect(BusNote(datagram: datagram) == note)
            #expect(BusNote(datagram: datagram.dropLast()) == nil)
            #expect(BusNote(datagram: [9] + datagram.dropFirst()) == nil)
        }
        #expect(BusNote(datagram: [UInt8]()) == nil)
        for length in [0, 1, BusNote.bodyLimit] {
            let message = StoredMessage(
                sequence: 5, appToken: ApplicationPair.named("w").appToken,
                body: NotificationBody(bytes: [UInt8](repeating: 7, count: length)), isTransient: length == 1, accepted: 6, expires: -1)
            let note = BusNote.message(message, device: DeviceID(), previous: .max)
            #expect(note.datagram.count <= BusNote.longest)
            #expect(BusNote(datagram: note.datagram) == note)
            #expect(BusNote(datagram: note.datagram.dropLast(length + 1)) == nil)
        }
        let most = BusNote.arrived(sequence: 1, devices: (0..<BusNote.deviceLimit).map { _ in DeviceID() })
        #expect(most.datagram.count <= BusNote.longest)
        #expect(BusNote(datagram: most.datagram) == most)
    }
}
