import CLinux
public import DispatcherCore
import Glibc

/// What the kernel says about a network interface when it is opened.
public struct NetworkInterface: Sendable {
    public var name: String
    /// The largest IP packet of its link, bytes.
    public var mtu: Int
    public var hardwareAddress: HardwareAddress
    public var isUp: Bool
    public var isEthernet: Bool
    /// Whether its hosts have hardware addresses that ARP finds out: not on a loopback device.
    public var hasNeighbours: Bool
    /// Whether it leads back to this host.
    public var isLoopback: Bool
    /// The kernel's number of it.
    public var index: Int32

    public init(
        name: String, mtu: Int, hardwareAddress: HardwareAddress, isUp: Bool = true, isEthernet: Bool = true, hasNeighbours: Bool = true,
        isLoopback: Bool = false, index: Int32 = 0
    ) {
        self.name = name
        self.mtu = mtu
        self.hardwareAddress = hardwareAddress
        self.isUp = isUp
        self.isEthernet = isEthernet
        self.hasNeighbours = hasNeighbours
        self.isLoopback = isLoopback
        self.index = index
    }

    /// Asks the kernel; needs no permission.
    /// - Throws: `CaptureError` (`noSuchInterface`, or `failed` with errno's reason).
    public init(named name: String) throws(CaptureError) {
        var found = clinux_interface()
        guard clinux_interface_query(name, &found) == 0 else {
            if errno == ENODEV { throw CaptureError(.noSuchInterface, "the interface \(name) does not exist") }
            throw CaptureError(.failed, "cannot read the properties of the interface \(name): \(String(cString: strerror(errno)))")
        }
        let bytes = found.hardware
        let bits = [bytes.0, bytes.1, bytes.2, bytes.3, bytes.4, bytes.5].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        self.init(
            name: name, mtu: Int(found.mtu), hardwareAddress: HardwareAddress(bits: bits), isUp: found.flags & UInt32(IFF_UP) != 0,
            isEthernet: found.hardware_type == 1 || found.hardware_type == 772,
            hasNeighbours: found.hardware_type == 1 && found.flags & UInt32(IFF_NOARP) == 0,
            isLoopback: found.flags & UInt32(IFF_LOOPBACK) != 0, index: found.index)
    }
}
