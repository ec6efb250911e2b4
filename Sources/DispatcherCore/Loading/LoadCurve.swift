import Glibc

/// What a server does a second as a function of the number of requests that it has at a time, learned from performance windows.
///
/// By Little's law the time of a request is R = L / X. It is taken for a + b L + c L² with no coefficient below zero: the form of the
/// universal scalability law (Gunther), in which b is contention and c is what grows with every pair of requests, as thrashing does. So X
/// rises, may be flat, and falls after its peak; it has no second one. Points near the working point count most, and old ones fade, so
/// that another form is followed where it matters.
struct LoadCurve: Sendable {
    /// What was done under one limit: in the metric's unit, in so many seconds, and in how many responses.
    struct Point: Sendable {
        var limit: Double
        var amount: Double
        var seconds: Double
        var responses: Double
        var windows: Double
    }

    /// After so many seconds a window counts half.
    static let halfLife = 240.0
    /// Points are kept apart when their limits differ by more than this part, up to so many points.
    static let apart = 0.04
    static let most = 24
    /// What a point, and a window, are wrong by besides the scatter of counting, as a part of the rate: no server is exactly of this form,
    /// nor exactly the same for long.
    static let pointError = 0.01
    static let windowError = 0.03
    /// What the curve is wrong by away from every point, as a part of the rate, for each unit of ln L.
    static let guessError = 0.5
    static let near = 0.25
    /// How far from the working point, in ln L, a point counts little more than half.
    static let reach = 1.0

    /// Surprises, in standard deviations: the most that one window counts, what each may be, what they add up to when the server has
    /// changed, and from where on a window is not believed alone.
    static let mostSurprise = 4.0
    static let allowedSurprise = 0.75
    static let changeSurprise = 6.0
    static let oddSurprise = 3.5
    /// What the old points count when the server has changed.
    static let keptAtChange = 0.04

    private(set) var points: [Point] = []
    /// How much more than by Poisson's law the numbers of responses vary: the variance as a multiple of the mean.
    private(set) var dispersion = 1.0
    /// The cumulative sums, and what was done and was expected in the odd windows among them.
    private var above = 0.0
    private var below = 0.0
    private var odd = (came: 0.0, due: 0.0)
    /// The coefficients a, b, c.
    private var form = (a: 0.0, b: 0.0, c: 0.0)

    init() { points.reserveCapacity(Self.most + 1) }

    var isEmpty: Bool { points.isEmpty }
    /// The lowest and the highest limit of which something is known.
    var lowest: Double { points.reduce(.infinity) { min($0, $1.limit) } }
    var highest: Double { points.reduce(0) { max($0, $1.limit) } }

    // MARK: Learning

    /// How far a window's rate lies from the curve, in standard deviations; nil when nothing is known of limits like that one.
    func surprise(_ figures: Performance, _ metric: Metric) -> Double? {
        let expected = rate(at: Double(figures.limit))
        guard expected > 0, figures.length > .zero else { return nil }
        let unit = self.unit(metric)
        let due = expected * figures.seconds / unit
        let came = (figures[metric] ?? 0) * figures.seconds / unit
        // Away from what was measured the curve is a guess.
        let far = points.reduce(.infinity) { min($0, abs(log($1.limit / Double(figures.limit)))) }
        guard points.count >= 2, far < Self.near else { return nil }
        // The square root of a count scatters alike at every count.
        let guess = Self.windowError + Self.guessError * far
        let error = (dispersion / 4 + due * guess * guess / 4).squareRoot()
        return ((came + 0.25).squareRoot() - (due + 0.25).squareRoot()) / error
    }

    mutating func add(_ figures: Performance, _ metric: Metric) {
        guard figures.length > .zero, figures.limit > 0 else { return }
        if let surprise = surprise(figures, metric) {
            dispersion = min(max(dispersion * (1 + 0.05 * (min(surprise * surprise, 9) - 1)), 0.5), 10)
        }
        let seconds = figures.seconds
        fade(exp2(-seconds / Self.halfLife))
        merge(
            Point(
                limit: Double(figures.limit), amount: (figures[metric] ?? 0) * seconds, seconds: seconds,
                responses: Double(figures.allResponses), windows: 1))
    }

