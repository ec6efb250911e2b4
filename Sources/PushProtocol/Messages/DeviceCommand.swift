/// What a device asks through its WebSocket (chapter 3, "WebSocket API").
public enum DeviceCommand: Hashable, Sendable {
    case registerUA(token: String, interface: DeviceInterface?, network: MobileNetwork?)
    case registerWA(token: String?, application: ApplicationPair)
    case unregisterWA(token: String?, application: ApplicationPair)
    case getRegisteredWA
    case unregisterUA
    case getAllMessages(token: String)
    case ack(messageID: String)

    /// The names of the commands on the wire.
    public enum Name: String, CaseIterable, Sendable {
        case registerUA, registerWA, unregisterWA, getRegisteredWA, unregisterUA, getAllMessages, ack
    }

    /// Which command it is.
    public var name: Name {
        switch self {
        case .registerUA: .registerUA
        case .registerWA: .registerWA
        case .unregisterWA: .unregisterWA
        case .getRegisteredWA: .getRegisteredWA
        case .unregisterUA: .unregisterUA
        case .getAllMessages: .getAllMessages
        case .ack: .ack
        }
    }
}

/// Where a device waits for wake-up notices.
public struct DeviceInterface: Hashable, Sendable {
    /// A literal IPv4 or IPv6 address.
    public let ip: String
    /// 1...65535.
    public let port: UInt16

    /// The interface with this address and port.
    public init(ip: String, port: UInt16) {
        self.ip = ip
        self.port = port
    }
}

/// The mobile network that a device is in.
public struct MobileNetwork: Hashable, Sendable {
    /// Mobile country code.
    public let mcc: String
    /// Mobile network code.
    public let mnc: String

    /// The network with these codes.
    public init(mcc: String, mnc: String) {
        self.mcc = mcc
        self.mnc = mnc
    }
}

/// WAToken and public key: together they name an application and user.
public struct ApplicationPair: Hashable, Sendable {
    /// The longest WAToken in bytes of UTF-8.
    public static let watokenLimit = 256

    public let watoken: String
    /// The key's text as it was sent.
    public let pbkbase64: String

    /// The pair of `watoken` and `pbkbase64`.
    public init(watoken: String, pbkbase64: String) {
        self.watoken = watoken
        self.pbkbase64 = pbkbase64
    }

    /// The AppToken of the pair.
    public var appToken: AppToken { AppToken(watoken: watoken, pbkbase64: pbkbase64) }
}
