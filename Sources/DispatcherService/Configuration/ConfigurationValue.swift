import DispatcherCore

/// What a scalar of the file means.
enum ConfigurationValue: Equatable {
    case text(String)
    case flag(Bool)
    /// Numbers, bytes, bytes a second, percent.
    case number(Int)
    case interval(Interval)
    case address(IPAddress)
    case endpoint(Endpoint)

    /// Why a text does not mean what its key wants.
    struct Misread: Error {
        var reason: String
    }

    /// Reads a scalar as its key's kind says.
    init(_ text: String, as kind: ConfigurationKey.Kind) throws(Misread) {
        switch kind {
        case .boolean:
            guard text == "true" || text == "false" else { throw Misread(reason: "\(text) is not true or false") }
            self = .flag(text == "true")
        case .choice(let values):
            guard values.contains(text) else {
                let named = values.count > 8 ? "\(values[0]), \(values[1]) ... \(values[values.count - 1])" : values.joined(separator: ", ")
                throw Misread(reason: values.count == 1 ? "\(text) is not \(named)" : "\(text) is not one of \(named)")
            }
            self = .text(text)
        case .count(let range):
            guard let number = Self.digits(text) else { throw Misread(reason: "\(text) is not a whole number") }
            self = .number(try Self.within(range, number, String.init))
        case .duration: self = .interval(try Self.interval(text))
        case .size(let range): self = .number(try Self.within(range, Self.size(text), ConfigurationKey.text))
        case .rate:
            guard text.hasSuffix("/s"), let size = try? Self.size(String(text.dropLast(2))) else {
                throw Misread(reason: "\(text) is not a rate; write a number with B/s, KiB/s or MiB/s")
            }
            self = .number(size)
        case .percentage:
            guard text.hasSuffix("%"), let number = Self.digits(String(text.dropLast())), number <= 100 else {
                throw Misread(reason: "\(text) is not a percentage; write 0% to 100%")
            }
            self = .number(number)
        case .addresses:
            guard let address = IPAddress(text) else { throw Misread(reason: "\(text) is not an IP address") }
            self = .address(address)
        case .endpoint, .endpoints:
            guard let endpoint = Self.endpoint(text) else {
                throw Misread(reason: "\(text) is not an address and a port; write 10.0.0.1:80 or [fd00::1]:80")
            }
            self = .endpoint(endpoint)
        case .section, .sections, .text, .texts, .control, .anything: self = .text(text)
        }
    }

    private static func digits(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text)
    }

    private static func within(_ range: ClosedRange<Int>, _ number: Int, _ show: (Int) -> String) throws(Misread) -> Int {
        guard number >= range.lowerBound else { throw Misread(reason: "\(show(number)) is less than \(show(range.lowerBound))") }
        guard number <= range.upperBound else { throw Misread(reason: "\(show(number)) is more than \(show(range.upperBound))") }
        return number
    }

    private static func scaled(_ text: String, _ units: [(String, Int)]) -> Int? {
        for (unit, factor) in units where text.hasSuffix(unit) {
            guard let number = digits(String(text.dropLast(unit.count))) else { continue }
            let (product, overflow) = number.multipliedReportingOverflow(by: factor)
            return overflow ? nil : product
        }
        return nil
    }

    private static func interval(_ text: String) throws(Misread) -> Interval {
        guard let milliseconds = scaled(text, [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]), milliseconds <= 1_000_000_000_000
        else { throw Misread(reason: "\(text) is not a duration; write a whole number with ms, s, m or h") }
        return .milliseconds(Int64(milliseconds))
    }

    private static func size(_ text: String) throws(Misread) -> Int {
        guard let bytes = scaled(text, [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)]) else {
            throw Misread(reason: "\(text) is not a size; write a whole number with B, KiB, MiB or GiB")
        }
        return bytes
    }

    /// "10.0.0.1:80" or "[fd00::1]:80"; the port is 1 to 65535.
    static func endpoint(_ text: String) -> Endpoint? {
        guard let colon = text.lastIndex(of: ":"), let number = digits(String(text[text.index(after: colon)...])),
            let port = UInt16(exactly: number), port > 0
        else { return nil }
        var host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        guard let address = IPAddress(String(host)), address.isIPv4 != isBracketed else { return nil }
        return Endpoint(address: address, port: port)
    }
}
