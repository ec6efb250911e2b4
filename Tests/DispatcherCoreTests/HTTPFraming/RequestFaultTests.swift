import Testing

@testable import DispatcherCore

@Suite struct RequestFaultTests {
    /// `duplicateHost` is "duplicate-host", `bareCR` "bare-cr".
    static func kebab(_ name: String) -> String {
        var result = ""
        var lastWasUpper = true
        for character in name {
            if character.isUppercase, !lastWasUpper { result += "-" }
            lastWasUpper = character.isUppercase
            result += character.lowercased()
        }
        return result
    }

    @Test func labelsAreTheNames() {
        for fault in RequestFault.allCases { #expect("\(fault.label)" == Self.kebab("\(fault)")) }
        for fault in ResponseFault.allCases { #expect("\(fault.label)" == Self.kebab("\(fault)")) }
    }

    @Test func everyFaultHasAnAnswer() {
        for fault in RequestFault.allCases { #expect([400, 413, 414, 417, 431, 501, 505].contains(fault.status)) }
    }
}
