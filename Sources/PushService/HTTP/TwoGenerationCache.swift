import Synchronization

/// A map of bounded size that forgets what was not used for longest, roughly: entries live in a young and an old half; a use moves
/// one into the young half; when that is full, the old half is forgotten and the young one becomes old.
final class TwoGenerationCache<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct Generations {
        var young: [Key: Value] = [:]
        var old: [Key: Value] = [:]
    }

    private let half: Int
    private let generations = Mutex(Generations())

    /// A cache of at most `limit` entries.
    init(limit: Int) {
        half = max(1, limit / 2)
    }

    /// Reads and changes the value of `key` in one step; nil stands for no value.
    func update<Outcome: Sendable>(_ key: Key, _ body: (inout Value?) -> Outcome) -> Outcome {
        generations.withLock { generations in
            var value = generations.young.removeValue(forKey: key) ?? generations.old.removeValue(forKey: key)
            let outcome = body(&value)
            if let value {
                if generations.young.count >= half {
                    generations.old = generations.young
                    generations.young = [:]
                }
                generations.young[key] = value
            }
            return outcome
        }
    }

    subscript(key: Key) -> Value? {
        get { update(key) { $0 } }
        set { update(key) { $0 = newValue } }
    }

    /// How many entries there are.
    var count: Int {
        generations.withLock { $0.young.count + $0.old.count }
    }
}
