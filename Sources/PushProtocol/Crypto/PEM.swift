/// The textual encoding of keys (RFC 7468).
enum PEM {
    /// The bytes of the first block with `label` in `text`; text around it is ignored. Nil without such a block, or with a bad one.
    static func decode(_ text: String, label: String) -> [UInt8]? {
        let begin = "-----BEGIN \(label)-----"
        let end = "-----END \(label)-----"
        guard let start = text.firstRange(of: begin), let stop = text[start.upperBound...].firstRange(of: end) else { return nil }
        return Base64.decode(text[start.upperBound..<stop.lowerBound])
    }

    /// A block with `label` in lines of 64 characters, with a line end after the last.
    static func encode(_ bytes: [UInt8], label: String) -> String {
        var text = "-----BEGIN \(label)-----\n"
        var rest = Base64.encode(bytes)[...]
        while !rest.isEmpty {
            text += rest.prefix(64) + "\n"
            rest = rest.dropFirst(64)
        }
        return text + "-----END \(label)-----\n"
    }
}
