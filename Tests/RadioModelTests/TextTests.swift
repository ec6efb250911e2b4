import RadioModel
import Testing

@Suite("Radio: what is read from text")
struct TextTests {
    @Test("units: what is left out keeps its value")
    func units() throws {
        let units = try RadioUnits(parsing: "dch=120.5,pch=0")
        #expect(RadioState.allCases.map { units[$0] } == [1, 0, 40, 120.5])
        #expect(try RadioUnits(parsing: "idle=1,pch=2,fach=40,dch=100") == .standard)
    }

    @Test(
        "units that are none are refused by name",
        arguments: ["", "dch", "dch=", "dch=x", "dch=-1", "dch=inf", "dch=nan", "lte=3", "DCH=3", "dch=1,dch=2", "dch=1,", "dch=1=2"])
    func badUnits(_ text: String) {
        let error = #expect(throws: RadioError.self) { _ = try RadioUnits(parsing: text) }
        #expect(error?.description.contains("\"") == true)
    }

    @Test("times")
    func times() {
        let known: [(String, Duration)] = [
            ("30", .seconds(30)), ("0.5s", .milliseconds(500)), ("4m", .seconds(240)), ("24h", .seconds(86_400)), ("1d", .seconds(86_400)),
            ("0", .zero), ("1.5h", .seconds(5_400)),
        ]
        for (text, time) in known { #expect(Duration(parsing: text) == time, "\(text)") }
        for text in ["", "s", "-1", "1e3", "0x10", "inf", "nan", "1 s", "1y", "1.2.3", "10001d", "٣", "+5"] {
            #expect(Duration(parsing: text) == nil, "\(text)")
        }
        #expect(
            [Duration.seconds(5), .milliseconds(1_500), .milliseconds(-20), .microseconds(1_234_567)].map(\.secondsText) == [
                "5", "1.5", "-0.02", "1.235",
            ])
    }

    @Test("addresses")
    func addresses() {
        #expect(NetworkAddress("10.0.0.2")?.description == "10.0.0.2")
        #expect(NetworkAddress("2001:DB8:0:0::1")?.description == "2001:db8::1")
        #expect(NetworkAddress("0.0.0.1") != NetworkAddress("::1"))
        for text in ["", "10.0.0", "10.0.0.256", "example.org", "10.0.0.1:80", "[::1]", "fe80::1%eth0"] {
            #expect(NetworkAddress(text) == nil, "\(text)")
        }
    }
}
