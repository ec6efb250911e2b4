import PushProtocol

/// Notes as datagrams: version, kind, then fixed fields in network byte order.
extension BusNote {
    /// The most devices of one `arrived` note: what fits well into a datagram.
    public static let deviceLimit = 500
    /// The longest body that a note carries, in bytes: what fits well into a datagram.
    public static let bodyLimit = 4096

    private static let version: UInt8 = 1
    private enum Kind: UInt8 {
        case accepted = 1
        case arrived = 2
        case replaced = 3
        case wakeUps = 4
        case message = 5
    }

    /// The longest datagram.
    static let longest = 2 + 8 + deviceLimit * DeviceID.length

    var datagram: [UInt8] {
        switch self {
        case .accepted(let application, let sequence): Self.head(.accepted) + Self.bigEndian(application) + Self.bigEndian(sequence)
        case .arrived(let sequence, let devices): Self.head(.arrived) + Self.bigEndian(sequence) + devices.flatMap(\.bytes)
        case .replaced(let device, let connection): Self.head(.replaced) + Self.bigEndian(connection) + device.bytes
        case .wakeUps: Self.head(.wakeUps) + Self.bigEndian(0)
        case .message(let message, let device, let previous): Self.datagram(message, device, previous)
        }
    }

    // MARK: A message

    /// Device, three numbers, whether it is transient, AppToken; the body follows.
    private static let messageHead = DeviceID.length + 3 * 8 + 1 + AppToken.length

    private static func datagram(_ message: StoredMessage, _ device: DeviceID, _ previous: Int64) -> [UInt8] {
        var bytes = head(.message)
        bytes.reserveCapacity(10 + messageHead + message.body.bytes.count)
        bytes += bigEndian(message.sequence)
        bytes += device.bytes
        for number in [previous, message.accepted, message.expires] { bytes += bigEndian(number) }
        bytes.append(message.isTransient ? 1 : 0)
        bytes += message.appToken.bytes
        bytes += message.body.bytes
        return bytes
    }

    private static func message(sequence: Int64, _ rest: ArraySlice<UInt8>) -> BusNote? {
        guard rest.count >= messageHead, rest.count <= messageHead + bodyLimit else { return nil }
        var rest = rest
        func next(_ count: Int) -> ArraySlice<UInt8> {
            defer { rest = rest.dropFirst(count) }
            return rest.prefix(count)
        }
        guard let device = DeviceID(bytes: next(DeviceID.length)) else { return nil }
        let (previous, accepted, expires) = (integer(next(8)), integer(next(8)), integer(next(8)))
        let isTransient = next(1).first == 1
        guard let token = AppToken(bytes: Array(next(AppToken.length))) else { return nil }
        let message = StoredMessage(
            sequence: sequence, appToken: token, body: NotificationBody(bytes: Array(rest)), isTransient: isTransient, accepted: accepted,
            expires: expires)
        return .message(message, device: device, previous: previous)
    }

    // MARK: Parts

    /// The note in a datagram; nil when it is none of ours.
    init?(datagram: some Collection<UInt8>) {
        let bytes = Array(datagram)
        guard bytes.count >= 10, bytes[0] == Self.version, let kind = Kind(rawValue: bytes[1]) else { return nil }
        let first = Self.integer(bytes[2..<10])
        let rest = bytes[10...]
        switch kind {
        case .accepted:
            guard rest.count == 8 else { return nil }
            self = .accepted(application: first, sequence: Self.integer(rest))
        case .arrived:
            guard rest.count.isMultiple(of: DeviceID.length), rest.count <= Self.deviceLimit * DeviceID.length else { return nil }
            let devices = stride(from: rest.startIndex, to: rest.endIndex, by: DeviceID.length).compactMap {
                DeviceID(bytes: rest[$0..<$0 + DeviceID.length])
            }
            self = .arrived(sequence: first, devices: devices)
        case .replaced:
            guard let device = DeviceID(bytes: rest) else { return nil }
            self = .replaced(device: device, connection: first)
        case .wakeUps:
            guard rest.isEmpty else { return nil }
            self = .wakeUps
        case .message:
            guard let note = Self.message(sequence: first, rest) else { return nil }
            self = note
        }
    }

    private static func head(_ kind: Kind) -> [UInt8] {
        [version, kind.rawValue]
    }

    private static func bigEndian(_ value: Int64) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }

    private static func integer(_ bytes: ArraySlice<UInt8>) -> Int64 {
        Int64(bitPattern: bytes.reduce(0) { $0 << 8 | UInt64($1) })
    }
}
