import Testing

@testable import DispatcherCore

struct ServerPlanTests {
    private static func pool(_ name: String, _ servers: [Int], retired: DispatchMode? = nil) -> PoolConfiguration {
        var pool = PoolConfiguration(name: name, servers: servers.map { ServerConfiguration(endpoint: .server($0)) })
        pool.retired = retired
        return pool
    }

    private static func seat(_ server: Int, pool: Int = 0, isRemoved: Bool = false, isVacant: Bool = false) -> ServerPlan.Seat {
        ServerPlan.Seat(pool: pool, endpoint: .server(server), isRemoved: isRemoved, isVacant: isVacant)
    }

    @Test func theFirstPlanGivesPlacesInOrder() throws {
        let plan = try ServerPlan([Self.pool("a", [0, 1]), Self.pool("b", [0])], seats: [], capacity: 3)
        #expect(plan.lists == [[0, 1], [2]] && plan.added == [0, 1, 2] && plan.removed.isEmpty && plan.used == 3)
    }

    @Test func thoseThatStayKeepTheirPlaces() throws {
        let seats = [Self.seat(0), Self.seat(1), Self.seat(0, pool: 1)]
        let plan = try ServerPlan([Self.pool("a", [2, 1]), Self.pool("b", [0])], seats: seats, capacity: 4)
        #expect(plan.lists == [[3, 1], [2]] && plan.added == [3] && plan.removed == [0] && plan.used == 4)
    }

    @Test func vacantPlacesAreTakenBeforeFreshOnes() throws {
        let seats = [Self.seat(0), Self.seat(1, isRemoved: true, isVacant: true), Self.seat(2, isRemoved: true)]
        let plan = try ServerPlan([Self.pool("a", [0, 3, 4])], seats: seats, capacity: 4)
        #expect(plan.lists == [[0, 1, 3]] && plan.added == [1, 3] && plan.removed.isEmpty)
    }

    @Test func whoIsNotEmptyYetComesBackToItsPlace() throws {
        let seats = [Self.seat(0), Self.seat(1, isRemoved: true)]
        let plan = try ServerPlan([Self.pool("a", [1, 0])], seats: seats, capacity: 2)
        #expect(plan.lists == [[1, 0]] && plan.added == [1])
    }

    @Test func aRetiredPoolKeepsWhatIsLeftAndGetsNothing() throws {
        let seats = [Self.seat(0), Self.seat(1, isRemoved: true)]
        let plan = try ServerPlan([Self.pool("a", [0, 1, 2], retired: .l73)], seats: seats, capacity: 2)
        #expect(plan.lists == [[0]] && plan.added.isEmpty && plan.removed.isEmpty)
    }

    @Test func aShortageSaysWhatIsMissing() {
        let seats = [Self.seat(0), Self.seat(1, isRemoved: true)]
        let shortage = #expect(throws: ServerPlan.Shortage.self) {
            _ = try ServerPlan([Self.pool("a", [0, 2])], seats: seats, capacity: 2)
        }
        #expect(
            shortage?.description
                == "server-side.servers: of 2 places 0 are free, but 1 more servers need one; 1 are taken by removed servers that are not empty yet"
        )
        #expect(throws: ServerPlan.Shortage.self) { _ = try ServerPlan([Self.pool("a", [0, 1, 2])], seats: [], capacity: 2) }
    }
}
