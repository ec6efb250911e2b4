import Glibc

extension DeviceCommand {
    /// The command in a text frame.
    ///
    /// Checked in the order of the fine print: JSON, object, messageType a text, messageType known, members. A public key is checked
    /// with the members; `permittedBits` are the sizes of modulus that are taken.
    public init(frame: UnsafeRawBufferPointer, permittedBits: ClosedRange<Int> = RSAPublicKey.permittedBits) throws(DeviceRefusal) {
        guard let value = try? JSONValue(parsing: frame), let object = value.object else { throw .notJSON }
        guard let typeName = object.present("messageType")?.text else { throw .badMember("messageType must be a text", of: nil) }
        guard let name = Name(rawValue: typeName) else { throw .unknownMessageType(typeName) }
        let members = Members(object: object, name: name)
        switch name {
        case .registerUA:
            let data = try members.data()
            self = .registerUA(
                token: try data.text("uatoken"), interface: try data.interface(), network: try data.network())
        case .registerWA:
            let data = try members.data()
            self = .registerWA(token: try data.optionalText("uatoken"), application: try data.application(permittedBits: permittedBits))
        case .unregisterWA:
            let data = try members.data()
            self = .unregisterWA(token: try data.optionalText("uatoken"), application: try data.application(permittedBits: permittedBits))
        case .getRegisteredWA: self = .getRegisteredWA
        case .unregisterUA: self = .unregisterUA
        case .getAllMessages: self = .getAllMessages(token: try members.data().text("uatoken"))
        case .ack: self = .ack(messageID: try members.text("messageId"))
        }
    }
}

/// An object of a command, and the path that its members are named by in refusals.
private struct Members {
    let object: JSONObject
    let name: DeviceCommand.Name
    var path = ""

    private func refusal(_ member: String, _ what: String) -> DeviceRefusal {
        .badMember("\(path)\(member) \(what)", of: name.rawValue)
    }

    func data() throws(DeviceRefusal) -> Members {
        guard let object = object.present("data")?.object else { throw refusal("data", "must be an object") }
        return Members(object: object, name: name, path: "data.")
    }

    private func optionalObject(_ member: String) throws(DeviceRefusal) -> Members? {
        guard let value = object.present(member) else { return nil }
        guard let object = value.object else { throw refusal(member, "must be an object") }
        return Members(object: object, name: name, path: "\(path)\(member).")
    }

    func text(_ member: String) throws(DeviceRefusal) -> String {
        guard let text = object.present(member)?.text else { throw refusal(member, "must be a text") }
        return text
    }

    func optionalText(_ member: String) throws(DeviceRefusal) -> String? {
        try object.present(member) == nil ? nil : text(member)
    }

    func interface() throws(DeviceRefusal) -> DeviceInterface? {
        guard let members = try optionalObject("interface") else { return nil }
        let ip = try members.text("ip")
        guard isLiteralAddress(ip) else { throw members.refusal("ip", "must be a literal IPv4 or IPv6 address") }
        return DeviceInterface(ip: ip, port: try members.port())
    }

    private func port() throws(DeviceRefusal) -> UInt16 {
        var port: Int64?
        switch object.present("port") {
        case .number(let number)?: if case .exactly(let value) = number.whole { port = value }
        case .text(let text)? where text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }: port = Int64(text)
        default: break
        }
        guard let port, (1...65535).contains(port) else { throw refusal("port", "must be a number or text in 1...65535") }
        return UInt16(port)
    }

    func network() throws(DeviceRefusal) -> MobileNetwork? {
        guard let members = try optionalObject("mobilenetwork") else { return nil }
        return MobileNetwork(mcc: try members.text("mcc"), mnc: try members.text("mnc"))
    }

    func application(permittedBits: ClosedRange<Int>) throws(DeviceRefusal) -> ApplicationPair {
        let watoken = try text("watoken")
        guard !watoken.isEmpty else { throw refusal("watoken", "must not be empty") }
        guard watoken.utf8.count <= ApplicationPair.watokenLimit else {
            throw refusal("watoken", "must not be longer than \(ApplicationPair.watokenLimit) bytes")
        }
        let pbkbase64 = try text("pbkbase64")
        do throws(PublicKeyRefusal) {
            _ = try RSAPublicKey(pbkbase64: pbkbase64, permittedBits: permittedBits)
        } catch {
            switch error {
            case .notAKey:
                throw refusal("pbkbase64", "must be base64 of an RSA public key as PEM (BEGIN PUBLIC KEY) or DER SubjectPublicKeyInfo")
            case .notRSA: throw refusal("pbkbase64", "must be an RSA public key")
            case .bits(let bits):
                throw refusal("pbkbase64", "must have \(permittedBits.lowerBound) to \(permittedBits.upperBound) bits, not \(bits)")
            }
        }
        return ApplicationPair(watoken: watoken, pbkbase64: pbkbase64)
    }
}

/// Whether `text` is a literal IPv4 or IPv6 address (RFC 4291, section 2.2), without a zone.
private func isLiteralAddress(_ text: String) -> Bool {
    guard !text.utf8.contains(0) else { return false }
    var storage = in6_addr()
    return inet_pton(AF_INET, text, &storage) == 1 || inet_pton(AF_INET6, text, &storage) == 1
}
