import CLinux
import NIOCore

/// The processors of this process.
enum Processors {
    /// How many it may use: what its control group allows, and what it may run on (taskset, CPUAffinity=). At least 1.
    static var usable: Int {
        let affinity = Int(clinux_usable_processors())
        return max(1, affinity > 0 ? min(System.coreCount, affinity) : System.coreCount)
    }
}
