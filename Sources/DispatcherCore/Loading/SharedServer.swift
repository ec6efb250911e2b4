import Glibc
import Synchronization

/// How many of something there are at a server, over all shards, and how many there may be: one atomic pair, so that the limit is exact
/// (tcp.md, "Shards").
struct TokenPair: ~Copyable {
    /// The limit above, the tokens that are out below; 32 bits each.
    private let pair: Atomic<UInt64>

    init(limit: Int) { pair = Atomic(UInt64(UInt32(clamping: limit)) << 32) }

    var limit: Int { Int(pair.load(ordering: .sequentiallyConsistent) >> 32) }
    var outstanding: Int { Int(UInt32(truncatingIfNeeded: pair.load(ordering: .sequentiallyConsistent))) }

    /// Whether a token could be had now.
    @inline(__always) var hasRoom: Bool {
        let seen = pair.load(ordering: .sequentiallyConsistent)
        return UInt32(truncatingIfNeeded: seen) < UInt32(truncatingIfNeeded: seen >> 32)
    }

    /// - Returns: false when there is none; then nothing has changed.
    @inline(__always) func take() -> Bool {
        var seen = pair.load(ordering: .sequentiallyConsistent)
        while UInt32(truncatingIfNeeded: seen) < UInt32(truncatingIfNeeded: seen >> 32) {
            let (taken, found) = pair.weakCompareExchange(expected: seen, desired: seen + 1, ordering: .sequentiallyConsistent)
            if taken { return true }
            seen = found
        }
        return false
    }

    @inline(__always) func give() {
        let before = pair.wrappingSubtract(1, ordering: .sequentiallyConsistent).oldValue
        precondition(UInt32(truncatingIfNeeded: before) > 0, "a token is given back that nobody has taken")
    }

    /// What is out beyond a lower limit stays out.
    func setLimit(_ limit: Int) {
        var seen = pair.load(ordering: .sequentiallyConsistent)
        while true {
            let wanted = seen & 0xffff_ffff | UInt64(UInt32(clamping: limit)) << 32
            let (done, found) = pair.weakCompareExchange(expected: seen, desired: wanted, ordering: .sequentiallyConsistent)
            if done { return }
            seen = found
        }
    }
}

/// A server as an engine knows it: a part of what is known of it is shared with other shards.
protocol HeldServer {
    /// What it has in common with other shards: tokens, the measuring.
    var shared: UnsafeMutablePointer<SharedServer> { get }
}

/// What the shards of a dispatcher share of one server: its tokens, and the measuring that moves their number.
struct SharedServer: ~Copyable {
    /// The requests outstanding (l4/3: the connections that count), and the number of permissible connections.
    let requests: TokenPair
    /// Tunnels, and the upgrades that may become some.
    let tunnels: TokenPair
    /// Tunnels without those upgrades.
    let openTunnels = Atomic<Int>(0)
    /// Requests outstanding whose body is streamed.
    let streamed = Atomic<Int>(0)
    /// Whether the leader is to look at the performance window before it is due.
    let wantsEnd = Atomic<Bool>(false)
    /// The era of the performance window, for who must not wait for the measuring (l4/3).
    let era = Atomic<UInt32>(0)
    /// What it has sent since the measuring heard of it last (l4/3).
    private(set) var traffic: ServerTraffic
    private let isTaken = Atomic<Bool>(false)
    private var control: LoadControl

    /// - Parameter shards: how many count its traffic; 0 = the measuring is told otherwise.
    init(limit: Int, tunnels: Int, control: LoadControl, shards: Int = 0) {
        requests = TokenPair(limit: limit)
        self.tunnels = TokenPair(limit: tunnels)
        self.control = control
        traffic = ServerTraffic(shards: shards)
    }

    /// The measuring, for one shard at a time: a few instructions each, so that waiting costs less than going to sleep.
    @inline(__always) mutating func withControl<Result>(_ body: (inout LoadControl) -> Result) -> Result {
        lock()
        defer { isTaken.store(false, ordering: .releasing) }
        return body(&control)
    }

    /// The same where the server's traffic is counted: the measuring hears of it first.
    @inline(__always) mutating func withMeasuring<Result>(_ body: (inout LoadControl) -> Result) -> Result {
        lock()
        defer {
            era.store(control.window.era, ordering: .relaxed)
            isTaken.store(false, ordering: .releasing)
        }
        let fresh = traffic.take()
        control.carried(fresh.bytes)
        control.carried(packets: fresh.packets)
        return body(&control)
    }

    @inline(__always) private func lock() {
        var tries = 0
        while isTaken.exchange(true, ordering: .acquiring) {
            tries += 1
            if tries & 63 == 0 { sched_yield() }
        }
    }

    /// - Returns: whether one more streamed body leaves it with at most half of its limit, at least one; then it is counted.
    func takeStream() -> Bool {
        var seen = streamed.load(ordering: .relaxed)
        while seen < max(1, requests.limit / 2) {
            let (taken, found) = streamed.weakCompareExchange(expected: seen, desired: seen + 1, ordering: .relaxed)
            if taken { return true }
            seen = found
        }
        return false
    }

    var mayStream: Bool { streamed.load(ordering: .relaxed) < max(1, requests.limit / 2) }
}
