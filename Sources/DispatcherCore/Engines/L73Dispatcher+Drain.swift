/// Tunnels that must go: those of a server that drains or is down, once their worker has had its time to close them itself, and all of them
/// when the dispatcher stops. They are reset at a set rate, so that their clients do not come back all at once; nothing is written into a
/// stream that is not parsed (controlled-loading.md "Choosing").
extension L73Dispatcher {
    var drainTimer: Int { fronts.capacity + backs.capacity + serverCapacity }
    private static var drainStep: Interval { .milliseconds(100) }

    /// A server's order changed, its last tunnel ended, or the dispatcher stops.
    mutating func planDrain(at now: Instant) {
        guard configuration.tunnelsPerSecond > 0 else { return }
        timers.disarm(drainTimer)
        var first = isStopping ? now : Instant.distantFuture
        for server in 0..<serverCount where servers[server].tunnels > 0 { first = min(first, servers[server].tunnelsEndAfter) }
        if first != .distantFuture { timers.arm(drainTimer, by: max(first, now)) }
    }

    /// Resets as many as the rate allows in a step.
    mutating func drainTunnels(at now: Instant, into egress: inout Egress) {
        let passed = min(max(now - drainedAt, .zero), Self.drainStep)
        drainedAt = now
        drainCredit += Double(configuration.tunnelsPerSecond) * Double(passed.nanoseconds) / 1e9
        var seen = 0
        while seen < fronts.touched, drainCredit >= 1, !egress.isNearlyFull {
            if drainCursor >= fronts.touched { drainCursor = 0 }
            let index = drainCursor
            drainCursor += 1
            seen += 1
            let front = fronts.pointer(index)
            guard front.pointee.isOpen, front.pointee.phase == .tunnel else { continue }
            let place = Int(front.pointee.back)
            let back = backs.pointer(place)
            guard isStopping || servers[Int(back.pointee.server)].tunnelsEndAfter <= now else { continue }
            drainCredit -= 1
            endTunnel(front, index, back, place, cause: .down, resets: true, at: now, into: &egress)
        }
        drainCredit = min(drainCredit, Double(configuration.tunnelsPerSecond) / 10 + 1)
        var next = Instant.distantFuture
        for server in 0..<serverCount where servers[server].tunnels > 0 {
            next = min(next, isStopping ? now : servers[server].tunnelsEndAfter)
        }
        if next != .distantFuture { timers.arm(drainTimer, by: max(next, now + Self.drainStep)) }
    }
}
