import Synchronization

/// A number that goes up and down, from any thread.
final class Gauge: Sendable {
    private let number = Atomic<Int>(0)

    func add(_ amount: Int) {
        number.add(amount, ordering: .relaxed)
    }

    var value: Int { number.load(ordering: .relaxed) }
}
