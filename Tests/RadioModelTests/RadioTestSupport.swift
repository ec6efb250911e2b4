import RadioModel

/// Traffic in a few words: at a second, so many bytes.
func up(_ seconds: Double, _ bytes: Int = 100) -> RadioPacket {
    RadioPacket(at: .milliseconds(Int64((seconds * 1_000).rounded())), bytes: bytes, direction: .up)
}

func down(_ seconds: Double, _ bytes: Int = 100) -> RadioPacket {
    RadioPacket(at: .milliseconds(Int64((seconds * 1_000).rounded())), bytes: bytes, direction: .down)
}

/// Changes in a few words, such as "2.0 IDLE FACH".
func words(_ changes: [RadioChange]) -> [String] { changes.map { "\($0.at.secondsText) \($0.from.name) \($0.to.name)" } }

func rules(_ set: (inout NetworkRules) -> Void = { _ in }) -> NetworkRules {
    var rules = NetworkRules()
    rules.t3 = .seconds(300)
    set(&rules)
    return rules
}

func changes(_ packets: [RadioPacket], _ rules: NetworkRules) -> [RadioChange] {
    var machine = RadioMachine(rules: rules)
    var changes: [RadioChange] = []
    for packet in packets { machine.receive(packet, into: &changes) }
    machine.settle(into: &changes)
    return changes
}

/// The same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}
