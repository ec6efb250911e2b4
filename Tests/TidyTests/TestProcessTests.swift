import TestProcess
import Testing

@Suite("The process that runs the tests")
struct TestProcessTests {
    @Test("a peer that is gone does not end all tests")
    func ignoresSIGPIPE() { #expect(test_process_ignores_sigpipe() == 1) }
}
