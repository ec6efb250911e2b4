/// A good answer to a device (chapter 3, "WebSocket API").
public enum DeviceReply: Hashable, Sendable {
    /// registerUA; `pushMode` says how messages reach the device.
    case registeredUA(pushMode: PushMode)
    case registeredWA(url: String, watoken: String)
    case unregisteredWA(url: String)
    case applications(urls: [String])
    case unregisteredUA

    /// The ways in which messages reach a device.
    public enum PushMode: String, Sendable {
        /// Through the WebSocket, which stays open.
        case ws
        /// The WebSocket closes; a datagram wakes the device.
        case udp
    }

    /// The answer's text.
    public var bytes: [UInt8] {
        switch self {
        case .registeredUA(let pushMode):
            Self.bytes(.registerUA, status: "REGISTERED", [("pushMode", .text(pushMode.rawValue))])
        case .registeredWA(let url, let watoken):
            Self.bytes(.registerWA, status: "REGISTERED", [("url", .text(url)), ("watoken", .text(watoken))])
        case .unregisteredWA(let url): Self.bytes(.unregisterWA, status: "UNREGISTERED", [("url", .text(url))])
        case .applications(let urls): Self.bytes(.getRegisteredWA, status: "OK", [("urls", .array(urls.map { .text($0) }))])
        case .unregisteredUA: Self.bytes(.unregisterUA, status: "UNREGISTERED", [])
        }
    }

    private static func bytes(_ name: DeviceCommand.Name, status: String, _ rest: [(String, JSONValue)]) -> [UInt8] {
        let head: [(String, JSONValue)] = [("messageType", .text(name.rawValue)), ("status", .text(status)), ("statusCode", 200)]
        return JSONValue.object(JSONObject(head + rest)).bytes
    }

    /// The answer to getAllMessages with these notifications, oldest first.
    public static func allMessages(_ notifications: [[UInt8]]) -> [UInt8] {
        var bytes = Array(#"{"messageType":"getAllMessages","statusCode":200,"messages":["#.utf8)
        for (index, notification) in notifications.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            bytes.append(contentsOf: notification)
        }
        bytes.append(contentsOf: "]}".utf8)
        return bytes
    }
}
