import Foundation

/// How long something takes that goes on at an uneven speed: what was done lately counts.
public struct ProgressEstimate: Sendable {
    /// The speed is that of so many seconds.
    private static let window = 15.0

    private let total: Int
    private var marks: [(time: Double, done: Int)] = []

    /// - Parameter total: how much there is to do.
    public init(total: Int) {
        self.total = total
    }

    /// So much is done at `time`, in seconds since any moment.
    public mutating func note(done: Int, at time: Double) {
        marks.append((time, done))
        while marks.count > 2, let second = marks.dropFirst().first, second.time <= time - Self.window { marks.removeFirst() }
    }

    /// How much was done each second lately; nil: nothing was noted that says it.
    public var speed: Double? {
        guard let first = marks.first, let last = marks.last, last.time > first.time else { return nil }
        return Double(last.done - first.done) / (last.time - first.time)
    }

    /// Seconds until all is done; nil: nobody knows.
    public var secondsLeft: Double? {
        guard let last = marks.last else { return nil }
        if last.done >= total { return 0 }
        guard let speed, speed > 0 else { return nil }
        return Double(total - last.done) / speed
    }

    /// What a person reads: how much is done, how fast it goes, how long it will take.
    public func text(_ what: String) -> String {
        let done = marks.last?.done ?? 0
        let share = total > 0 ? 100 * done / total : 100
        let speed = speed.map { ", \(Self.grouped(Int($0))) a second" } ?? ""
        let left = secondsLeft.map { ", \(Self.duration($0)) left" } ?? ""
        return "\(Self.grouped(done)) of \(Self.grouped(total)) \(what) (\(share) %)\(speed)\(left)"
    }

    /// `45 s`, `2 min 15 s`, `1 h 2 min`.
    public static func duration(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        if whole < 60 { return "\(whole) s" }
        return whole < 3600 ? "\(whole / 60) min \(whole % 60) s" : "\(whole / 3600) h \(whole % 3600 / 60) min"
    }

    /// With a comma between thousands.
    public static func grouped(_ number: Int) -> String {
        number.formatted(.number.grouping(.automatic).locale(Locale(identifier: "en_US")))
    }
}