    /// Adds a window and fits the curve near a limit, unless the server is no longer as it was: cumulative sums of the windows' surprises,
    /// upward and downward, tell (Page 1954). Then the curve is moved to the server's new speed, and counts for little.
    /// - Returns: whether the server has changed.
    mutating func learn(_ figures: Performance, _ metric: Metric, near center: Double) -> Bool {
        let surprise = (surprise(figures, metric) ?? 0).clamped(-Self.mostSurprise, Self.mostSurprise)
        above = max(0, above + surprise - Self.allowedSurprise)
        below = max(0, below - surprise - Self.allowedSurprise)
        if abs(surprise) > 2 {
            odd.came += (figures[metric] ?? 0) * figures.seconds
            odd.due += rate(at: Double(figures.limit)) * figures.seconds
        }
        if above == 0, below == 0 { odd = (0, 0) }
        let hasChanged = max(above, below) > Self.changeSurprise && odd.due > 0
        if hasChanged {
            rescale(by: (odd.came / odd.due).clamped(0.1, 10), keeping: Self.keptAtChange)
            (above, below, odd) = (0, 0, (0, 0))
        }
        // A window far off is a stall, or the first one after a change: the next ones will tell.
        guard hasChanged || abs(surprise) < Self.oddSurprise else { return false }
        add(figures, metric)
        fit(near: center, metric)
        return hasChanged
    }

    private mutating func fade(_ part: Double) {
        for index in points.indices {
            points[index].amount *= part
            points[index].seconds *= part
            points[index].responses *= part
            points[index].windows *= part
        }
        points.removeAll { $0.seconds < 0.01 }
    }

    private mutating func merge(_ point: Point) {
        func distance(_ index: Int) -> Double { abs(log(points[index].limit / point.limit)) }
        if let near = points.indices.min(by: { distance($0) < distance($1) }), distance(near) < Self.apart || points.count >= Self.most {
            let all = points[near].seconds + point.seconds
            points[near].limit = (points[near].limit * points[near].seconds + point.limit * point.seconds) / all
            points[near].amount += point.amount
            points[near].seconds = all
            points[near].responses += point.responses
            points[near].windows += point.windows
        } else {
            points.append(point)
        }
    }

    /// The server's speed has changed by a factor: the curve keeps its form, but what is known of it counts less from now on.
    private mutating func rescale(by factor: Double, keeping part: Double) {
        for index in points.indices { points[index].amount *= factor }
        fade(part)
        form = (form.a / factor, form.b / factor, form.c / factor)
    }

    /// The metric's amount of a response.
    private func unit(_ metric: Metric) -> Double {
        if metric == .requestRate { return 1 }
        let (amount, responses) = points.reduce((0.0, 0.0)) { ($0.0 + $1.amount, $0.1 + $1.responses) }
        return amount > 0 && responses > 0 ? amount / responses : 1
    }

    // MARK: Fitting

    /// Fits the curve to its points, those near a limit above all.
    mutating func fit(near center: Double, _ metric: Metric) {
        guard !points.isEmpty else { return form = (0, 0, 0) }
        let unit = self.unit(metric)
        // Several times: what a point counts depends on what the curve expects of it, not on what came by chance; and one that lies far off
        // all others, as after a stall, counts little.
        var fitted = (a: 0.0, b: 0.0, c: 0.0)
        for round in 0..<4 {
            var sums = Sums()
            for point in points {
                let time = point.limit * point.seconds / (point.amount + unit / 2)
                let u = point.limit / center
                let expected = round == 0 ? time : fitted.a + u * (fitted.b + u * fitted.c)
                let responses = max(point.limit * point.seconds / expected / unit, 0.25)
                let variance =
                    dispersion / responses + Self.pointError * Self.pointError + Self.windowError * Self.windowError / point.windows
                let distance = log(u) / Self.reach
                let off = round < 2 ? 0 : (time / expected - 1) * (time / expected - 1) / variance / 6
                sums.add(u, time, exp(-distance * distance / 2) / (variance * expected * expected) / (1 + off))
            }
            fitted = sums.solve()
        }
        form = (fitted.a, fitted.b / center, fitted.c / (center * center))
    }

    /// Weighted sums for least squares, in u = L / center.
    private struct Sums {
        var u = (0.0, 0.0, 0.0, 0.0, 0.0)
        var y = (0.0, 0.0, 0.0)

        mutating func add(_ x: Double, _ time: Double, _ weight: Double) {
            u.0 += weight
            u.1 += weight * x
            u.2 += weight * x * x
            u.3 += weight * x * x * x
            u.4 += weight * x * x * x * x
            y.0 += weight * time
            y.1 += weight * time * x
            y.2 += weight * time * x * x
        }

