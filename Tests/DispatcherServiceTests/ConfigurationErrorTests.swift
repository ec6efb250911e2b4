import Foundation
import Testing

@testable import DispatcherService

struct ConfigurationErrorTests {
    /// A change of the least file, and what must be said of it; `@` stands for the file's name.
    struct Case: Sendable, CustomTestStringConvertible {
        var replace: String
        var with: String
        var said: [String]

        var testDescription: String { said.first ?? with }
    }

    private static func pool(_ text: String, _ said: String...) -> Case {
        Case(replace: "  - name: web", with: "  - name: web\n    \(text)", said: said.map { "@:13: \($0)" })
    }

    private static func service(_ text: String, _ said: String...) -> Case {
        Case(replace: "  - name: files", with: "  - name: files\n    \(text)", said: said.map { "@:8: \($0)" })
    }

    private static func top(_ text: String, _ said: String...) -> Case {
        Case(replace: "client-side:", with: "\(text)\nclient-side:", said: said.map { "@:1: \($0)" })
    }

    private static func server(_ text: String, _ said: String...) -> Case {
        Case(replace: "  interface: be0", with: "  interface: be0\n  \(text)", said: said.map { "@:5: \($0)" })
    }

    static let wrong: [Case] = [
        // What is no configuration at all.
        Case(replace: TestConfigurations.least, with: "", said: ["@:1: the file is empty"]),
        Case(replace: TestConfigurations.least, with: "just text", said: ["@:1: the file: this must be a section, a mapping of keys"]),
        Case(replace: "client-side:", with: "user: [", said: ["@:3: not YAML: did not find expected ',' or ']'"]),
        top("user: a\nuser: b", "this key is there twice: user"),

        // Keys.
        top("colour: red", "unknown key: colour"),
        service("limits: { heads: 1KiB }", "unknown key: services[].limits.heads"),
        pool(
            "health: { paths: / }", "pools[].health: it needs a path, or tcp: true, and not both", "unknown key: pools[].health.paths"),
        Case(replace: "  interface: fe0", with: "  capture-memory: 1MiB", said: ["@:2: client-side.interface: this key is missing"]),
        Case(replace: "  source-addresses: [10.77.2.200]\n", with: "", said: ["@:4: server-side.source-addresses: this key is missing"]),
        Case(replace: "    listen: 10.77.1.100:80\n", with: "", said: ["@:7: services[].listen: this key is missing"]),
        Case(replace: "      - pool: web", with: "      - path-prefix: /a", said: ["@:10: services[].routes[].pool: this key is missing"]),
        Case(replace: "client-side:\n  interface: fe0\n", with: "", said: ["@:1: client-side: this key is missing"]),

        // Shapes and units.
        top("tcp: all", "tcp: this must be a section, a mapping of keys"),
        top("user: [a, b]", "user: this must be a single value"),
        top("user:", "user: the value is missing"),
        pool("limit: { initial: eight }", "pools[].limit.initial: eight is not a whole number"),
        pool("retries: 11", "pools[].retries: 11 is more than 10"),
        pool("queue: { capacity: 0 }", "pools[].queue.capacity: 0 is less than 1"),
        pool("timeouts: { connect: 10 }", "pools[].timeouts.connect: 10 is not a duration; write a whole number with ms, s, m or h"),
        pool("timeouts: { connect: 1.5s }", "pools[].timeouts.connect: 1.5s is not a duration; write a whole number with ms, s, m or h"),
        pool("queue: { memory: 64MB }", "pools[].queue.memory: 64MB is not a size; write a whole number with B, KiB, MiB or GiB"),
        pool("queue: { memory: 1KiB }", "pools[].queue.memory: 1KiB is less than 64KiB"),
        pool("queue: { per-client: half }", "pools[].queue.per-client: half is not a percentage; write 0% to 100%"),
        service("limits: { body-rate: 500B }", "services[].limits.body-rate: 500B is not a rate; write a number with B/s, KiB/s or MiB/s"),
        service("limits: { head: 65KiB }", "services[].limits.head: 65KiB is more than 64KiB"),
        service("owned-by-kernel: maybe", "services[].owned-by-kernel: maybe is not true or false"),
        service("mode: l5", "services[].mode: l5 is not one of l7/3, l4/3"),
        top("log: { level: loud }", "log.level: loud is not one of trace, debug, info, notice, warning, error, critical"),
        top("admin: { listen: 9900 }", "admin.listen: 9900 is not an address and a port; write 10.0.0.1:80 or [fd00::1]:80"),
        Case(
            replace: "[10.77.2.200]", with: "[10.77.2.300]", said: ["@:5: server-side.source-addresses: 10.77.2.300 is not an IP address"]),
        Case(replace: "[10.77.2.200]", with: "[]", said: ["@:5: server-side.source-addresses: at least one is needed"]),
        top("tcp: { server-mss: 100 }", "tcp.server-mss: 100 is not auto or a number from 536 to 65495"),
        top("transmit: pigeon", "transmit: pigeon is not one of auto, raw, packet"),
        server("gateway: router", "server-side.gateway: router is not auto or an IP address"),
        server("gateway: 10.77.2.200", "server-side.gateway: 10.77.2.200 is an address of the dispatcher itself"),
        server("gateway: 224.0.0.1", "server-side.gateway: 224.0.0.1 is not an address that a host can have"),
        Case(
            replace: "  interface: fe0", with: "  interface: fe0\n  reply-to: nobody",
            said: ["@:3: client-side.reply-to: nobody is not one of sender, route"]),
        Case(
            replace: "client-side:\n", with: "transmit: raw\nclient-side:\n  gateway: 10.77.1.254\n",
            said: ["@:3: client-side.gateway: with transmit: raw the kernel finds the next hop; leave it out, or transmit: packet"]),
        top("shards: many", "shards: many is not auto or a number from 1 to 64"),
        pool(
            "balance: random",
            "pools[].balance: random is not one of round-robin, least-connections, \"hash: source\", \"hash: path\", \"hash: header NAME\""),
        Case(
            replace: "      - pool: web", with: "      - { upgrade: h2c, pool: web }",
            said: ["@:10: services[].routes[].upgrade: h2c is not websocket"]),
        Case(
            replace: "    routes:\n      - pool: web", with: "    routes: web",
            said: ["@:9: services[].routes: this must be a list with at least one element"]),

        // IPv6.
        server(
            "gateway: [\"fd77:2::1\", \"fd77:2::2\"]",
            "server-side.gateway: fd77:2::2 is a second one of IPv6; name at most one a family"),
        server("gateway: \"ff02::1\"", "server-side.gateway: ff02::1 is not an address that a host can have"),
        Case(
            replace: "[10.77.2.200]", with: "[10.77.2.200, \"fe80::200\"]",
            said: [
                "@:5: server-side.source-addresses: fe80::200 holds on one link only; name an address that servers can answer to from anywhere"
            ]),
        Case(
            replace: "[10.77.2.200]", with: "[10.77.2.200, 10.77.2.200]",
            said: ["@:5: server-side.source-addresses: 10.77.2.200 is there twice"]),
        Case(
            replace: "listen: 10.77.1.100:80", with: "listen: \"[fe80::100]:80\"",
            said: ["@:8: services[].listen: fe80::100 holds on one link only; name an address that clients can reach"]),
        Case(
            replace: "listen: 10.77.1.100:80", with: "listen: \"fd77:1::100:80\"",
            said: ["@:8: services[].listen: fd77:1::100:80 is not an address and a port; write 10.0.0.1:80 or [fd00::1]:80"]),
        Case(
            replace: "address: 10.77.2.11:8080", with: "address: \"[fd77:2::11]:8080\"",
            said: [
                "@:14: pools[].servers[].address: fd77:2::11 is of IPv6, but server-side.source-addresses, in line 5, has no address of that family"
            ]),

        // Not built.
        top("admin: { listen: \"[::1]:9900\" }", "not supported yet: admin.listen ([::1]:9900)"),
        Case(
            replace: "[10.77.2.200]", with: "[10.77.2.200, 10.77.2.201]",
            said: ["@:5: not supported yet: server-side.source-addresses (10.77.2.201, a second one of IPv4)"]),
        Case(
            replace: "[10.77.2.200]", with: "[10.77.2.200, \"fd77:2::200\", \"fd77:2::201\"]",
            said: ["@:5: not supported yet: server-side.source-addresses (fd77:2::201, a second one of IPv6)"]),
        service("limits: { per-client-requests: 10000001 }", "services[].limits.per-client-requests: 10000001 is more than 10000000"),
        service(
            "limits: { connections: 5, per-client-connections: 6 }",
            "services[].limits: per-client-connections 6 is more than connections 5"),
        Case(
            replace: "      - pool: web",
            with: "      - { method: [GET, \"HE AD\"], header: { name: \"X A\", value: b }, pool: web }",
            said: [
                "@:10: services[].routes[].method: HE AD is not a method",
                "@:10: services[].routes[].header.name: X A is not a field's name",
            ]),
        Case(
            replace: "      - pool: web", with: "      - { header: { value: b }, pool: web }",
            said: ["@:10: services[].routes[].header.name: this key is missing"]),
        Case(
            replace: "address: 10.77.2.11:8080", with: "{ address: 10.77.2.11:8080, weight: 0 }",
            said: ["@:14: pools[].servers[].weight: 0 is less than 1"]),
        Case(
            replace: "address: 10.77.2.11:8080", with: "{ address: 10.77.2.11:8080, capacity: 1 }",
            said: ["@:14: pools[].servers[]: the limit stays below capacity 1, which leaves no room above minimum 1"]),
        pool(
            "balance: random",
            "pools[].balance: random is not one of round-robin, least-connections, \"hash: source\", \"hash: path\", \"hash: header NAME\""),
        pool("queue: { refuse-with: silence }", "pools[].queue.refuse-with: silence is not one of reset, answer"),
        pool("queue: { per-client: 0% }", "pools[].queue.per-client: 0% leaves no room; it must be more"),
        Case(
            replace: "services:\n  - name: files", with: "  last-port: 30491\nshards: 3\nservices:\n  - name: files\n    mode: l4/3",
            said: [
                "@:10: services[].mode: of the 2 ports from 30490 to 30491 not each of 3 shards has one for mode l4/3 and its health checks; lower shards, or leave more ports above the pooled ones"
            ]),
        Case(
            replace: "services:\n  - name: files\n    listen: 10.77.1.100:80\n    routes:\n      - pool: web\npools:\n  - name: web",
            with:
                "  last-port: 30490\nshards: 2\nservices:\n  - name: files\n    mode: l4/3\n    listen: 10.77.1.100:80\n    routes:\n      - pool: web\npools:\n  - name: web\n    health: { tcp: true }",
            said: [
                "@:10: services[].mode: of the 11 ports from 30480 to 30490 not each of 2 shards has one for mode l4/3 and its health checks; lower shards, or leave more ports above the pooled ones"
            ]),
        pool("l4: { cookie: true }", "pools[].l4: no service in mode l4/3 sends to this pool; leave it out"),
        Case(
            replace: "  - name: files\n    listen: 10.77.1.100:80\n    routes:\n      - pool: web",
            with:
                "  - name: files\n    mode: l4/3\n    listen: 10.77.1.100:80\n    routes:\n      - { pool: web, path-prefix: /a }\n      - pool: web",
            said: [
                "@:11: services[].routes[]: in mode l4/3 a route has no condition: nobody looks into a connection",
                "@:12: services[].routes: a service in mode l4/3 has one route: nobody looks into its connections",
            ]),
        Case(
            replace: "pools:",
            with: "  - { name: other, mode: l4/3, listen: 10.77.1.100:81, routes: [ { pool: web } ] }\npools:",
            said: ["@:11: services[].routes[].pool: services in mode l7/3 send to web as well; a pool serves one mode, name a second one"]),
        Case(
            replace: "pools:",
            with:
                "  - { name: other, mode: l4/3, listen: 10.77.1.100:81, routes: [ { pool: l4 } ] }\npools:\n  - { name: l4, servers: [ { address: 10.77.2.11:8080 } ] }",
            said: [
                "@:13: pools[].servers[].address: 10.77.2.11:8080 is a server of web too, which is not of mode l4/3; an address and port serves one mode"
            ]),
        Case(
            replace: "    routes:\n      - pool: web\npools:\n  - name: web",
            with: "    mode: l4/3\n    routes:\n      - pool: web\npools:\n  - name: web\n    l4: { idle: 0s }",
            said: ["@:14: pools[].l4.idle: 0 leaves no time; it must be more"]),
        Case(
            replace: "    routes:\n      - pool: web\npools:\n  - name: web",
            with: "    mode: l4/3\n    routes:\n      - pool: web\npools:\n  - name: web\n    limit: { maximum: 40000 }",
            said: [
                "@:14: pools[].limit: maximum 40000 is more than the 34992 ports for mode l4/3 (server-side: from 30544 to 65535)"
            ]),
        Case(
            replace: "    routes:\n      - pool: web\npools:\n  - name: web",
            with:
                "    mode: l4/3\n    routes:\n      - pool: web\npools:\n  - name: web\n    balance: \"hash: path\"\n    proxy-protocol: v2",
            said: [
                "@:14: pools[].balance: mode l4/3 sees no requests; it has round-robin, least-connections and \"hash: source\"",
                "@:15: pools[].proxy-protocol: mode l4/3 adds nothing to a connection; with l4: { source: keep } servers see their clients",
            ]),
        Case(
            replace: "listen: 10.77.1.100:80\n    routes:\n      - pool: web\npools:\n  - name: web",
            with:
                "mode: l4/3\n    listen: [\"10.77.1.100:80\", \"[fd77:1::100]:80\"]\n    routes:\n      - pool: web\npools:\n  - name: web\n    l4: { source: keep }",
            said: [
                "@:9: services[].listen: web keeps the client's address (l4.source: keep), so all of its addresses and servers must be of one family"
            ]),

        // Health.
        pool("health: { path: status }", "pools[].health.path: status is not a path; it begins with / and has no space"),
        pool("health: { path: /, tcp: true }", "pools[].health: it needs a path, or tcp: true, and not both"),
        pool("health: { path: /, every: 0s }", "pools[].health.every: 0 leaves no time; it must be more"),
        pool("health: { path: /, expect: [200, 700] }", "pools[].health.expect: 700 is not a status from 200 to 599"),
        pool(
            "health: { tcp: true, report-header: X-Load }",
            "pools[].health.report-header: it is the name of a field in the answer to health.path"),
        pool("ejection: { failures: 0 }", "pools[].ejection.failures: 0 is less than 1"),
        pool(
            "limit: { control: { hold: reported, from: 1, to: 4 } }",
            "pools[].limit.control: what a server reports comes with its health answer; name health.report-header"),
        pool(
            "tunnels: { control: { hold: request-rate, from: 1 } }",
            "pools[].tunnels.control: { hold: request-rate, from: 1 } says nothing about tunnels; it is fixed or { hold: reported, from:, to: }"
        ),

        // Bands.
        pool(
            "limit: { control: { hold: average-response-time, from: 20ms, to: 5ms } }",
            "pools[].limit.control: the band cannot hold, from 20ms is not below to 5ms"),
        pool("limit: { control: { hold: average-response-time } }", "pools[].limit.control: the band has neither from nor to"),
        pool(
            "limit: { control: { hold: luck, from: 1 } }",
            "pools[].limit.control: luck is not one of average-response-time, maximum-response-time, packet-throughput, reported, request-rate, throughput"
        ),
        pool(
            "limit: { control: { hold: average-response-time, from: 5 } }",
            "pools[].limit.control: 5 is not a duration; write a whole number with ms, s, m or h"),
        pool("limit: { control: { hold: reported, above: 5 } }", "unknown key: pools[].limit.control.above"),
        pool("limit: { control: { optimise: luck } }", "pools[].limit.control: { optimise: luck } is not { optimise: throughput }"),
        pool("limit: { control: { optimise: throughput, from: 1 } }", "unknown key: pools[].limit.control.from"),
        pool("limit: { control: { hold: request-rate, from: 0 } }", "pools[].limit.control: a band's ends must be above zero"),
        pool(
            "limit: { maximum: 4, control: { hold: average-response-time, from: 10ms, to: 14ms } }",
            "pools[].limit.control: the band cannot hold, one connection of 4 moves the metric by more than from 10ms to 14ms; make it wider"
        ),
        pool(
            "limit: { control: { stored: { raise-above: 2, lower-below: 5 } } }",
            "pools[].limit.control.stored: lower-below 5 is more than raise-above 2"),
        pool(
            "limit: { control: { stored: { raise-above: 2 } } }",
            "pools[].limit.control.stored: raise-above and lower-below are both needed"),
        pool(
            "limit: { control: { stored: { raise-above: 9, lower-below: 5 }, from: 1ms } }",
            "pools[].limit.control: a band needs the metric that it holds (hold:)"),
        pool(
            "limit: { control: magic }",
            "pools[].limit.control: magic is not fixed, { hold: ... }, { optimise: throughput } or { stored: ... }"),

        // What must fit together.
        Case(
            replace: "  - name: web", with: "  - name: web\n    servers: [ { address: 10.77.2.13:80 } ]\n  - name: web",
            said: ["@:14: pools: the name web is taken already, in line 12"]),
        Case(
            replace: "name: files", with: "name: my files",
            said: ["@:7: services[].name: my files may only have the letters a to z, digits, and the signs - . _"]),
        Case(
            replace: "services:\n", with: "services:\n  - { name: files, listen: \"10.77.1.101:80\", routes: [ { pool: web } ] }\n",
            said: ["@:8: services: the name files is taken already, in line 7"]),
        Case(
            replace: "listen: 10.77.1.100:80", with: "listen: [\"10.77.1.100:80\", \"10.77.1.100:80\"]",
            said: ["@:8: services[].listen: 10.77.1.100:80 is listened at already, in line 8"]),
        Case(
            replace: "listen: 10.77.1.100:80", with: "listen: 10.77.2.200:80",
            said: [
                "@:8: services[].listen: 10.77.2.200 is also a source address, in line 5; they must differ, unless the kernel owns the address and both say so (owned-by-kernel, kernel-addresses)"
            ]),
        Case(
            replace: "10.77.2.200]\nservices:\n  - name: files\n    listen: 10.77.1.100:80",
            with:
                "10.77.1.1]\n  kernel-addresses: true\nservices:\n  - name: files\n    owned-by-kernel: true\n    listen: [\"10.77.1.1:80\", \"10.77.1.1:10000\"]",
            said: [
                "@:10: services[].listen: 10.77.1.1:10000 is also a source address, whose ports 10000 to 65535 are taken; move first-port or last-port"
            ]),
        Case(
            replace: "services:\n  - name: files",
            with:
                "services:\n  - { name: one, listen: \"10.77.1.100:81\", owned-by-kernel: true, routes: [ { pool: web } ] }\n  - name: files",
            said: [
                "@:9: services[].listen: the service one says that the kernel owns 10.77.1.100; say owned-by-kernel: true"
            ]),
        Case(
            replace: "interface: be0", with: "interface: lo",
            said: ["@:4: server-side.interface: every address that answers on lo is the kernel's; say kernel-addresses: true"]),
        Case(
            replace: "interface: fe0", with: "interface: lo",
            said: ["@:8: services[].listen: every address that answers on lo is the kernel's; say owned-by-kernel: true"]),
        Case(
            replace: "10.77.2.12:8080", with: "127.0.0.1:8080",
            said: ["@:15: pools[].servers[].address: 127.0.0.1 is not an address that a host can have"]),
        Case(
            replace: "be0\n  source-addresses: [10.77.2.200]", with: "be0\n  source-addresses: [10.77.2.11]\n  kernel-addresses: true",
            said: [
                "@:15: pools[].servers[].address: 10.77.2.11 is an address of this host, whose servers are reached over lo; say server-side.interface: lo"
            ]),
        Case(
            replace: "be0\n  source-addresses: [10.77.2.200]",
            with: "lo\n  source-addresses: [10.77.2.11]\n  kernel-addresses: true\n  first-port: 8000",
            said: [
                "@:16: pools[].servers[].address: 10.77.2.11:8080 is also a source address, whose ports 8000 to 65535 are taken; move first-port or last-port"
            ]),
        Case(
            replace: "10.77.2.12:8080", with: "10.77.1.100:8080",
            said: ["@:15: pools[].servers[].address: 10.77.1.100 is an address of the dispatcher itself"]),
        Case(
            replace: "10.77.2.12:8080", with: "10.77.2.11:8080",
            said: ["@:15: pools[].servers[].address: 10.77.2.11:8080 is in this pool already, in line 14"]),
        Case(
            replace: "[10.77.2.200]", with: "[224.0.0.1]",
            said: ["@:5: server-side.source-addresses: 224.0.0.1 is not an address that a host can have"]),
        Case(
            replace: "10.77.1.100:80", with: "0.0.0.0:80", said: ["@:8: services[].listen: 0.0.0.0 is not an address that a host can have"]),
        Case(
            replace: "10.77.2.12:8080", with: "127.0.0.1:8080",
            said: ["@:15: pools[].servers[].address: 127.0.0.1 is not an address that a host can have"]),
        Case(
            replace: "interface: fe0", with: "interface: a-name-that-is-too-long",
            said: ["@:2: client-side.interface: a-name-that-is-too-long is longer than 15 bytes"]),
        Case(replace: "- pool: web", with: "- pool: wab", said: ["@:10: services[].routes[].pool: there is no pool named wab"]),
        Case(
            replace: "- pool: web", with: "- { path-prefix: notify, pool: web }",
            said: ["@:10: services[].routes[].path-prefix: notify does not begin with /"]),
        server(
            "connections-per-server: 4096",
            "server-side: the ports 10000 to 65535 are 55536, but 5 layers of 16 servers with 4096 connections need 327680; lower layers, servers or connections-per-server"
        ),
        Case(
            replace: "  interface: be0", with: "  interface: be0\n  servers: 1",
            said: ["@:13: pools: there are 2 servers, but server-side.servers leaves ports for 1; raise it"]),
        pool("limit: { maximum: 300 }", "pools[].limit: maximum 300 is more than server-side.connections-per-server (256)"),
        pool("limit: { minimum: 9, maximum: 8 }", "pools[].limit: minimum 9 is more than maximum 8"),
        pool("limit: { initial: 9, maximum: 8 }", "pools[].limit: initial 9 is not between minimum 1 and maximum 8"),
        Case(
            replace: "address: 10.77.2.11:8080", with: "{ address: 10.77.2.11:8080, maximum: 257 }",
            said: ["@:14: pools[].servers[]: maximum 257 is more than server-side.connections-per-server (256)"]),
        Case(
            replace: "address: 10.77.2.11:8080", with: "{ address: 10.77.2.11:8080, initial: 5, maximum: 4 }",
            said: ["@:14: pools[].servers[]: initial 5 is not between minimum 1 and maximum 4"]),
        pool("tunnels: { initial: 9, maximum: 8 }", "pools[].tunnels: initial 9 is more than maximum 8"),
        pool(
            "tunnels: { maximum: 40000 }",
            "pools[].tunnels: 40000 tunnels do not fit the 35056 ports of the tunnel range (server-side: from 30480 to 65535)"),
        pool("queue: { capacity: 10, refuse-above: 11 }", "pools[].queue: refuse-above 11 is more than capacity 10"),
        pool("queue: { refuse-above: 10, resume-below: 11 }", "pools[].queue: resume-below 11 is more than refuse-above 10"),
        service("limits: { idle: 0s }", "services[].limits.idle: 0 leaves no time; it must be more"),
        pool("timeouts: { response: 0s }", "pools[].timeouts.response: 0 leaves no time; it must be more"),
    ]

