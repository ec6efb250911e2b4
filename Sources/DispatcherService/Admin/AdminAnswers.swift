import DispatcherCore
import PacketIO

/// What must happen to answer a request: nothing more, or a look at the packet thread's figures at its next turn.
struct AdminAnswers: Sendable {
    enum Plan {
        case immediate(AdminResponse)
        /// Post the commands, then ask for a report and render it; not on the packet thread.
        case figures(after: [EngineCommand], render: @Sendable (LoopReport) -> AdminResponse)
        /// Load the configuration again, and tell what became of it.
        case reload(render: @Sendable (ReloadOutcome) -> AdminResponse)
    }

    /// The one that runs.
    let configuration: @Sendable () -> Configuration
    /// What the log thread has counted.
    let durations: @Sendable () -> PhaseHistograms
    let unwrittenLogLines: @Sendable () -> UInt64

    func plan(_ request: AdminRequest) -> Plan {
        switch request {
        case .refused(let response): return .immediate(response)
        case .health: return .figures(after: []) { _ in .text(200, "ok\n") }
        case .metrics:
            return .figures(after: []) { [durations] report in
                .text(200, MetricsPage.render(report, durations: durations()), contentType: "text/plain; version=0.0.4; charset=utf-8")
            }
        case .status:
            return .figures(after: []) { [configuration, unwrittenLogLines] report in
                .json(200, StatusDocument(report, configuration: configuration(), unwrittenLogLines: unwrittenLogLines()).encoded())
            }
        case .change(let pool, let server, let change):
            // The report comes after the commands and shows what became of them: a limit is kept within the server's bounds.
            return .figures(after: change.commands(pool: pool, server: server)) { report in
                guard let row = report.snapshot.pools[pool].servers.first(where: { $0.endpoint == server && $0.state != .removed }) else {
                    return .error(404, "the server \(server) was just removed")
                }
                return .encoding(200, ServerChange.Outcome(row))
            }
        case .reload:
            return .reload { outcome in
                switch outcome {
                case .loaded(let changes): .encoding(200, ["loaded": changes])
                case .refused(let reason): .error(409, reason)
                }
            }
        }
    }

    /// The packet thread did not answer: it hangs, or it has ended.
    static let unavailable = AdminResponse.error(503, "the packet thread does not answer")
}
