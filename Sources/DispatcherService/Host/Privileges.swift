import CLinux
import Glibc

/// What the process may do, and how it gives that up.
enum Privileges {
    /// - Throws: `ServiceError` (`notPermitted`) without CAP_NET_RAW and CAP_NET_ADMIN.
    static func require() throws(ServiceError) {
        var effective: UInt64 = 0
        guard clinux_capabilities(&effective) == 0 else {
            throw ServiceError(.failed, "cannot read the capabilities of this process: \(String(cString: strerror(errno)))")
        }
        if let missing = missing(effective) {
            throw ServiceError(
                .notPermitted,
                "not permitted: capturing and sending frames needs \(missing); start as root, or grant them: setcap cap_net_raw,cap_net_admin+ep PROGRAM"
            )
        }
    }

    /// The names of the capabilities that a set lacks; nil = none.
    static func missing(_ effective: UInt64) -> String? {
        let needed = [("CAP_NET_RAW", CLINUX_CAP_NET_RAW), ("CAP_NET_ADMIN", CLINUX_CAP_NET_ADMIN)]
        let lacking = needed.filter { effective & (1 << UInt64($0.1)) == 0 }.map(\.0)
        return lacking.isEmpty ? nil : lacking.joined(separator: " and ")
    }

    /// A user of this host.
    struct User: Equatable {
        var name: String
        var id: uid_t
        var group: gid_t

        /// - Throws: `ServiceError` when there is no such user, and for root: nothing would be given up.
        init(named name: String) throws(ServiceError) {
            guard let entry = getpwnam(name) else { throw ServiceError(.failed, "user: there is no user \(name) on this host") }
            guard entry.pointee.pw_uid != 0 else { throw ServiceError(.failed, "user: \(name) is root; name a user without privileges") }
            self.name = name
            id = entry.pointee.pw_uid
            group = entry.pointee.pw_gid
        }
    }

    /// Becomes `user`, if the process is root, and keeps no capability. Threads that are started later inherit that; user and group
    /// change in every thread.
    static func drop(to user: User) throws(ServiceError) {
        if geteuid() == 0, clinux_become(user.id, user.group) != 0 {
            throw ServiceError(.failed, "cannot become the user \(user.name): \(String(cString: strerror(errno)))")
        }
        guard clinux_drop_capabilities() == 0 else {
            throw ServiceError(.failed, "cannot give up capabilities: \(String(cString: strerror(errno)))")
        }
    }
}
