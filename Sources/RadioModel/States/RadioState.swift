/// A state of a 3G device's radio, as 3GPP TS 25.331 has it and chapter 2 simplifies it, from the cheapest to the dearest.
public enum RadioState: Int, CaseIterable, Comparable, Codable, Sendable {
    /// RRC_IDLE: the radio listens to paging only. Becomes `fach` or `dch`, which takes about two seconds.
    case idle
    /// Cell_PCH or URA_PCH: connected, and only signalling. Becomes `fach` or `dch` by traffic, `idle` when T3 ends.
    case pch
    /// Cell_FACH: a channel shared with other devices, for little data. Becomes `dch` by more of it, `pch` when T2 ends.
    case fach
    /// Cell_DCH: a channel of its own. Becomes `fach` when T1 ends.
    case dch

    /// As the source document writes it, without the cell.
    public var name: String {
        switch self {
        case .idle: "IDLE"
        case .pch: "PCH"
        case .fach: "FACH"
        case .dch: "DCH"
        }
    }

    /// The name of options and of members in JSON.
    public var key: String { name.lowercased() }

    /// The state with this key.
    public init?(key: String) {
        guard let state = Self.allCases.first(where: { $0.key == key }) else { return nil }
        self = state
    }

    public static func < (first: RadioState, second: RadioState) -> Bool { first.rawValue < second.rawValue }
}

/// One value for each state.
public struct PerState<Value: Sendable>: Sendable {
    private var values: [Value]

    /// The same value for each.
    public init(repeating value: Value) { values = Array(repeating: value, count: RadioState.allCases.count) }

    public subscript(state: RadioState) -> Value {
        get { values[state.rawValue] }
        set { values[state.rawValue] = newValue }
    }
}

extension PerState: Equatable where Value: Equatable {}
