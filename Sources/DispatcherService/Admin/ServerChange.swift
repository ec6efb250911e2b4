import DispatcherCore
import Foundation

/// What `POST /pools/P/servers/S` asks for: one key at least of `state`, `limit`, `weight`, `band`. It is read whole before anything changes.
struct ServerChange: Equatable {
    struct Fault: Error { var reason: String }

    struct Band: Equatable {
        var low: Double?
        var high: Double?
    }

    var order: ServerOrder?
    var limit: Int?
    var weight: Int?
    var band: Band?

    init(order: ServerOrder? = nil, limit: Int? = nil, weight: Int? = nil, band: Band? = nil) {
        self.order = order
        self.limit = limit
        self.weight = weight
        self.band = band
    }

    /// - Parameters:
    ///   - object: the body.
    ///   - control: what moves the limit of the server's pool.
    init(_ object: [String: Any], controlledBy control: LimitControl) throws(Fault) {
        for key in object.keys.sorted() where !["state", "limit", "weight", "band"].contains(key) {
            throw Fault(reason: "unknown key: \(key)")
        }
        guard !object.isEmpty else { throw Fault(reason: "one of the keys state, limit, weight, band is needed") }
        if let value = object["state"] {
            guard let text = value as? String, let order = ServerOrder(rawValue: text) else {
                throw Fault(reason: "state must be one of \(ServerOrder.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            self.order = order
        }
        if let value = object["limit"] { limit = try Self.whole(value, "limit", 0...65_535) }
        if let value = object["weight"] { weight = try Self.whole(value, "weight", 1...65_535) }
        if let value = object["band"] { band = try Self.band(value, control) }
    }

    private static func whole(_ value: Any, _ key: String, _ range: ClosedRange<Int>) throws(Fault) -> Int {
        guard let number = value as? NSNumber, isWhole(number), range.contains(number.intValue) else {
            throw Fault(reason: "\(key) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number.intValue
    }

    /// true and false are numbers to Foundation; they are none to us.
    private static func isWhole(_ number: NSNumber) -> Bool {
        let type = UInt8(bitPattern: number.objCType.pointee)
        return type != UInt8(ascii: "c") && type != UInt8(ascii: "B") && number.doubleValue == Double(number.intValue)
    }

    private static func band(_ value: Any, _ control: LimitControl) throws(Fault) -> Band {
        guard let metric = control.metric else { throw Fault(reason: "band: no metric is held in this pool (limit.control)") }
        guard let object = value as? [String: Any], !object.isEmpty, object.keys.allSatisfy({ $0 == "from" || $0 == "to" }) else {
            throw Fault(reason: "band must be an object with from, to, or both, such as {\"from\": \"5ms\", \"to\": \"20ms\"}")
        }
        var ends: [String: Double] = [:]
        for (key, end) in object {
            let text = end as? String ?? (end as? NSNumber).map { "\($0)" } ?? ""
            do throws(ConfigurationValue.Misread) {
                ends[key] = ConfigurationDecoder.figure(try ConfigurationValue(text, as: ConfigurationDecoder.kind(of: metric)))
            } catch {
                throw Fault(reason: "band: \(key): \(error.reason)")
            }
        }
        if let fault = LimitControl.hold(metric, low: ends["from"], high: ends["to"]).fault { throw Fault(reason: "band: \(fault)") }
        return Band(low: ends["from"], high: ends["to"])
    }

    /// In the order in which they take effect.
    func commands(pool: Int, server: Endpoint) -> [EngineCommand] {
        var commands: [EngineCommand] = []
        if let weight { commands.append(.setWeight(pool: pool, server: server, weight: weight)) }
        if let band { commands.append(.setBand(pool: pool, server: server, low: band.low, high: band.high)) }
        if let limit { commands.append(.setLimit(pool: pool, server: server, limit: limit)) }
        if let order { commands.append(.order(pool: pool, server: server, order)) }
        return commands
    }

    /// What the server is like after it.
    struct Outcome: Encodable {
        struct Band: Encodable {
            var from: Double?
            var to: Double?
        }
        var state: String
        var limit: Int
        var weight: Int
        /// In the metric's unit: seconds, or a number a second.
        var band: Band?

        init(_ server: Snapshot.Server) {
            state = server.state.label
            limit = server.limit
            weight = server.weight
            if server.held != nil { band = Band(from: server.bandLow, to: server.bandHigh) }
        }
    }
}
