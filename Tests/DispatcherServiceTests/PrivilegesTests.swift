import Testing

@testable import DispatcherService

struct PrivilegesTests {
    @Test func namesWhatIsMissing() {
        #expect(Privileges.missing(0) == "CAP_NET_RAW and CAP_NET_ADMIN")
        #expect(Privileges.missing(1 << 12) == "CAP_NET_RAW")
        #expect(Privileges.missing(1 << 13) == "CAP_NET_ADMIN")
        #expect(Privileges.missing(1 << 12 | 1 << 13 | 1) == nil)
    }

    @Test func theUserMustBeThereAndNotRoot() throws {
        #expect(throws: ServiceError(.failed, "user: there is no user no-such-user on this host")) {
            _ = try Privileges.User(named: "no-such-user")
        }
        #expect(throws: ServiceError(.failed, "user: root is root; name a user without privileges")) {
            _ = try Privileges.User(named: "root")
        }
        #expect(try Privileges.User(named: "nobody").id != 0)
    }
}
