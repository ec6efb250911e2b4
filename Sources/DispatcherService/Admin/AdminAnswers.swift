import DispatcherCore
import PacketIO

/// What must happen to answer a request: nothing more, or a look at the packet thread's figures at its next turn.
struct AdminAnswers: Sendable {
    enum Plan {
        case immediate(AdminResponse)
        /// Post the command, if any, then ask for a report and render it; not on the packet thread.
        case figures(after: EngineCommand?, render: @Sendable (LoopReport) -> AdminResponse)
    }

    let configuration: Configuration
    /// What the log thread has counted.
    let durations: @Sendable () -> PhaseHistograms
    let unwrittenLogLines: @Sendable () -> UInt64

    func plan(_ request: AdminRequest) -> Plan {
        switch request {
        case .refused(let response): return .immediate(response)
        case .health: return .figures(after: nil) { _ in .text(200, "ok\n") }
        case .metrics:
            return .figures(after: nil) { [durations] report in
                .text(200, MetricsPage.render(report, durations: durations()), contentType: "text/plain; version=0.0.4; charset=utf-8")
            }
        case .status:
            return .figures(after: nil) { [configuration, unwrittenLogLines] report in
                .json(200, StatusDocument(report, configuration: configuration, unwrittenLogLines: unwrittenLogLines()).encoded())
            }
        case .setLimit(let pool, let server, let limit):
            // The report comes after the command and shows what became of it: a limit is clamped to the server's bounds.
            return .figures(after: .setLimit(pool: pool, server: server, limit: limit)) { report in
                .json(200, Array("{\"limit\": \(report.snapshot.pools[pool].servers[server].limit)}\n".utf8))
            }
        }
    }

    /// The packet thread did not answer: it hangs, or it has ended.
    static let unavailable = AdminResponse.error(503, "the packet thread does not answer")
}
