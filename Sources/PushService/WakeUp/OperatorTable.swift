public import PushProtocol

/// A mobile operator whose network has an NS-WakeUp (chapter 4).
public struct Operator: Hashable, Sendable {
    /// The packet that wakes a device.
    public enum Packet: String, CaseIterable, Sendable {
        case udp, tcp
    }

    /// For people.
    public var name: String
    /// Mobile country code and network code, as devices write them.
    public var network: MobileNetwork
    /// The operator's addresses; a device elsewhere cannot be woken. Never empty.
    public var networks: [IPNetwork]
    /// Base URLs of its NS-WakeUps, without a slash at the end; each is asked when those before it did not answer. Never empty.
    public var wakeUpServers: [String]
    public var packet = Packet.udp

    /// An operator whose devices are woken by a datagram.
    public init(name: String, network: MobileNetwork, networks: [IPNetwork], wakeUpServers: [String]) {
        self.name = name
        self.network = network
        self.networks = networks
        self.wakeUpServers = wakeUpServers
    }
}

/// The operators whose devices can be woken.
public struct OperatorTable: Hashable, Sendable {
    private var operators: [MobileNetwork: [Operator]] = [:]

    /// A table of `operators`. Several may have the same codes and other networks; the first that fits is taken.
    public init(_ operators: [Operator] = []) {
        for one in operators { self.operators[one.network, default: []].append(one) }
    }

    /// The operator in whose network a device with this interface is; nil: it cannot be woken.
    func find(_ interface: DeviceInterface, in network: MobileNetwork) -> Operator? {
        guard let candidates = operators[network], let address = IPAddress(interface.ip) else { return nil }
        return candidates.first { $0.networks.contains { $0.contains(address) } }
    }
}
