import Foundation
import PushProtocol
import Testing

/// These run the built tool over capture files made here.
@Suite("The tool: radio")
struct RadioCommandTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private static let begin: UInt32 = 1_767_225_600  // 2026-01-01T00:00:00Z

    private func little(_ words: [UInt32]) -> [UInt8] { words.flatMap { withUnsafeBytes(of: $0.littleEndian, Array.init) } }

    /// A pcap file of raw IP packets: second, source, destination, length.
    private func capture(_ packets: [(second: Double, from: UInt8, to: UInt8, length: Int)], name: String = "a.pcap") throws -> String {
        var bytes = little([0xA1B2_C3D4, 0x0004_0002, 0, 0, 65_535, 101])
        for packet in packets {
            let whole = packet.second.rounded(.down)
            let micro = UInt32(((packet.second - whole) * 1e6).rounded())
            let header: [UInt8] = [0x45, 0, UInt8(packet.length >> 8), UInt8(packet.length & 0xFF), 0, 0, 0, 0, 64, 17, 0, 0]
            bytes +=
                little([Self.begin + UInt32(whole), micro, 20, UInt32(packet.length)]) + header + [
                    10, 0, 0, packet.from, 10, 0, 0, packet.to,
                ]
        }
        try Data(bytes).write(to: URL(fileURLWithPath: directory.path + "/" + name))
        return name
    }

    private func radio(_ arguments: String...) throws -> (code: Int32, output: String, errors: String) {
        try Executable("sluice", ["radio"] + arguments, in: directory.path).result()
    }

    private func json(_ arguments: String...) throws -> [String: Any] {
        let result = try Executable("sluice", ["radio", "--json"] + arguments, in: directory.path).result()
        try #require(result.code == 0, "\(result.errors)")
        return try #require(try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any])
    }

    private func seconds(_ report: [String: Any], _ state: String) throws -> Double {
        let whole = try #require(report["whole"] as? [String: Any])
        let states = try #require(whole["states"] as? [String: [String: Double]])
        return try #require(states[state]?["seconds"])
    }

    @Test("the table for people")
    func table() throws {
        let file = try capture([(0, 2, 1, 100), (0.5, 1, 2, 60), (4_000, 9, 2, 600)])
        let result = try radio(file, "--t3", "5m", "--duration", "2h", "--timeline", "1h")
        #expect(result.code == 0 && result.errors.isEmpty)
        #expect(
            result.output == """
                a.pcap: device 10.0.0.2
                from 2026-01-01T00:00:00Z until 2026-01-01T02:00:00Z (7200.0 s)

                state  seconds   share  units   share
                IDLE    6531.0  90.7 %   6531  59.9 %
                PCH      600.0   8.3 %   1200  11.0 %
                FACH      62.0   0.9 %   2480  22.7 %
                DCH        7.0   0.1 %    700   6.4 %
                all     7200.0          10911
                on average 1.52 units a second

                packets     1 up (100 bytes), 2 down (660 bytes)
                promotions  2: IDLE to FACH 1, IDLE to DCH 1; paged by the network 1
                releases    T1 1, T2 2, T3 2

                from                    IDLE    PCH  FACH  DCH  units  promotions  packets  bytes
                2026-01-01T00:00:00Z  3268.0  300.0  32.0  0.0   5148           1        2    160
                2026-01-01T01:00:00Z  3263.0  300.0  30.0  7.0   5763           1        1    600

                """)
    }

    @Test("options reach the model")
    func options() throws {
        let file = try capture([(0, 2, 1, 100), (100, 9, 2, 600)])
        let plain = try json(file)
        #expect(try seconds(plain, "idle") == 0 && seconds(plain, "pch") == 68 + 1_800)
        #expect(try seconds(plain, "fach") == 62 && seconds(plain, "dch") == 5)
        #expect((plain["whole"] as? [String: Any])?["units"] as? Double == 6_716.0)  // 2 * 1,868 + 40 * 62 + 500
        #expect(plain["device"] as? [String] == ["10.0.0.2"])

        #expect(try seconds(json(file, "--no-pch"), "idle") == 68)
        #expect(try seconds(json(file, "--no-pch", "--idle-delay", "0"), "fach") == 60)
        #expect(try seconds(json(file, "--fast-dormancy", "3"), "fach") == 5)
        #expect(try seconds(json(file, "--t1", "20", "--t2", "10"), "dch") == 20)
        #expect(try seconds(json(file, "--dch-threshold", "600"), "dch") == 0)
        #expect(try seconds(json(file, "--dch-threshold", "99/600"), "dch") == 7)
        #expect(try seconds(json(file, "--idle-to", "dch"), "dch") == 12)
        #expect(try seconds(json(file, "--device", "10.0.0.9"), "dch") == 7)
        let units = try json(file, "--units", "idle=0,pch=0,fach=1,dch=0")
        #expect((units["whole"] as? [String: Any])?["units"] as? Double == 62.0)
        // 50 s before the device is back in PCH: of the second packet nothing counts.
        #expect(try seconds(json(file, "--from", "+10s", "--until", "2026-01-01T00:01:00Z"), "fach") == 22)
        let uncounted = try #require(json(file, "--until", "+1m")["uncounted"] as? [String: Int])
        #expect(uncounted["outside"] == 1 && uncounted["others"] == 0)
    }

    @Test("bad captures and unclear devices are errors that say what to do")
    func errors() throws {
        let missing = try radio("none.pcap")
        #expect(missing.code == 1 && missing.errors.contains("none.pcap: No such file"))
        try Data("a text".utf8).write(to: URL(fileURLWithPath: directory.path + "/text"))
        let text = try radio("text")
        #expect(text.code == 1 && text.errors.contains("must be a capture of tcpdump"))
        let unclear = try radio(try capture([(0, 2, 1, 100)]))
        #expect(unclear.code == 1 && unclear.errors.contains("--device") && unclear.errors.contains("10.0.0.1 (1 packets)"))
        let other = try radio(try capture([(0, 2, 1, 100)]), "--device", "192.0.2.1")
        #expect(other.code == 1 && other.errors.contains("none of its 1 IP packets is from or to 192.0.2.1; it has "))
        let empty = try radio(try capture([]))
        #expect(empty.code == 1 && empty.errors.contains("it has no packet at all"))
        let file = directory.path + "/" + (try capture([(0, 2, 1, 100), (100, 2, 1, 100)]))
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        try bytes.dropLast().write(to: URL(fileURLWithPath: file))
        let cut = try radio("a.pcap", "--device", "10.0.0.2")
        #expect(cut.code == 0 && cut.errors.contains("ends inside a packet") && cut.output.contains("packets     1 up (100 bytes)"))
        try bytes.prefix(24 + 20).write(to: URL(fileURLWithPath: file))
        #expect(try radio("a.pcap").errors.contains("it is cut inside its first packet"))
        bytes.replaceSubrange(20..<24, with: [105, 0, 0, 0])
        try bytes.write(to: URL(fileURLWithPath: file))
        let radiotap = try radio("a.pcap")
        #expect(radiotap.code == 1 && radiotap.errors.contains("802.11") && radiotap.errors.contains("Linux cooked"))
    }

    @Test("packets out of order are put into order, with a remark")
    func order() throws {
        let file = try capture([(100, 2, 1, 100), (0, 2, 1, 600)])
        let result = try radio(file, "--device", "10.0.0.2")
        #expect(result.code == 0 && result.errors.contains("1 packets were up to 100 s out of order"))
        #expect(result.output.contains("IDLE to DCH 1"))
        let report = try json(file, "--device", "10.0.0.2")
        #expect(report["outOfOrder"] as? Int == 1)
        #expect(try seconds(report, "dch") == 7)
    }

    @Test(
        "options that cannot be are refused before the capture is read",
        arguments: [
            ["--t1", "x"], ["--t1", "0"], ["--t2", "-3"], ["--t3", "8d"], ["--units", "lte=3"], ["--idle-to", "pch"],
            ["--dch-threshold", "a/b"],
            ["--dch-threshold", "1/2/3"], ["--fach-rate", "0"], ["--device", "example.org"], ["--from", "yesterday"], ["--duration", "0"],
            ["--duration", "1h", "--until", "+1h"], ["--timeline", "0"], ["--fast-dormancy", "0"], ["--idle-delay", "2m"],
        ])
    func usage(_ arguments: [String]) throws {
        let result = try Executable("sluice", ["radio", "none.pcap"] + arguments, in: directory.path).result()
        #expect(result.code == 2, "\(result.errors)")
        #expect(!result.errors.contains("No such file"))
    }
}
