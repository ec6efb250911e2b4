import DispatcherCore
import Foundation
import Testing

@testable import DispatcherService

struct AccessLogFormatTests {
    private func line(_ change: (inout RequestRecord) -> Void) throws -> String {
        var record = RequestRecord()
        record.pool = 0
        record.server = Endpoint(address: IPAddress("10.77.2.12")!, port: 8_080)
        record.client = Endpoint(address: IPAddress("10.0.1.2")!, port: 33_317)
        record.started = Instant(nanoseconds: 5_655_000_000)
        record.receive = .milliseconds(10)
        record.queue = .zero
        record.connect = .milliseconds(30)
        record.response = .milliseconds(69)
        record.total = .milliseconds(109)
        record.status = 200
        record.bytesToClient = 2_750
        (record.connections, record.serviceConnections, record.poolActive, record.serverActive) = (4, 3, 2, 1)
        record.queuePosition = 5
        set(&record, line: "GET /index.html HTTP/1.1")
        change(&record)
        let format = AccessLogFormat(
            configuration: try TestConfigurations.read(TestConfigurations.least), host: "gate", process: "sluice-dispatcher[14389]")
        var bytes: [UInt8] = []
        // 1233922449 s after 1970 and 5.655 s more.
        format.append(record, clockOffset: .seconds(1_233_922_449), to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private func set(_ record: inout RequestRecord, line: String) {
        record.lineLength = line.utf8.count
        for (index, byte) in line.utf8.enumerated() { record.line[index] = byte }
    }

    /// The same instant in this host's time zone.
    private func date(_ format: String) -> String {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.dateFormat = format
        return formatter.string(from: Date(timeIntervalSince1970: 1_233_922_454.655))
    }

    @Test func hasEveryFieldOfHAProxysFormat() throws {
        let line = try line { _ in }
        let expected =
            "[\(date("dd/MMM/yyyy:HH:mm:ss")).655] files web/10.77.2.12:8080 10/0/30/69/109 200 2750 - - ---- 4/3/2/1/0 0/5 \"GET /index.html HTTP/1.1\"\n"
        #expect(line.hasSuffix("gate sluice-dispatcher[14389]: 10.0.1.2:33317 " + expected))
        #expect(line.hasPrefix(date("MMM ")))
        // Syslog pads the day with a space; its time is that of the end.
        #expect(line.dropFirst(4).first == " " || line.dropFirst(4).first!.isNumber)
        #expect(line.contains(date("HH:mm:ss") + " gate"))
    }

    @Test func connectionsHaveHAProxysFormatForThem() throws {
        let ended = try line { record in
            record.kind = .connection
            (record.cause, record.phase) = (.client, .data)
            (record.retries, record.lineLength) = (1, 0)
        }
        #expect(ended.hasSuffix("] files web/10.77.2.12:8080 0/30/109 2750 CD 4/3/2/1/1 0/5\n"))
        let refused = try line { record in
            record.kind = .connection
            (record.queue, record.connect, record.server) = (nil, nil, nil)
            (record.cause, record.phase) = (.serverTimeout, .queue)
        }
        #expect(refused.contains(" files web/<NOSRV> -1/-1/109 2750 sQ 4/3/2/1/0 0/5\n"))
    }

    @Test func phasesThatWereNotReachedAreMinusOne() throws {
        let line = try line { record in
            (record.queue, record.connect, record.response) = (nil, nil, nil)
            (record.pool, record.server, record.status) = (nil, nil, 400)
            (record.cause, record.phase) = (.proxy, .request)
        }
        #expect(line.contains(" files files/<NOSRV> 10/-1/-1/-1/109 400 2750 - - PR-- "))
    }

    @Test func aPoolWithoutServerIsNamed() throws {
        let line = try line { record in
            record.server = nil
            record.status = 0
            (record.cause, record.phase) = (.serverTimeout, .queue)
        }
        #expect(line.contains(" files web/<NOSRV> "))
        #expect(line.contains(" -1 2750 - - sQ-- "))
    }

    @Test func theFirstLineOfATunnelHasPluses() throws {
        #expect(try line { $0.kind = .tunnelOpened }.contains(" 10/0/30/69/+109 200 +2750 "))
        #expect(try line { $0.kind = .tunnelClosed }.contains(" 10/0/30/69/109 200 2750 "))
    }

    @Test func retriesAreCounted() throws { #expect(try line { $0.retries = 2 }.contains(" 4/3/2/1/2 0/5 ")) }

    @Test func theRequestLineCannotForgeALine() throws {
        let line = try line { set(&$0, line: "GET /\"#\u{7F}\n\u{1}é HTTP/1.1") }
        #expect(line.hasSuffix("\"GET /#22#23#7F#0A#01#C3#A9 HTTP/1.1\"\n"))
        #expect(line.filter { $0 == "\n" }.count == 1)
    }

    @Test func theEndOfATunnelRepeatsNoRequest() throws {
        let closed = try line {
            $0.lineLength = 0
            $0.kind = .tunnelClosed
        }
        #expect(closed.hasSuffix("\"<TUNNEL>\"\n"))
    }
    @Test func aRequestThatWasNeverReadIsBad() throws { #expect(try line { $0.lineLength = 0 }.hasSuffix("\"<BADREQ>\"\n")) }
}
