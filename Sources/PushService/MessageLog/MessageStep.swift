import Foundation
import Glibc
import PushProtocol
import PushStore

/// One step in the life of a message: a line of the message log (docs/worker.md, "The message log").
struct MessageStep: Sendable {
    enum Event: String, CaseIterable, Sendable {
        /// A POST was refused.
        case refused
        /// The message is durable; the time is that at which it was handed to the store, because it may be sent as soon as it is durable,
        /// before the store has said so.
        case accepted
        /// A worker that holds sockets of its devices is told of it; or nobody, because none is connected.
        case routed
        case sent
        /// After a time without acknowledgement.
        case sentAgain = "sent-again"
        /// In an answer to getAllMessages.
        case sentOnRequest = "sent-on-request"
        case acknowledged
        /// The acknowledgement could not be stored: the device gets the message again.
        case acknowledgementLost = "acknowledgement-lost"
        /// It is no longer pending for a device that has not acknowledged it here.
        case settled
        /// Its time is over; who has not got it does not get it.
        case expired
        /// It had a ttl of 0 and is gone from the store.
        case dropped
    }

    let event: Event
    /// The message's sequence number; nil: it got none.
    var sequence: Int64?
    var device: DeviceID?
    var application: AppToken?
    /// The worker that is told.
    var target: WorkerName?
    /// How many devices.
    var devices: Int?
    var reason: String?
    /// How long it took, in microseconds.
    var took: Int64?
    /// In microseconds since 1970 UTC.
    var time = Self.now()

    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }

    /// The line, with its end.
    func line(worker: WorkerName, store: UInt32) -> [UInt8] {
        var members: [(String, JSONValue)] = [
            ("time", .text(Self.text(microseconds: time))), ("worker", .text(worker.description)), ("event", .text(event.rawValue)),
        ]
        if let sequence { members.append(("messageId", .text(MessageID(store: store, sequence: sequence).description))) }
        if let device { members.append(("device", .text(device.description))) }
        if let application { members.append(("application", .text(Hex.encode(Array(application.bytes.prefix(6)))))) }
        if let target { members.append(("to", .text(target.description))) }
        if let devices { members.append(("devices", .number(JSONNumber(Int64(devices))))) }
        if let took { members.append(("took", .text("\(WorkerMetricsPage.text(Double(took) / 1000)) ms"))) }
        if let reason { members.append(("reason", .text(reason))) }
        return JSONValue.object(JSONObject(members)).bytes + [UInt8(ascii: "\n")]
    }

    /// RFC 3339 in UTC with microseconds, always of one length, so that texts sort as times do.
    static func text(microseconds: Int64) -> String {
        var seconds = time_t(microseconds / 1_000_000)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ number: some BinaryInteger, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.count)) + text
        }
        let date = "\(digits(parts.tm_year + 1900, 4))-\(digits(parts.tm_mon + 1, 2))-\(digits(parts.tm_mday, 2))"
        let clock = "\(digits(parts.tm_hour, 2)):\(digits(parts.tm_min, 2)):\(digits(parts.tm_sec, 2))"
        return "\(date)T\(clock).\(digits(microseconds % 1_000_000, 6))Z"
    }
}
