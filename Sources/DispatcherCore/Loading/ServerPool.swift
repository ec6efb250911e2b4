import Glibc

/// The servers that can answer a class of requests: chooses among those that have room ([0048]).
struct ServerPool {
    typealias Table = UnsafeMutablePointer<ServerLoad>

    /// Indices of its servers in the engine's table: a contiguous range.
    let servers: Range<Int>
    let settings: PoolConfiguration
    /// How many places of the queue one client may fill; nil = any number.
    let clientShare: Int?
    /// The server after the one chosen last.
    private var turn = 0
    /// Whether new client connections are refused ([0037]); with hysteresis.
    private(set) var refuses = false

    init(servers: Range<Int>, settings: PoolConfiguration) {
        self.servers = servers
        self.settings = settings
        clientShare = settings.queue.clientShare
    }

    /// Whether the backup servers take part: no other server takes anything.
    func usesBackups(_ table: Table) -> Bool {
        for server in servers where !table[server].isBackup && table[server].takesNew { return false }
        return true
    }

    /// Whether any server takes new requests, backup servers among them.
    func takesNew(_ table: Table) -> Bool {
        for server in servers where table[server].takesNew { return true }
        return false
    }

    // MARK: Choosing

    /// A server for a request.
    /// - Parameters:
    ///   - hash: what a hashed balance goes by; 0 = nothing: then in turn.
    ///   - excluding: a server that just failed this request; taken only when no other has room.
    ///   - fits: whether a server has room for what is wanted.
    /// - Returns: its index in the engine's table; nil when none has room, or the one that the hash names has none.
    mutating func choose(_ table: Table, hash: UInt64, excluding: Int?, now: Instant, where fits: (Table) -> Bool) -> Int? {
        if hash != 0, settings.balance.isHashed {
            guard let owner = owner(table, hash: hash, excluding: excluding), fits(table + owner) else { return nil }
            return owner
        }
        let backups = usesBackups(table)
        func isOffered(_ server: Int) -> Bool {
            table[server].takesNew && table[server].isBackup == backups && server != excluding && fits(table + server)
        }
        let chosen: Int?
        if settings.balance == .leastConnections {
            chosen = leastLoaded(table, now: now, where: isOffered)
        } else {
            chosen = isUniform(table) ? nextInTurn(where: isOffered) : nextByWeight(table, now: now, where: isOffered)
        }
        if let chosen {
            turn = (chosen - servers.lowerBound + 1) % servers.count
            return chosen
        }
        guard let excluding, table[excluding].takesNew, table[excluding].isBackup == backups, fits(table + excluding) else { return nil }
        return excluding
    }

    private func isUniform(_ table: Table) -> Bool {
        let weight = table[servers.lowerBound].weight
        for server in servers where table[server].weight != weight || table[server].slowSince != .distantPast { return false }
        return true
    }

    /// Each of its servers once, the one whose turn it is first.
    private func inTurn(_ body: (Int) -> Bool) {
        for step in 0..<servers.count {
            let place = turn + step
            guard body(servers.lowerBound + (place < servers.count ? place : place - servers.count)) else { return }
        }
    }

    private func nextInTurn(where isOffered: (Int) -> Bool) -> Int? {
        var found: Int?
        inTurn { server in
            if isOffered(server) { found = server }
            return found == nil
        }
        return found
    }

    /// Smooth weighted round robin: everybody who is offered gains its weight, the richest is taken and pays for all.
    private func nextByWeight(_ table: Table, now: Instant, where isOffered: (Int) -> Bool) -> Int? {
        var found: Int?
        var total = 0.0
        inTurn { server in
            guard isOffered(server) else { return true }
            let weight = weight(table + server, now: now)
            table[server].credit += weight
            total += weight
            if found.map({ table[server].credit > table[$0].credit }) ?? true { found = server }
            return true
        }
        if let found { table[found].credit -= total }
        return found
    }

    private func leastLoaded(_ table: Table, now: Instant, where isOffered: (Int) -> Bool) -> Int? {
        var found: Int?
        var least = 0.0
        inTurn { server in
            guard isOffered(server) else { return true }
            let load = Double(table[server].active + table[server].tunnels) / weight(table + server, now: now)
            if found == nil || load < least { (found, least) = (server, load) }
            return true
        }
        return found
    }

    /// Its weight, less while it starts slowly.
    private func weight(_ load: Table, now: Instant) -> Double {
        Double(load.pointee.weight) * max(0.01, slowPart(load, at: now))
    }

    /// How much of its limit and weight a server has, from 0 to 1.
    func slowPart(_ load: Table, at now: Instant) -> Double {
        guard load.pointee.slowSince != .distantPast, settings.slowStart > .zero else { return 1 }
        return min(1, Double((now - load.pointee.slowSince).nanoseconds) / Double(settings.slowStart.nanoseconds))
    }

    /// The server that a hash belongs to: weighted rendezvous hashing, so that a server that goes takes only its own along.
    func owner(_ table: Table, hash: UInt64, excluding: Int? = nil) -> Int? {
        let backups = usesBackups(table)
        var found: Int?
        var highest = -Double.infinity
        for server in servers where table[server].takesNew && table[server].isBackup == backups && server != excluding {
            let endpoint = table[server].endpoint
            let drawn = SipKey(hash, endpoint.address.low ^ endpoint.address.high).hash13(UInt64(endpoint.port), endpoint.address.low, hash)
            // A number from 0 to 1, both excluded: -w / ln(u) is the higher the heavier.
            let uniform = (Double(drawn >> 11) + 0.5) / Double(1 << 53)
            let score = -Double(table[server].weight) / log(uniform)
            if score > highest { (found, highest) = (server, score) }
        }
        return found ?? excluding.flatMap { table[$0].takesNew ? $0 : nil }
    }

    /// Follows the length of the queue across the two thresholds of [0037].
    mutating func noteQueueLength(_ length: Int) {
        if length > settings.queue.refuseAbove {
            refuses = true
        } else if length < settings.queue.resumeBelow || length == 0 {
            refuses = false
        }
    }
}
