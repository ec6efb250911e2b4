import PushProtocol
import Testing

@Suite("Push: JSON parser")
struct JSONParserTests {
    private func parse(_ text: String) throws -> JSONValue {
        try JSONValue(parsing: Array(text.utf8))
    }

    @Test(
        "Valid texts come out as they are written without white space",
        arguments: [
            "{}", "[]", "null", "true", "false", "0", "-0", "12.50", "1e5", "1E+5", "-3.25e-7", #""""#, #""a""#,
            #"{"a":[1,{"b":null}],"c":"d"}"#, "[1,2,3]", #""é😀""#,
        ])
    func roundTrip(text: String) throws {
        #expect(String(decoding: try parse(text).bytes, as: UTF8.self) == text)
    }

    @Test("White space is skipped around every token")
    func whiteSpace() throws {
        #expect(try parse(" \t\r\n{ \"a\" : [ 1 , 2 ] } ") == ["a": [1, 2]])
    }

    @Test("Escapes, with surrogate pairs")
    func escapes() throws {
        #expect(try parse(#""\"\\\/\b\f\n\r\t\u00e9\uD83D\ude00\u0000""#).text == "\"\\/\u{8}\u{c}\n\r\té😀\0")
    }

    @Test(
        "What RFC 8259 forbids is refused",
        arguments: [
            "", " ", "{", "[", "[1,]", "{,}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, "{a:1}", "{'a':1}", "01", "-", "1.", ".5", "+1", "1e",
            "0x1",
            "NaN", "Infinity", "tru", "nul", "True", #""abc"#, "\"a\u{1}b\"", "\"a\nb\"", #""\x""#, #""\u12""#, #""\u12g4""#, "1 2", "{}}",
            "[1] x", "// c\n1", "\u{feff}{}",
        ])
    func refused(text: String) {
        #expect(throws: JSONError.self) { try parse(text) }
    }

    @Test("Lone surrogates are refused", arguments: [#""\ud83d""#, #""\ude00""#, #""\ud83dx""#, #""\ud83d\ud83d""#, #""\ud83d\u0041""#])
    func loneSurrogates(text: String) throws {
        let error = #expect(throws: JSONError.self) { try parse(text) }
        #expect(error?.fault == .loneSurrogate)
    }

    @Test(
        "Bad UTF-8 in a string is refused, also after an escape",
        arguments: [[0x22, 0xff, 0x22], [0x22, 0xed, 0xa0, 0x80, 0x22], [0x22, 0x5c, 0x6e, 0xc0, 0x80, 0x22], [0x22, 0xc3, 0x22]]
            as [[UInt8]])
    func badUTF8(bytes: [UInt8]) throws {
        let error = #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
        #expect(error?.fault == .badUTF8)
    }

    @Test("Nesting is limited")
    func depth() throws {
        let deepest = String(repeating: "[", count: JSONValue.depthLimit) + "1" + String(repeating: "]", count: JSONValue.depthLimit)
        #expect(throws: Never.self) { try parse(deepest) }
        let error = #expect(throws: JSONError.self) { try parse("[" + deepest + "]") }
        #expect(error?.fault == .tooDeep)
        #expect(throws: JSONError.self) { try parse(String(repeating: "[", count: 100_000)) }
    }

    @Test("Of a name that comes twice the last value counts; names are compared by bytes")
    func duplicates() throws {
        let object = try #require(try parse("{\"a\":1,\"a\":2,\"e\u{301}\":3}").object)
        #expect(object["a"]?.integer == 2)
        #expect(object["\u{e9}"] == nil)
        #expect(object["e\u{301}"]?.integer == 3)
    }

    @Test("Null counts as missing where that is asked")
    func present() throws {
        let object = try #require(try parse(#"{"a":null,"b":0}"#).object)
        #expect(object["a"] == .null)
        #expect(object.present("a") == nil)
        #expect(object.present("b")?.integer == 0)
    }
}

@Suite("Push: JSON number")
struct JSONNumberTests {
    @Test(
        "Whole numbers are found without floating point",
        arguments: [
            ("0", .exactly(0)), ("-0", .exactly(0)), ("60", .exactly(60)), ("60.0", .exactly(60)), ("6e1", .exactly(60)),
            ("600e-1", .exactly(60)),
            ("0.6e2", .exactly(60)), ("-5", .exactly(-5)), ("0.5", .fraction), ("60.5", .fraction), ("1e-1", .fraction),
            ("9223372036854775807", .exactly(.max)), ("9223372036854775808", .tooGreat), ("-9223372036854775808", .exactly(.min)),
            ("-9223372036854775809", .tooSmall), ("1e400", .tooGreat), ("-1e400", .tooSmall), ("0e999999999999999999999", .exactly(0)),
            ("1e-999999999999999999999", .fraction), ("99999999999999999999999999", .tooGreat),
        ] as [(String, JSONNumber.Whole)])
    func whole(text: String, expected: JSONNumber.Whole) throws {
        guard case .number(let number) = try JSONValue(parsing: Array(text.utf8)) else {
            Issue.record("\(text) is a number")
            return
        }
        #expect(number.whole == expected)
        #expect(number.lexeme == text)
    }
}

@Suite("Push: JSON writer")
struct JSONWriterTests {
    @Test("Quotes, backslashes and control characters are escaped")
    func escapes() throws {
        let value = JSONValue.text("a\"b\\c\nd\u{1}\u{7f}é")
        #expect(String(decoding: value.bytes, as: UTF8.self) == #""a\"b\\c\nd\u0001\u007fé""#)
        #expect(try JSONValue(parsing: value.bytes) == value)
    }
}