        /// The best coefficients, none below zero: the best of the seven choices of those that are not zero.
        func solve() -> (a: Double, b: Double, c: Double) {
            var best = (a: 0.0, b: 0.0, c: 0.0)
            var gain = -1.0
            func consider(_ a: Double, _ b: Double, _ c: Double) {
                guard a >= 0, b >= 0, c >= 0 else { return }
                // What is explained of the sum of squares.
                let explained = a * y.0 + b * y.1 + c * y.2
                if explained > gain * (1 + 1e-12) {
                    gain = explained
                    best = (a, b, c)
                }
            }
            consider(y.0 / u.0, 0, 0)
            consider(0, y.1 / u.2, 0)
            consider(0, 0, y.2 / u.4)
            func two(_ p: Double, _ q: Double, _ r: Double, _ s: Double, _ t: Double) -> (Double, Double)? {
                let determinant = p * r - q * q
                guard determinant > 1e-9 * p * r else { return nil }
                return ((s * r - t * q) / determinant, (p * t - q * s) / determinant)
            }
            if let (a, b) = two(u.0, u.1, u.2, y.0, y.1) { consider(a, b, 0) }
            if let (a, c) = two(u.0, u.2, u.4, y.0, y.2) { consider(a, 0, c) }
            if let (b, c) = two(u.2, u.3, u.4, y.1, y.2) { consider(0, b, c) }
            // All three, by Cramer's rule.
            let minors = (u.2 * u.4 - u.3 * u.3, u.1 * u.4 - u.2 * u.3, u.1 * u.3 - u.2 * u.2)
            let determinant = u.0 * minors.0 - u.1 * minors.1 + u.2 * minors.2
            if determinant > 1e-9 * u.0 * u.2 * u.4 {
                let a = y.0 * minors.0 - u.1 * (y.1 * u.4 - u.3 * y.2) + u.2 * (y.1 * u.3 - u.2 * y.2)
                let b = u.0 * (y.1 * u.4 - u.3 * y.2) - y.0 * minors.1 + u.2 * (u.1 * y.2 - y.1 * u.2)
                let c = u.0 * (u.2 * y.2 - y.1 * u.3) - u.1 * (u.1 * y.2 - y.1 * u.2) + y.0 * minors.2
                consider(a / determinant, b / determinant, c / determinant)
            }
            return best
        }
    }

    // MARK: Reading

    /// What the server is expected to do a second under a limit; 0 when nothing is known.
    func rate(at limit: Double) -> Double {
        let time = form.a + limit * (form.b + limit * form.c)
        return time > 0 ? limit / time : 0
    }

    /// d ln X / d ln L: 1 where the rate grows as the limit does, 0 at the peak, below zero past it.
    func elasticity(at limit: Double) -> Double {
        let time = form.a + limit * (form.b + limit * form.c)
        return time > 0 ? 1 - limit * (form.b + 2 * limit * form.c) / time : 0
    }

    /// By how much the elasticity at a limit may be wrong (one standard deviation), from how far apart and how well measured the points
    /// around it are.
    func elasticityError(at limit: Double) -> Double {
        var (all, first, second) = (0.0, 0.0, 0.0)
        for point in points {
            let distance = log(point.limit / limit)
            let weight =
                exp(-distance * distance / (2 * 0.25))
                / (dispersion / max(point.responses, 0.25) + Self.pointError * Self.pointError)
            all += weight
            first += weight * distance
            second += weight * distance * distance
        }
        let spread = all > 0 ? second - first * first / all : 0
        return spread > 0 ? 1 / spread.squareRoot() : .infinity
    }

    /// The lowest limit from `lowest` to `highest` at which the server does a part of the most that it does at any limit between them.
    func limit(for part: Double, from lowest: Double, to highest: Double) -> Double {
        guard form.a + form.b + form.c > 0 else { return lowest }
        let peak = form.c > 0 ? min(max((form.a / form.c).squareRoot(), lowest), highest) : form.a > 0 ? highest : lowest
        return min(limit(doing: part * rate(at: peak), below: peak), peak).clamped(lowest, highest)
    }

    /// The limit left of the peak at which the server does so much a second; `peak` when it never does.
    func limit(doing rate: Double, below peak: Double) -> Double {
        guard rate > 0 else { return 0 }
        // c L² + (b - 1/rate) L + a = 0, the lower root.
        let middle = 1 / rate - form.b
        guard middle > 0 else { return peak }
        let inner = middle * middle - 4 * form.a * form.c
        guard inner >= 0 else { return peak }
        return 2 * form.a / (middle + inner.squareRoot())
    }
}

extension Double {
    func clamped(_ low: Double, _ high: Double) -> Double { min(max(self, low), high) }
}
