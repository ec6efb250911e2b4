/// One key of the configuration file: what docs/configuration.md and the reader know of it.
public struct ConfigurationKey: Sendable {
    /// What may stand there.
    public enum Kind: Equatable, Sendable {
        /// A mapping of further keys.
        case section
        /// A list of mappings.
        case sections
        case text
        /// A text, or a list of them.
        case texts
        case boolean
        case choice([String])
        case count(ClosedRange<Int>)
        /// A whole number with ms, s, m or h.
        case duration
        /// A whole number with B, KiB, MiB or GiB; the range is in bytes.
        case size(ClosedRange<Int>)
        /// A size with /s.
        case rate
        /// A whole number with %.
        case percentage
        /// An IPv4 or IPv6 address, or a list of them.
        case addresses
        /// An address and a port.
        case endpoint
        /// The same, or a list of them.
        case endpoints
        /// `fixed`, or a mapping that names a controller.
        case control
        /// Something that only a later release reads.
        case anything
    }

    /// How far this release has it.
    public enum Built: String, Sendable {
        case yes
        /// Some of its values only.
        case partly
        case later
    }

    /// As in the documentation: `services[].limits.head`; `[]` stands for any element of a list.
    public var path: String
    public var kind: Kind
    /// As written in the file; nil: none. In words where it follows from other keys.
    public var standard: String?
    public var isRequired = false
    public var built = Built.yes
    /// The values that are built, when not all are.
    public var builtValues: [String] = []
    /// Whether only IPv4 is built.
    var isIPv4Only = false
    /// Says of a text what it may be.
    var form: String?

    /// The unit as the documentation has it.
    public var unit: String {
        if let form { return form }
        return switch kind {
        case .section: "section"
        case .sections: "list of sections"
        case .text: "text"
        case .texts: "text or list"
        case .boolean: "true or false"
        case .choice(let values): values.joined(separator: ", ")
        case .count(let range):
            range.upperBound == .max ? "number from \(range.lowerBound)" : "number \(range.lowerBound) to \(range.upperBound)"
        case .duration: "duration"
        case .size(let range): range == Self.anySize ? "size" : "size \(Self.text(range.lowerBound)) to \(Self.text(range.upperBound))"
        case .rate: "rate"
        case .percentage: "percentage"
        case .addresses: "address or list"
        case .endpoint: "address:port"
        case .endpoints: "address:port or list"
        case .control: "fixed or section"
        case .anything: "any"
        }
    }

    static let anySize = 0...Int.max

    /// Bytes with the largest unit that divides them.
    static func text(_ bytes: Int) -> String {
        for (name, size) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] where bytes >= size && bytes % size == 0 {
            return "\(bytes / size)\(name)"
        }
        return "\(bytes)B"
    }
}