    @Test(arguments: wrong) func saysWhatIsWrongAndWhere(_ wrong: Case) {
        #expect(TestConfigurations.least.contains(wrong.replace))
        let complaints = TestConfigurations.complaints(TestConfigurations.least.replacingOccurrences(of: wrong.replace, with: wrong.with))
        #expect(!complaints.isEmpty)
        for said in wrong.said {
            #expect(complaints.contains(said.replacingOccurrences(of: "@:", with: "c.yaml:")), "said: \(complaints)")
        }
        #expect(complaints.count == wrong.said.count, "said: \(complaints)")
    }

    @Test func allErrorsOfAFileAreListedByLine() {
        let complaints = TestConfigurations.complaints(
            TestConfigurations.least
                .replacingOccurrences(of: "interface: fe0", with: "interfaces: fe0")
                .replacingOccurrences(of: "10.77.1.100:80", with: "10.77.1.100")
                .replacingOccurrences(of: "- pool: web", with: "- pool: wab"))
        #expect(
            complaints == [
                "c.yaml:2: unknown key: client-side.interfaces", "c.yaml:2: client-side.interface: this key is missing",
                "c.yaml:8: services[].listen: 10.77.1.100 is not an address and a port; write 10.0.0.1:80 or [fd00::1]:80",
                "c.yaml:10: services[].routes[].pool: there is no pool named wab",
            ])
    }

    /// Whatever stands in a value's place, something is said or it is accepted; nothing ends the program.
    @Test(arguments: [
        "[]", "{}", "~", "[a, [b]]", "{ a: { b: c } }", "\"\"", "-1", "99999999999999999999999", "99999999999GiB", "!!binary x", "*a",
        "\u{1F600}",
    ])
    func oddValuesAreSurvived(_ odd: String) {
        let lines = TestConfigurations.least.split(separator: "\n").map(String.init)
        for (index, line) in lines.enumerated() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            var changed = lines
            changed[index] = line[...colon] + " " + odd
            _ = TestConfigurations.complaints(changed.joined(separator: "\n"))
        }
        for key in ConfigurationKeys.all where !key.path.contains("[]") {
            let parts = key.path.split(separator: ".")
            let text = parts.count == 1 ? "\(parts[0]): \(odd)" : "\(parts[0]): { \(parts[1]): \(odd) }"
            #expect(!TestConfigurations.complaints(text).isEmpty)
        }
    }
}
