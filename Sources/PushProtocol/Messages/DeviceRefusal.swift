/// An error answer to a device (the table of `docs/push-protocol.md`, "WebSocket"), and whether the socket closes after it.
public struct DeviceRefusal: Error, Hashable, Sendable {
    /// The messageType that is echoed, when one was read.
    public var messageType: String?
    /// As in HTTP.
    public let statusCode: Int
    /// What is wrong, for a person.
    public let reason: String
    /// The close code (RFC 6455, section 7.4) when the socket closes after the answer.
    public let closeCode: UInt16?

    private init(_ messageType: String?, _ statusCode: Int, _ reason: String, close: UInt16? = nil) {
        self.messageType = messageType
        self.statusCode = statusCode
        self.reason = reason
        closeCode = close
    }

    /// Not JSON, or not an object.
    public static let notJSON = DeviceRefusal(nil, 400, "Data received is not a valid JSON package", close: CloseCode.notConsistent)

    /// A member is missing, of the wrong type or out of range; `what` names it.
    public static func badMember(_ what: String, of messageType: String?) -> DeviceRefusal {
        DeviceRefusal(messageType, 400, what)
    }

    /// The token does not verify, is expired or another device's.
    public static func badToken(_ command: DeviceCommand.Name, closing: Bool) -> DeviceRefusal {
        DeviceRefusal(command.rawValue, 401, "Token is not valid for this server", close: closing ? CloseCode.policy : nil)
    }

    /// A command came before registerUA.
    public static func notRegistered(_ command: DeviceCommand.Name) -> DeviceRefusal {
        DeviceRefusal(command.rawValue, 401, "Register the device first", close: CloseCode.policy)
    }

    /// registerWA with an AppToken that belongs to another pair.
    public static let appTokenInUse = DeviceRefusal(DeviceCommand.Name.registerWA.rawValue, 409, "AppToken already in use")

    /// registerWA of more applications than a device may have.
    public static let tooManyApplications = DeviceRefusal(
        DeviceCommand.Name.registerWA.rawValue, 429, "Too many applications are registered")

    /// unregisterWA of what this device has not registered.
    public static let unknownApplication = DeviceRefusal(DeviceCommand.Name.unregisterWA.rawValue, 404, "Not registered")

    /// A messageType that is no command.
    public static func unknownMessageType(_ messageType: String) -> DeviceRefusal {
        DeviceRefusal(messageType, 405, "messageType not recognized")
    }

    /// Store or bus are unavailable.
    public static func unavailable(_ command: DeviceCommand.Name) -> DeviceRefusal {
        DeviceRefusal(command.rawValue, 503, "Try again later")
    }

    /// The answer's text.
    public var bytes: [UInt8] {
        var object = JSONObject()
        object["messageType"] = messageType.map { .text($0) }
        object["status"] = "ERROR"
        object["statusCode"] = .number(JSONNumber(Int64(statusCode)))
        object["reason"] = .text(reason)
        return JSONValue.object(object).bytes
    }
}

/// The WebSocket close codes in use.
public enum CloseCode {
    /// 1000: normal closure, after unregisterUA.
    public static let normal: UInt16 = 1000
    /// 1002: protocol error.
    public static let protocolError: UInt16 = 1002
    /// 1003: binary data, which we do not accept.
    public static let unacceptable: UInt16 = 1003
    /// 1007: bad UTF-8, or text that is no JSON object.
    public static let notConsistent: UInt16 = 1007
    /// 1008: policy violation: no registration, or a bad token in it.
    public static let policy: UInt16 = 1008
    /// 1009: message too big.
    public static let tooBig: UInt16 = 1009
    /// 1012: service restart, when the worker drains.
    public static let restart: UInt16 = 1012
    /// 4001: a newer connection with the same UAToken took over.
    public static let replaced: UInt16 = 4001
    /// 4774: nothing has passed for a while, and the device can be woken.
    public static let asleep: UInt16 = 4774
}
