import Glibc

/// Compares fewer with more connections around a centre in four windows: fewer, more, more, fewer, so that a steady drift of the load
/// cancels out.
struct LoadProbe: Sendable {
    let fewer: Int
    let more: Int
    private var window = 0

    /// - Parameter width: how far the two lie from the centre, as a part of it; by one connection at least.
    /// - Returns: nil when the bounds leave nothing to compare.
    init?(around center: Double, width: Double, minimum: Int, maximum: Int) {
        var low = Int((center / (1 + width)).rounded())
        var high = Int((center * (1 + width)).rounded())
        let middle = Int(center.rounded())
        if low >= middle { low = middle - 1 }
        if high <= middle { high = middle + 1 }
        if low < 1 { (low, high) = (1, 2) }
        fewer = min(max(low, minimum), maximum)
        more = min(max(high, minimum), maximum)
        guard fewer < more else { return nil }
    }

    /// The limit of the window that is under way.
    var limit: Int { window == 0 || window == 3 ? fewer : more }

    /// A window has ended.
    /// - Returns: whether it was the last one.
    mutating func advance() -> Bool {
        window += 1
        return window == 4
    }
}
