/// The members of a notification that the application server gave, already as JSON text: what the store keeps of a message.
public struct NotificationBody: Hashable, Sendable {
    /// `"id":..,"message":..,"timestamp":..,"priority":..`
    public let bytes: [UInt8]

    /// A body as the store gives it back.
    public init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// A body of these members; id, timestamp and priority are delivered as they came.
    init(id: JSONValue, message: String, timestamp: JSONValue, priority: JSONValue) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(message.utf8.count + 96)
        bytes.append(contentsOf: #""id":"#.utf8)
        id.write(to: &bytes)
        bytes.append(contentsOf: #","message":"#.utf8)
        JSONValue.write(message, to: &bytes)
        bytes.append(contentsOf: #","timestamp":"#.utf8)
        timestamp.write(to: &bytes)
        bytes.append(contentsOf: #","priority":"#.utf8)
        priority.write(to: &bytes)
        self.bytes = bytes
    }

    /// The notification as a device gets it (chapter 3, "notification").
    public func notification(messageID: MessageID, url: String) -> [UInt8] {
        var frame: [UInt8] = []
        frame.reserveCapacity(bytes.count + url.utf8.count + 96)
        frame.append(contentsOf: #"{"messageType":"notification","#.utf8)
        frame.append(contentsOf: bytes)
        frame.append(contentsOf: #","messageId":""#.utf8)
        messageID.write(to: &frame)
        frame.append(contentsOf: #"","url":"#.utf8)
        JSONValue.write(url, to: &frame)
        frame.append(UInt8(ascii: "}"))
        return frame
    }
}
