import PushProtocol
import Testing

@Suite("Push: device commands")
struct DeviceCommandTests {
    private static let key = try! RSAPrivateKey.generate(bits: 2048).pbkbase64

    private func parse(_ text: String) throws -> DeviceCommand {
        try Array(text.utf8).withUnsafeBytes { try DeviceCommand(frame: $0) }
    }

    private func refusal(_ text: String) -> DeviceRefusal? {
        #expect(throws: DeviceRefusal.self) { try parse(text) }
    }

    @Test("Every command is read")
    func commands() throws {
        let pair = ApplicationPair(watoken: "w", pbkbase64: Self.key)
        let data = #"{"uatoken":"t","watoken":"w","pbkbase64":"\#(Self.key)"}"#
        #expect(try parse(#"{"messageType":"registerUA","data":{"uatoken":"t"}}"#) == .registerUA(token: "t", interface: nil, network: nil))
        #expect(try parse(#"{"messageType":"registerWA","data":\#(data)}"#) == .registerWA(token: "t", application: pair))
        #expect(try parse(#"{"messageType":"unregisterWA","data":\#(data)}"#) == .unregisterWA(token: "t", application: pair))
        #expect(try parse(#"{"messageType":"getRegisteredWA"}"#) == .getRegisteredWA)
        #expect(try parse(#"{"messageType":"unregisterUA","more":[1]}"#) == .unregisterUA)
        #expect(try parse(#"{"messageType":"getAllMessages","data":{"uatoken":"t"}}"#) == .getAllMessages(token: "t"))
        #expect(try parse(#"{"messageType":"ack","messageId":"m"}"#) == .ack(messageID: "m"))
    }

    @Test("Interface and network are read; null counts as missing", arguments: ["8080", #""8080""#])
    func interface(port: String) throws {
        let text =
            #"{"messageType":"registerUA","data":{"uatoken":"t","interface":{"ip":"fd00::1","port":\#(port)},"mobilenetwork":{"mcc":"214","mnc":"07"}}}"#
        guard case .registerUA("t", let interface?, let network?) = try parse(text) else {
            Issue.record("it has an interface and a network")
            return
        }
        #expect(interface.ip == "fd00::1" && interface.port == 8080)
        #expect(network.mcc == "214" && network.mnc == "07")
        let nulls = #"{"messageType":"registerUA","data":{"uatoken":"t","interface":null,"mobilenetwork":null}}"#
        #expect(try parse(nulls) == .registerUA(token: "t", interface: nil, network: nil))
    }

    @Test("Checks come in the order of the fine print")
    func order() {
        #expect(refusal("{")?.closeCode == CloseCode.notConsistent)
        #expect(refusal("[1]")?.closeCode == CloseCode.notConsistent)
        #expect(refusal(#"{"messageType":"\ud800"}"#)?.closeCode == CloseCode.notConsistent)
        #expect(refusal("[1]")?.reason == "Data received is not a valid JSON package")
        for text in [#"{"data":1}"#, #"{"messageType":7}"#, #"{"messageType":null}"#] {
            let refusal = refusal(text)
            #expect(refusal?.statusCode == 400 && refusal?.messageType == nil && refusal?.closeCode == nil)
            #expect(refusal?.reason.contains("messageType") == true)
        }
        let unknown = refusal(#"{"messageType":"nonsense","data":7}"#)
        #expect(unknown?.statusCode == 405 && unknown?.messageType == "nonsense" && unknown?.closeCode == nil)
        #expect(unknown?.reason == "messageType not recognized")
    }

    @Test(
        "A missing or mistyped member is named, and the socket stays open",
        arguments: [
            (#"{"messageType":"registerUA"}"#, "data"), (#"{"messageType":"registerUA","data":[]}"#, "data"),
            (#"{"messageType":"registerUA","data":{}}"#, "uatoken"), (#"{"messageType":"registerUA","data":{"uatoken":1}}"#, "uatoken"),
            (#"{"messageType":"registerUA","data":{"uatoken":"t","interface":1}}"#, "interface"),
            (#"{"messageType":"registerUA","data":{"uatoken":"t","interface":{"port":1}}}"#, "ip"),
            (#"{"messageType":"registerUA","data":{"uatoken":"t","interface":{"ip":"host","port":1}}}"#, "ip"),
            (#"{"messageType":"registerUA","data":{"uatoken":"t","interface":{"ip":"1.2.3.4"}}}"#, "port"),
            (#"{"messageType":"registerUA","data":{"uatoken":"t","interface":{"ip":"1.2.3.4","port":0}}}"#, "port"),
            (#"{"messageType":"registerUA","data":{"uatoken":"t","interface":{"ip":"1.2.3.4","port":65536}}}"#, "port"),
            (#"{"messageType":"registerUA","data":{"uatoken":"t","interface":{"ip":"1.2.3.4","port":"+1"}}}"#, "port"),
            (#"{"messageType":"registerUA","data":{"uatoken":"t","interface":{"ip":"1.2.3.4","port":true}}}"#, "port"),
            (#"{"messageType":"registerUA","data":{"uatoken":"t","mobilenetwork":{"mcc":"1"}}}"#, "mnc"),
            (#"{"messageType":"registerUA","data":{"uatoken":"t","mobilenetwork":{"mcc":1,"mnc":"1"}}}"#, "mcc"),
            (#"{"messageType":"registerWA","data":{"watoken":"w"}}"#, "pbkbase64"), (#"{"messageType":"registerWA","data":{}}"#, "watoken"),
            (#"{"messageType":"registerWA","data":{"watoken":""}}"#, "watoken"),
            (#"{"messageType":"registerWA","data":{"uatoken":1,"watoken":"w"}}"#, "uatoken"),
            (#"{"messageType":"registerWA","data":{"watoken":"w","pbkbase64":"AAAA"}}"#, "pbkbase64"),
            (#"{"messageType":"unregisterWA","data":{"watoken":7}}"#, "watoken"),
            (#"{"messageType":"getAllMessages","data":{}}"#, "uatoken"), (#"{"messageType":"ack"}"#, "messageId"),
            (#"{"messageType":"ack","messageId":7}"#, "messageId"),
        ])
    func members(text: String, name: String) {
        let refusal = refusal(text)
        #expect(refusal?.statusCode == 400 && refusal?.closeCode == nil && refusal?.messageType != nil)
        #expect(refusal?.reason.contains(name) == true)
    }

    @Test("A WAToken may have 256 bytes of UTF-8, not characters")
    func watokenSize() throws {
        func command(_ watoken: String) -> String {
            #"{"messageType":"registerWA","data":{"watoken":"\#(watoken)","pbkbase64":"\#(Self.key)"}}"#
        }
        #expect(throws: Never.self) { try parse(command(String(repeating: "é", count: 128))) }
        #expect(refusal(command(String(repeating: "é", count: 128) + "x"))?.reason.contains("watoken") == true)
    }

    @Test("A refusal's text echoes the messageType")
    func refusalText() throws {
        let text = String(decoding: DeviceRefusal.badToken(.registerUA, closing: true).bytes, as: UTF8.self)
        #expect(text == #"{"messageType":"registerUA","status":"ERROR","statusCode":401,"reason":"Token is not valid for this server"}"#)
    }
}
