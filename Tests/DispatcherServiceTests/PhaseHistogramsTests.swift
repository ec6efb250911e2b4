import DispatcherCore
import Testing

@testable import DispatcherService

struct PhaseHistogramsTests {
    @Test func countsOnlyThePhasesThatWereReached() {
        var histograms = PhaseHistograms()
        var record = RequestRecord()
        record.receive = .milliseconds(1)
        record.total = .seconds(100)
        histograms.add(record)
        #expect(histograms[.receive].count == 1 && histograms[.queue].count == 0 && histograms[.total].count == 1)
        // A value on a bound belongs to it; one above them all to the last bucket.
        #expect(histograms[.receive].buckets[3] == 1)
        #expect(histograms[.total].buckets.last == 1)
        #expect(histograms[.total].nanoseconds == 100_000_000_000)
    }

    @Test func theEndOfATunnelIsNoRequest() {
        var histograms = PhaseHistograms()
        var record = RequestRecord()
        record.kind = .tunnelClosed
        histograms.add(record)
        #expect(histograms == PhaseHistograms())
    }
}
