import Foundation
import NIOCore
import NIOHTTP1
import PushProtocol

/// NS-WakeUp (chapter 4): `GET /?ip=I&port=P&proto=udp|tcp` sends one packet to a device inside the operator's network.
struct WakeUpRoutes: HTTPRoutes {
    let context: WorkerContext
    let sender: WakeUpSender

    func route(_ request: HTTPRequestHead, path: String, client: IPAddress?) -> HTTPRoute {
        if let common = CommonRoutes.route(request, path: path, context: context) { return common }
        guard path == "/" else { return .answer(.notFound) }
        guard request.method == .GET else {
            return .answer(.error(.methodNotAllowed, "No valid HTTP method", fields: [("Allow", "GET, OPTIONS")]))
        }
        guard context.phase == .running else {
            return .answer(.error(.serviceUnavailable, "Try again later", fields: [("Retry-After", "1")]))
        }
        switch order(request.uri) {
        case .failure(let refusal):
            context.counters.add(.wakeUpRequestsRefused)
            return .answer(.error(.badRequest, refusal.reason))
        case .success(let order):
            let (context, sender) = (context, sender)
            return .read { _, answer in
                sender.send(order) { failure in
                    guard let failure else {
                        context.counters.add(.wakeUpPacketsSent)
                        return answer(.ok)
                    }
                    context.counters.add(.wakeUpPacketsFailed)
                    context.logger.warning("a wake-up packet could not be sent", metadata: ["to": "\(order.ip)", "error": "\(failure)"])
                    answer(.error(.badRequest, "The packet could not be sent: \(failure)"))
                }
            }
        }
    }

    /// Why an order is refused.
    private struct Refusal: Error {
        let reason: String
    }

    private func order(_ target: String) -> Result<WakeUpOrder, Refusal> {
        func refuse(_ reason: String) -> Result<WakeUpOrder, Refusal> { .failure(Refusal(reason: reason)) }
        let items = URLComponents(string: target)?.queryItems ?? []
        func value(_ name: String) -> String? { items.first { $0.name == name }?.value }
        guard let ip = value("ip"), let address = IPAddress(ip) else { return refuse("ip must be a literal IPv4 or IPv6 address") }
        let digits = value("port") ?? ""
        guard let port = UInt16(digits), port > 0, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return refuse("port must be a number in 1...65535")
        }
        guard let packet = Operator.Packet(rawValue: value("proto") ?? "udp") else { return refuse("proto must be udp or tcp") }
        guard context.configuration.wakeUpNetworks.contains(where: { $0.contains(address) }) else {
            return refuse("ip is not in a network of this server")
        }
        if address.isGroupOrUnspecified { return refuse("ip is a multicast, broadcast or unspecified address") }
        if address.isLoopback, !context.configuration.wakesLoopback { return refuse("ip is a loopback address") }
        return .success(WakeUpOrder(ip: ip, address: address, port: port, packet: packet))
    }
}

/// What NS-WakeUp is to send, and where to.
struct WakeUpOrder: Sendable {
    /// As it was written.
    let ip: String
    let address: IPAddress
    let port: UInt16
    let packet: Operator.Packet

    /// What the packet says.
    var text: ByteBuffer {
        let members: [(String, JSONValue)] = [("ip", .text(ip)), ("port", .text("\(port)")), ("proto", .text(packet.rawValue))]
        return ByteBuffer(bytes: Array("NOTIFY ".utf8) + JSONValue.object(JSONObject(members)).bytes)
    }
}

extension HTTPAnswer {
    /// `{"status":"OK"}`
    fileprivate static var ok: HTTPAnswer {
        var answer = HTTPAnswer.text("")
        answer.contentType = "application/json"
        answer.body = JSONValue.object(JSONObject([("status", "OK")])).bytes
        return answer
    }
}

extension IPAddress {
    /// 127.0.0.0/8 and ::1.
    var isLoopback: Bool { isIPv4 ? low & 0xff00_0000 == 0x7f00_0000 : high == 0 && low == 1 }

    /// Multicast, the limited broadcast address, and those that name no host (0.0.0.0/8, ::).
    var isGroupOrUnspecified: Bool {
        guard isIPv4 else { return high >> 56 == 0xff || (high == 0 && low == 0) }
        let address = UInt32(truncatingIfNeeded: low)
        return address >> 28 == 0xe || address == .max || address >> 24 == 0
    }
}
