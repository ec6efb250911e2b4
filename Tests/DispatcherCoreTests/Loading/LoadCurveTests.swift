import Glibc
import Testing

@testable import DispatcherCore

@Suite("A server's curve")
struct LoadCurveTests {
    private func curve(_ model: inout ServerModel, _ limits: [Int], windows: Int, near center: Double) -> LoadCurve {
        var curve = LoadCurve()
        for _ in 0..<windows { for limit in limits { curve.add(model.countedWindow(limit: limit), .requestRate) } }
        curve.fit(near: center, .requestRate)
        return curve
    }

    private func trueElasticity(_ model: ServerModel, _ limit: Double) -> Double {
        log(model.throughput(limit * 1.001) / model.throughput(limit / 1.001)) / (2 * log(1.001))
    }

    @Test("rate and elasticity of a server that was measured at some limits, between them", arguments: 1...60 as ClosedRange<UInt64>)
    func fit(seed: UInt64) {
        var model = ServerModel(optimise: seed)
        let center = 6.0 + Double(seed % 20)
        let limits = [0.5, 0.75, 1, 1.4, 2].map { Int(center * $0) }
        let curve = curve(&model, limits, windows: 30, near: center)
        let rate = model.throughput(center)
        #expect(abs(curve.rate(at: center) / rate - 1) < 0.04, "\(curve.rate(at: center)) instead of \(rate)")
        let elasticity = trueElasticity(model, center)
        let error = curve.elasticityError(at: center)
        #expect(abs(curve.elasticity(at: center) - elasticity) < 0.05 + 4 * error, "\(curve.elasticity(at: center)): \(elasticity)")
        #expect(error < 0.15)
    }

    @Test("bytes give the same curve as responses", arguments: 1...10 as ClosedRange<UInt64>)
    func bytes(seed: UInt64) {
        var model = ServerModel(optimise: seed)
        var (responses, bytes) = (LoadCurve(), LoadCurve())
        for _ in 0..<10 {
            for limit in [4, 8, 16] {
                let figures = model.countedWindow(limit: limit)
                responses.add(figures, .requestRate)
                bytes.add(figures, .throughput)
            }
        }
        responses.fit(near: 8, .requestRate)
        bytes.fit(near: 8, .throughput)
        #expect(abs(bytes.rate(at: 8) / responses.rate(at: 8) / 1_000 - 1) < 1e-6)
        #expect(abs(bytes.elasticity(at: 8) - responses.elasticity(at: 8)) < 1e-6)
    }

    @Test("nearly the peak, left of it; the whole range where there is none")
    func limits() {
        var model = ServerModel(optimise: 1)
        (model.contention, model.coherency, model.rate) = (0, 0.01, 200)
        let thrashing = curve(&model, [2, 4, 8, 16, 32], windows: 200, near: 10)
        #expect(abs(thrashing.limit(for: 1, from: 1, to: 256) - 9.95) < 1.5)
        #expect(abs(thrashing.limit(for: 0.9, from: 1, to: 256) - 6.3) < 1)
        #expect(thrashing.limit(for: 0.9, from: 20, to: 40) == 20 && thrashing.limit(for: 1, from: 1, to: 3) == 3)
        model.coherency = 0
        let rising = curve(&model, [2, 4, 8, 16, 32], windows: 200, near: 16)
        #expect(rising.limit(for: 1, from: 1, to: 256) > 100 && rising.elasticity(at: 16) > 0.85)
    }

    @Test("one stall in a window is not believed; a server that has become half as fast is after few windows, and its peak is remembered")
    func change() {
        var model = ServerModel(optimise: 1)
        (model.contention, model.coherency, model.rate) = (0.05, 0.01, 200)
        var curve = curve(&model, [4, 8, 12], windows: 20, near: 8)
        let before = curve.rate(at: 8)
        var stalled = model.countedWindow(limit: 8)
        stalled.allResponses /= 3
        let taken = curve.learn(stalled, .requestRate, near: 8)
        #expect(!taken && curve.rate(at: 8) == before)
        for _ in 0..<6 {
            let changed = curve.learn(model.countedWindow(limit: 8), .requestRate, near: 8)
            #expect(!changed)
        }
        model.rate = 100
        var windows = 0
        while windows < 10 {
            windows += 1
            if curve.learn(model.countedWindow(limit: 8), .requestRate, near: 8) { break }
        }
        #expect(windows <= 3)
        #expect(abs(curve.rate(at: 8) / model.throughput(8) - 1) < 0.2)
        #expect(abs(curve.elasticity(at: 8) - trueElasticity(model, 8)) < 0.25)
    }

    @Test("windows without time or responses do no harm; the points stay few")
    func bounds() {
        var curve = LoadCurve()
        curve.add(Performance(), .requestRate)
        #expect(curve.isEmpty && curve.rate(at: 5) == 0 && curve.elasticityError(at: 5) == .infinity)
        var figures = Performance()
        figures.length = .seconds(2)
        for limit in 1...400 {
            figures.limit = limit
            figures.allResponses = limit % 3 == 0 ? 0 : limit
            curve.add(figures, .throughput)
            curve.fit(near: Double(limit), .throughput)
            #expect(curve.rate(at: Double(limit)).isFinite && curve.elasticity(at: Double(limit)).isFinite)
        }
        #expect(curve.points.count <= LoadCurve.most)
    }
}
