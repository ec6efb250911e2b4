import DispatcherCore
import Foundation
import Logging
import PacketIO
import Testing

@testable import DispatcherService

struct RecordThreadTests {
    private func thread(_ relay: RecordRelay) throws -> RecordThread {
        let format = AccessLogFormat(configuration: try TestConfigurations.read(TestConfigurations.least), host: "h", process: "p[1]")
        return RecordThread(relay: relay, format: format, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func lines(_ path: String) throws -> Int { try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").count }

    @Test func writesALineForEachRecordAndCountsItsTime() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/access.log"
        let relay = RecordRelay(capacity: 2_048)
        let records = try thread(relay)
        var file = try LogFile(.file(path), owner: nil)
        for _ in 0..<1_500 { relay.push(RequestRecord()) }
        records.turn(&file)
        #expect(try lines(path) == 1_500)
        #expect(records.durations[.total].count == 1_500)
        #expect(records.unwrittenLines == 0)
    }

    @Test func opensAFileAgainThatWasMovedAway() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/access.log"
        let relay = RecordRelay(capacity: 8)
        let records = try thread(relay)
        var file = try LogFile(.file(path), owner: nil)
        relay.push(RequestRecord())
        records.turn(&file)
        try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
        relay.push(RequestRecord())
        records.turn(&file)
        #expect(try lines(path + ".1") == 2)
        records.reopen()
        relay.push(RequestRecord())
        records.turn(&file)
        #expect(try lines(path + ".1") == 2)
        #expect(try lines(path) == 1)
    }

    @Test func anotherFileAndOtherNamesAreTaken() throws {
        let directory = try TemporaryDirectory()
        let relay = RecordRelay(capacity: 8)
        let records = try thread(relay)
        var file = try LogFile(.file(directory.path + "/one.log"), owner: nil)
        var record = RequestRecord()
        record.pool = 1
        relay.push(record)
        records.turn(&file)
        #expect(try String(contentsOfFile: directory.path + "/one.log", encoding: .utf8).contains("files/<NOSRV>"))
        let more = TestConfigurations.least + "\n  - name: more\n    servers:\n      - address: 10.77.2.13:80"
        records.take(names: try TestConfigurations.read(more))
        records.take(Handover(try LogFile(.file(directory.path + "/two.log"), owner: nil)))
        record.server = Endpoint(address: IPAddress("10.77.2.13")!, port: 80)
        relay.push(record)
        records.turn(&file)
        #expect(try lines(directory.path + "/one.log") == 1)
        #expect(try String(contentsOfFile: directory.path + "/two.log", encoding: .utf8).contains(" more/10.77.2.13:80 "))
    }

    @Test func keepsTheOldFileWhenItCannotBeOpenedAgain() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/logs/access.log"
        try FileManager.default.createDirectory(atPath: directory.path + "/logs", withIntermediateDirectories: false)
        var file = try LogFile(.file(path), owner: nil)
        try FileManager.default.moveItem(atPath: directory.path + "/logs", toPath: directory.path + "/old")
        #expect(file.reopen()?.contains("the old file is written on") == true)
        let wasWritten = file.write(Array("x\n".utf8))
        #expect(wasWritten)
        #expect(try lines(directory.path + "/old/access.log") == 1)
    }

    @Test func withoutAFileOnlyTimesAreCounted() throws {
        let relay = RecordRelay(capacity: 8)
        let records = try thread(relay)
        var file = try LogFile(.none, owner: nil)
        relay.push(RequestRecord())
        records.turn(&file)
        #expect(records.durations[.total].count == 1)
    }

    @Test func namesAFileThatCannotBeOpened() {
        let error = #expect(throws: ServiceError.self) { _ = try LogFile(.file("/nowhere/access.log"), owner: nil) }
        #expect(error?.description.hasPrefix("log.access: cannot open /nowhere/access.log: ") == true)
    }

    @Test func itsThreadWritesAndEnds() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/access.log"
        let relay = RecordRelay(capacity: 8)
        let records = try thread(relay)
        let running = try records.start(try LogFile(.file(path), owner: nil))
        relay.push(RequestRecord())
        relay.publish()
        records.end()
        running.join()
        #expect(try lines(path) == 1)
    }
}
