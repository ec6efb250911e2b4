import Testing

@testable import DispatcherCore

@Suite struct FieldLineTests {
    private static func read(_ text: String) -> String {
        [UInt8](latin1: text).withUnsafeBytes { bytes in
            switch FieldStep.read(bytes, at: 0) {
            case .field(let line):
                let name = [UInt8](bytes[line.nameStart..<line.nameEnd]).latin1
                return "\(name)|\([UInt8](bytes[line.valueStart..<line.valueEnd]).latin1)|\(line.next)"
            case .end(let next): return "end \(next)"
            case .bad(let fault): return "\(fault)"
            }
        }
    }

    @Test(arguments: [
        ("A: b\r\n", "A|b|6"), ("A:b\r\n", "A|b|5"), ("A:\r\n", "A||4"), ("A: \t \r\n", "A||7"), ("A:\t b c\t \r\n", "A|b c|11"),
        ("A: b:c\r\n", "A|b:c|8"), ("A: \u{e9}\r\n", "A|\u{e9}|6"), ("A: b\tc\r\n", "A|b\tc|8"), ("\r\n", "end 2"),
        ("A: b\n", "bareLF"), ("A: b\rc\r\n", "bareCR"), ("A: b\r\r\n", "bareCR"), ("A: b\0\r\n", "controlByte"),
        ("A: \u{7f}\r\n", "controlByte"),
        ("A: \u{b}\r\n", "controlByte"), (" A: b\r\n", "foldedLine"), ("\tA: b\r\n", "foldedLine"), (": b\r\n", "emptyName"),
        ("A : b\r\n", "whitespaceInName"), ("A\t: b\r\n", "whitespaceInName"), ("A b: c\r\n", "whitespaceInName"),
        ("A\u{b}: b\r\n", "controlByte"),
        ("A\u{85}: b\r\n", "nameByte"), ("A(: b\r\n", "nameByte"), ("A\r\n", "missingColon"), ("A\n", "bareLF"), ("A\rB", "bareCR"),
        ("\rA", "bareCR"),
        ("\n", "bareLF"), ("", "incomplete"), ("A", "incomplete"), ("A:", "incomplete"), ("A: b", "incomplete"), ("A: b\r", "incomplete"),
        ("\r", "incomplete"), ("A: \t", "incomplete"),
    ])
    func lines(text: String, expected: String) { #expect(Self.read(text) == expected) }

    @Test func listMembers() {
        func members(_ text: String) -> ([String], Bool) {
            let bytes = [UInt8](latin1: text)
            return bytes.withUnsafeBytes { pointer in
                var list = ListMembers(pointer, 0, pointer.count)
                var found: [String] = []
                while let member = list.next() { found.append([UInt8](pointer[member.start..<member.end]).latin1) }
                return (found, list.sawEmpty)
            }
        }
        #expect(members("a") == (["a"], false))
        #expect(members("a, b\t,c") == (["a", "b", "c"], false))
        #expect(members("") == ([], false))
        #expect(members(",a") == (["a"], true))
        #expect(members("a,") == (["a"], true))
        #expect(members("a,,b") == (["a", "b"], true))
        #expect(members(" , ") == ([], true))
    }
}
