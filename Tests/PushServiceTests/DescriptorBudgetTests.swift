import NIOCore
import Synchronization
import Testing

@testable import PushService

@Suite("Push: descriptors")
struct DescriptorBudgetTests {
    @Test("Devices stop first, then application servers; the operator is never refused")
    func order() {
        let connections = FrontConnections()
        let budget = DescriptorBudget(connections: connections) { .init(limit: 120, open: 40 + connections.open) }
        var refused: [WorkerFront: Int] = [:]
        for open in 0..<80 {
            for front in WorkerFront.allCases where refused[front] == nil && !budget.allows(front, isShort: false) { refused[front] = open }
            connections.opened(.userAgents)
        }
        // 80 are left beside what else is open; devices leave 30 of them, application servers 7.
        #expect(refused == [.userAgents: 50, .tls: 50, .applicationServers: 73, .wakeUp: 73])
        for _ in 0..<30 { connections.closed(.userAgents) }
        #expect(!budget.allows(.userAgents, isShort: false))
        connections.closed(.userAgents)
        #expect(budget.allows(.userAgents, isShort: false))
        #expect(!budget.allows(.userAgents, isShort: true))
        for _ in 0..<3 { connections.closed(.userAgents) }
        #expect(budget.allows(.userAgents, isShort: true))
    }

    @Test("What else is open, and the limit, are measured again")
    func measured() {
        let figures = Mutex<DescriptorBudget.Figures?>(nil)
        let budget = DescriptorBudget(connections: FrontConnections()) { figures.withLock { $0 } }
        let start = NIODeadline.now()
        #expect(budget.allows(.userAgents, isShort: true))
        figures.withLock { $0 = .init(limit: 100, open: 90) }
        budget.refresh(now: start + .seconds(2))
        #expect(!budget.allows(.userAgents, isShort: false) && budget.allows(.applicationServers, isShort: false))
        figures.withLock { $0 = .init(limit: 1000, open: 90) }
        budget.refresh(now: start + .milliseconds(2100))
        #expect(!budget.allows(.userAgents, isShort: false))
        budget.refresh(now: start + .seconds(4))
        #expect(budget.allows(.userAgents, isShort: true))
    }

    @Test("The kernel's figures are of this process")
    func system() throws {
        let figures = try #require(DescriptorBudget.system())
        #expect(figures.open > 3 && figures.open < figures.limit)
    }
}
