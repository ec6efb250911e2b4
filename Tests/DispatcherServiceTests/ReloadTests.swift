import DispatcherCore
import Testing

@testable import DispatcherService

/// Which configuration may take over from another.
struct ReloadTests {
    private static let least = TestConfigurations.least

    private func merged(_ yaml: String, after running: String = least) throws -> Configuration {
        let first = try TestConfigurations.read(running)
        return try TestConfigurations.read(yaml).succeeding(first, startedWith: first)
    }

    private func reasons(_ yaml: String, after running: String = least) throws -> [String] {
        let first = try TestConfigurations.read(running)
        let other = try TestConfigurations.read(yaml)
        do throws(ReloadRefusal) {
            _ = try other.succeeding(first, startedWith: first)
            return []
        } catch {
            return error.reasons
        }
    }

    private static func replacing(_ old: String, _ new: String) -> String { least.replacingOccurrences(of: old, with: new) }

    @Test(arguments: [
        ("user: daemon\n", "user"), ("admin: { listen: 127.0.0.1:9901 }\n", "admin.listen"), ("transmit: raw\n", "transmit"),
        ("tcp: { acknowledge: immediate }\n", "tcp.acknowledge"), ("tcp: { options: mss }\n", "tcp.options"),
        ("tcp: { initial-window: client }\n", "tcp.initial-window"), ("tcp: { time-wait: 5s }\n", "tcp.time-wait"),
        ("tcp: { server-time-wait: 5s }\n", "tcp.server-time-wait"), ("tcp: { server-mss: 900 }\n", "tcp.server-mss"),
        ("tcp: { tail-custody: 4KiB }\n", "tcp.tail-custody"), ("tcp: { staging-memory: 8MiB }\n", "tcp.staging-memory"),
    ])
    func whatIsSetUpOnceIsNamed(_ line: String, _ key: String) throws {
        let found = try reasons(line + Self.least)
        #expect(found.count == 1 && found.first?.hasPrefix(key + " (") == true, "\(found)")
    }

    @Test(arguments: [
        ("fe0", "fe1", "client-side.interface"), ("be0", "be1", "server-side.interface"),
        ("interface: fe0", "interface: fe0\n  capture-memory: 8MiB", "client-side.capture-memory"),
        ("interface: fe0", "interface: fe0\n  gateway: 10.77.1.1", "client-side.gateway"),
        ("interface: fe0", "interface: fe0\n  reply-to: route", "client-side.reply-to"),
        ("interface: be0", "interface: be0\n  capture-memory: 8MiB", "server-side.capture-memory"),
        ("interface: be0", "interface: be0\n  gateway: 10.77.2.1", "server-side.gateway"),
        ("10.77.2.200", "10.77.2.201", "server-side.source-addresses"),
        ("interface: be0", "interface: be0\n  kernel-addresses: true", "server-side.kernel-addresses"),
        ("interface: be0", "interface: be0\n  first-port: 10001", "server-side.first-port"),
        ("interface: be0", "interface: be0\n  last-port: 60000", "server-side.last-port"),
        ("interface: be0", "interface: be0\n  layers: 4", "server-side.layers"),
        ("interface: be0", "interface: be0\n  servers: 8", "server-side.servers"),
        ("interface: be0", "interface: be0\n  connections-per-server: 300\n  layers: 4", "server-side.connections-per-server"),
        ("listen: 10.77.1.100:80", "listen: 10.77.1.100:81", "services[].listen of files"),
        ("name: files", "name: others", "services: others is new"),
        ("listen: 10.77.1.100:80", "listen: 10.77.1.100:80\n    owned-by-kernel: true", "services[].owned-by-kernel of files"),
        ("listen: 10.77.1.100:80", "listen: 10.77.1.100:80\n    mode: l4/3", "services[].mode of files"),
        ("listen: 10.77.1.100:80", "listen: 10.77.1.100:80\n    limits: { connections: 200000 }", "services[].limits.connections of files"),
    ])
    func whatCannotMoveIsNamed(_ old: String, _ new: String, _ key: String) throws {
        let found = try reasons(Self.replacing(old, new))
        #expect(found.contains { $0.hasPrefix(key) }, "\(found)")
    }

