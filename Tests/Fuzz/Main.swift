import FuzzSupport
import Glibc

/// What libFuzzer's library offers to programs that have a `main` of their own.
@_silgen_name("LLVMFuzzerRunDriver") private func runDriver(
    _ count: UnsafeMutablePointer<Int32>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

nonisolated(unsafe) private var target: FuzzTarget?

private func complain(_ text: String) {
    let bytes = Array("\(text)\n".utf8)
    _ = write(2, bytes, bytes.count)
}

/// `SLUICE_FUZZ_TARGET=TARGET sluice-fuzz LIBFUZZER-ARGUMENT...`: see scripts/fuzz. The name is in the environment because libFuzzer starts
/// itself again with arguments of its own.
@main struct Main {
    static func main() {
        let name = getenv("SLUICE_FUZZ_TARGET").map { String(cString: $0) } ?? ""
        guard let found = fuzzTargets.first(where: { $0.name == name }) else {
            complain("no target '\(name)' in SLUICE_FUZZ_TARGET: \(fuzzTargets.map(\.name).joined(separator: ", "))")
            exit(2)
        }
        target = found
        var count = CommandLine.argc
        var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
        exit(
            runDriver(&count, &arguments) { bytes, length in
                let faults = target!.run(Array(UnsafeBufferPointer(start: bytes, count: length)))
                guard faults.isEmpty else {
                    complain("expected: nothing wrong; got:\n\(faults.joined(separator: "\n"))")
                    abort()
                }
                return 0
            })
    }
}
