/// One JSON value (RFC 8259), as strictly read as the push protocol asks (chapter 3; `docs/push-protocol.md`, "WebSocket").
///
/// Numbers keep the text they came in, so that `id`, `timestamp` and `priority` are delivered exactly as they were sent.
public enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case text(String)
    case array([JSONValue])
    case object(JSONObject)

    /// The text, when the value is one.
    public var text: String? {
        if case .text(let text) = self { text } else { nil }
    }

    /// The object, when the value is one.
    public var object: JSONObject? {
        if case .object(let object) = self { object } else { nil }
    }

    /// The elements, when the value is an array.
    public var array: [JSONValue]? {
        if case .array(let array) = self { array } else { nil }
    }

    /// The number as an `Int64`, when the value is a whole number that fits.
    public var integer: Int64? {
        guard case .number(let number) = self, case .exactly(let value) = number.whole else { return nil }
        return value
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral {
    public init(stringLiteral value: String) { self = .text(value) }
    public init(integerLiteral value: Int64) { self = .number(JSONNumber(value)) }
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }
}

/// The members of a JSON object in the order they were written.
///
/// Of a name that comes twice the last value counts (RFC 8259 leaves it open; JavaScript's parser does so).
public struct JSONObject: Hashable, Sendable {
    private struct Member: Hashable, Sendable {
        let name: String
        let value: JSONValue
    }

    private var members: [Member] = []

    /// An object without members.
    public init() {}

    /// An object with `members`.
    public init(_ members: [(String, JSONValue)]) {
        self.members = members.map { Member(name: $0, value: $1) }
    }

    /// The value of `name`; nil removes it, or says that it is missing. Names are compared byte by byte, not as Unicode does.
    public subscript(name: String) -> JSONValue? {
        get { members.last { Self.isSame($0.name, name) }?.value }
        set {
            members.removeAll { Self.isSame($0.name, name) }
            if let newValue { append(name, newValue) }
        }
    }

    private static func isSame(_ one: String, _ other: String) -> Bool {
        one.utf8.count == other.utf8.count && one.utf8.elementsEqual(other.utf8)
    }

    /// Appends a member without a look at those before it: a hostile object must not cost the square of its length.
    mutating func append(_ name: String, _ value: JSONValue) {
        members.append(Member(name: name, value: value))
    }

    /// The value of `name`, where null counts as missing.
    public func present(_ name: String) -> JSONValue? {
        guard let value = self[name], value != .null else { return nil }
        return value
    }

    /// Calls `body` with every member in order.
    func forEach(_ body: (String, JSONValue) -> Void) {
        for member in members { body(member.name, member.value) }
    }
}
