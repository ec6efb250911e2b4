import DispatcherCore
import Glibc
import PacketIO
import Testing

@testable import DispatcherService

struct GuardRulesTests {
    private static let single = TestConfigurations.least
        .replacingOccurrences(of: "listen: 10.77.1.100:80", with: "listen: [\"10.77.1.1:80\", \"10.77.1.1:81\"]\n    owned-by-kernel: true")
        .replacingOccurrences(of: "[10.77.2.200]", with: "[10.77.1.1]\n  kernel-addresses: true\n  first-port: 20000")

    private func rules(_ yaml: String, _ forwards: HostCheck.Forwarding = .init()) throws -> GuardRules {
        GuardRules(try TestConfigurations.read(yaml), forwards: forwards)
    }

    @Test func addressesThatAreOursAloneNeedNone() throws { #expect(try rules(TestConfigurations.least).rules.isEmpty) }

    @Test func whatIsSharedIsDroppedByPort() throws {
        #expect(
            try rules(Self.single).rules == [
                .init(side: .client, match: "iifname \"fe0\" ip daddr . tcp dport { 10.77.1.1 . 80, 10.77.1.1 . 81 }"),
                .init(
                    side: .server,
                    match:
                        "iifname \"be0\" ip saddr . tcp sport { 10.77.2.11 . 8080, 10.77.2.12 . 8080 } ip daddr { 10.77.1.1 } tcp dport 20000-65535"
                ),
            ])
    }

    @Test func aHostThatForwardsIsKeptFromWhatIsOursAlone() throws {
        #expect(
            try rules(TestConfigurations.least, .init(v4: true)).rules == [
                .init(side: .client, match: "iifname \"fe0\" ip daddr { 10.77.1.100 }"),
                .init(side: .server, match: "iifname \"be0\" ip daddr { 10.77.2.200 }"),
            ])
        #expect(try rules(TestConfigurations.least, .init(v6: true)).rules.isEmpty, "there is no such address")
        #expect(try rules(Self.single, .init(v4: true)).rules.count == 2, "what the kernel owns it does not forward")
    }

    @Test func whatServersSendToTheirClientsIsNotForwarded() throws {
        let kept = TestConfigurations.least.replacingOccurrences(of: "    routes:", with: "    mode: l4/3\n    routes:")
            .replacingOccurrences(of: "  - name: web", with: "  - name: web\n    l4: { source: keep }")
        #expect(try rules(kept).rules.isEmpty)
        #expect(
            try rules(kept, .init(v4: true)).rules.map(\.match).contains(
                "iifname \"be0\" ip saddr . tcp sport { 10.77.2.11 . 8080, 10.77.2.12 . 8080 } fib daddr type != local"))
    }

    @Test func theCommandIsOneLine() throws {
        let command = try rules(Self.single).command(table: "sluice_1")
        #expect(
            command.hasPrefix("create table inet sluice_1 { flags owner; }; add chain inet sluice_1 before { type filter hook prerouting "))
        #expect(command.hasSuffix(" counter drop comment \"sluice 1 server\"\n") && command.filter { $0 == "\n" }.count == 1)
    }

    @Test func aListingIsJudged() throws {
        let rules = try rules(Self.single)
        let lines = [
            "table inet sluice_1 { # progname nft", "\tflags owner", "", "\tchain before {",
            "\t\ttype filter hook prerouting priority -450; policy accept;",
            "\t\tiifname \"fe0\" ip daddr . tcp dport { 10.77.1.1 . 80 } counter packets 7 bytes 300 drop comment \"sluice 0 client\"",
            "\t\tiifname \"be0\" tcp dport 20000-65535 counter packets 9 bytes 400 drop comment \"sluice 1 server\"", "\t}", "}", "",
        ]
        let whole = lines.joined(separator: "\n")
        #expect(rules.fault(in: whole) == nil && rules.drops(in: whole) == [7, 9])
        #expect(rules.fault(in: "") == "the table has no owner")
        for (missing, fault) in [
            (1, "the table has no owner"), (4, "the table has no chain"), (5, "rules are missing"), (6, "rules are missing"),
        ] {
            var cut = lines
            cut.remove(at: missing)
            #expect(rules.fault(in: cut.joined(separator: "\n")) == fault)
        }
        #expect(rules.drops(in: whole.replacingOccurrences(of: " drop ", with: " accept ")) == nil)
    }

    @Test func withoutTheProgramTheStartIsRefused() throws {
        let rules = try rules(Self.single)
        let user = try Privileges.User(named: "nobody")
        let error = #expect(throws: ServiceError.self) { _ = try KernelGuard(rules, user: user, programs: ["/nonexistent/nft"]) }
        #expect(error?.description.hasSuffix("needs the program nft, and it is not installed: apt-get install nftables") == true)
    }

    @Test(.enabled(if: geteuid() == 0)) func aProgramThatIsNotNftIsFoundOut() throws {
        let rules = try rules(Self.single)
        let user = try Privileges.User(named: "nobody")
        let error = #expect(throws: ServiceError.self) { _ = try KernelGuard(rules, user: user, programs: ["/bin/true"]) }
        #expect(error?.description == "nft could not keep the kernel away from our addresses: the table has no owner; it says:\nnothing")
    }
}