    @Test func everyReasonIsGivenAtOnce() throws {
        let found = try reasons("user: daemon\ntransmit: raw\n" + Self.replacing("name: files", "name: others"))
        #expect(found.count == 4 && found.contains("services: files is missing"), "\(found)")
    }

    @Test func theRestIsTaken() throws {
        let other = try merged(
            """
            log: { level: debug }
            stop: { drain: 3s }
            client-side:
              interface: fe0
            server-side:
              interface: be0
              source-addresses: [10.77.2.200]
            services:
              - name: files
                listen: 10.77.1.100:80
                limits: { connections: 500, idle: 5s }
                routes:
                  - path-prefix: /api
                    pool: api
                  - pool: web
            pools:
              - name: api
                servers:
                  - address: 10.77.2.14:8080
              - name: web
                balance: least-connections
                servers:
                  - address: 10.77.2.13:8080
            """)
        // The pool that was there keeps its place; routes follow.
        #expect(other.pools.map(\.name) == ["web", "api"] && other.pools.map(\.isRetired) == [false, false])
        #expect(other.services[0].routes.map(\.pool) == [1, 0])
        #expect(other.logLevel == "debug" && other.drain == .seconds(3) && other.services[0].limits.connections == 500)
    }

    @Test func aPoolThatIsMissingIsRetiredAndComesBackToItsPlace() throws {
        let first = try TestConfigurations.read(Self.least)
        let renamed = try TestConfigurations.read(
            Self.replacing("pool: web", "pool: new").replacingOccurrences(of: "name: web", with: "name: new"))
        let second = try renamed.succeeding(first, startedWith: first)
        #expect(second.pools.map(\.name) == ["web", "new"] && second.pools[0].retired == .l73 && second.pools[1].retired == nil)
        #expect(second.services[0].routes.map(\.pool) == [1] && second.pools[0].servers.count == 2)
        #expect(
            second.changes(since: first)
                == "1 pools with 2 servers; new pools: new; retired pools: web; new servers: new/10.77.2.11:8080, new/10.77.2.12:8080; removed servers: web/10.77.2.11:8080, web/10.77.2.12:8080"
        )
        let third = try TestConfigurations.read(Self.least).succeeding(second, startedWith: first)
        #expect(third.pools.map(\.name) == ["web", "new"] && third.pools.map(\.isRetired) == [false, true])
        // What is retired keeps its mode: another one needs another name.
        let forwarded = Self.replacing("listen: 10.77.1.100:80", "listen: 10.77.1.100:80\n    mode: l4/3")
        #expect(try reasons(forwarded).contains { $0.hasPrefix("pools: web is used in mode l7/3 now") })
    }

    @Test func serversThatTheGuardOrTheFilterMustKnowNeedARestart() throws {
        let kernel = Self.replacing("interface: be0", "interface: be0\n  kernel-addresses: true")
        let new = kernel.replacingOccurrences(of: "10.77.2.12", with: "10.77.2.13")
        #expect(try reasons(new, after: kernel).map { $0.contains("10.77.2.13:8080 is new") } == [true])
        let fewer = kernel.replacingOccurrences(of: "\n      - address: 10.77.2.12:8080", with: "")
        #expect(try reasons(fewer, after: kernel) == [])
        #expect(try reasons(kernel, after: kernel) == [])
        let kept = Self.replacing("listen: 10.77.1.100:80", "listen: 10.77.1.100:80\n    mode: l4/3")
            .replacingOccurrences(of: "  - name: web", with: "  - name: web\n    l4: { source: keep }")
        let keptNew = kept.replacingOccurrences(of: "10.77.2.12", with: "10.77.2.13")
        #expect(try reasons(keptNew, after: kept).map { $0.contains("l4.source: keep") } == [true])
    }
}
