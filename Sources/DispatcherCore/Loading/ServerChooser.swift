import Glibc

/// What choosing goes by: the part that the servers of both modes have in common.
protocol ChosenServer {
    var endpoint: Endpoint { get }
    /// Its place in the list of its pool.
    var index: Int { get }
    var weight: Int { get }
    var isBackup: Bool { get }
    var condition: ServerCondition { get }
    /// Since when it takes part again with a part of its limit and weight; `distantPast` = it has all of them.
    var slowSince: Instant { get }
    /// How far it lags behind in smooth weighted round robin.
    var credit: Double { get set }
    /// Requests or connections that it has.
    var outstanding: Int { get }
    /// Whether it has just failed, and is passed over as long as another one takes something new.
    var isResting: Bool { get }
}

extension ChosenServer {
    /// Whether it is given anything new.
    @inline(__always) var takesNew: Bool { condition.state == .up && !isResting }
}

/// Chooses among the servers of a pool that have room ([0048], [0053]).
struct ServerChooser {
    /// How often a server that starts slowly gets more.
    static var slowStep: Interval { .milliseconds(250) }
    /// The same for every dispatcher and every run, so that a client keeps its server across a restart.
    private static let hashKey = SipKey(0x736c_7569_6365_2062, 0x616c_616e_6365_2031)

    /// What a balance by source goes by, in both modes; never 0.
    static func hash(of client: IPAddress) -> UInt64 { max(1, hashKey.hash13(client.high, client.low, 0)) }
    /// What the other hashed balances go by; never 0.
    static func hash(of bytes: UnsafeRawBufferPointer) -> UInt64 { max(1, hashKey.hash13(bytes)) }

    private(set) var servers: ServerList
    private var balance: Balance
    private var slowStart: Interval
    /// The server after the one chosen last.
    private var turn = 0

    init(_ servers: ServerList, _ settings: PoolConfiguration) {
        self.servers = servers
        balance = settings.balance
        slowStart = settings.slowStart
    }

    /// Another configuration: the list that it has had is freed.
    mutating func change(_ servers: ServerList, _ settings: PoolConfiguration) {
        self.servers.free()
        self = ServerChooser(servers, settings)
    }

    /// Whether the backup servers take part: no other server takes anything.
    func usesBackups<Server: ChosenServer>(_ table: UnsafeMutablePointer<Server>) -> Bool {
        for server in servers where !table[server].isBackup && table[server].takesNew { return false }
        return true
    }

    /// Whether any server takes something new, backup servers among them.
    func takesNew<Server: ChosenServer>(_ table: UnsafeMutablePointer<Server>) -> Bool {
        for server in servers where table[server].takesNew { return true }
        return false
    }

    /// A server for a request or a connection.
    /// - Parameters:
    ///   - hash: what a hashed balance goes by; 0 = nothing: then in turn.
    ///   - excluding: a server that just failed it; taken only when no other has room.
    ///   - isTurn: whether the one chosen has had its turn; else it is only asked who comes next.
    ///   - fits: whether a server has room for what is wanted.
    /// - Returns: its index in the engine's table; nil when none has room, or the one that the hash names has none.
    mutating func choose<Server: ChosenServer>(
        _ table: UnsafeMutablePointer<Server>, hash: UInt64, excluding: Int?, now: Instant, isTurn: Bool = true,
        where fits: (UnsafeMutablePointer<Server>) -> Bool
    ) -> Int? {
        if hash != 0, balance.isHashed {
            guard let owner = owner(table, hash: hash, excluding: excluding), fits(table + owner) else { return nil }
            return owner
        }
        let backups = usesBackups(table)
        func isOffered(_ server: Int) -> Bool {
            table[server].takesNew && table[server].isBackup == backups && server != excluding && fits(table + server)
        }
        let chosen: Int?
        if balance == .leastConnections {
            chosen = leastLoaded(table, now: now, where: isOffered)
        } else {
            chosen = isUniform(table) ? nextInTurn(where: isOffered) : nextByWeight(table, now: now, isTurn: isTurn, where: isOffered)
        }
        if let chosen {
            if isTurn { turn = (table[chosen].index + 1) % servers.count }
            return chosen
        }
        guard let excluding, table[excluding].takesNew, table[excluding].isBackup == backups, fits(table + excluding) else { return nil }
        return excluding
    }

    private func isUniform<Server: ChosenServer>(_ table: UnsafeMutablePointer<Server>) -> Bool {
        guard let first = servers.first else { return true }
        let weight = table[first].weight
        for server in servers where table[server].weight != weight || table[server].slowSince != .distantPast { return false }
        return true
    }

    /// Each of its servers once, the one whose turn it is first.
    @inline(__always) private func inTurn(_ body: (Int) -> Bool) {
        for step in 0..<servers.count {
            let place = turn + step
            guard body(servers[place < servers.count ? place : place - servers.count]) else { return }
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
    private func nextByWeight<Server: ChosenServer>(
        _ table: UnsafeMutablePointer<Server>, now: Instant, isTurn: Bool, where isOffered: (Int) -> Bool
    ) -> Int? {
        var found: Int?
        var most = 0.0
        var total = 0.0
        inTurn { server in
            guard isOffered(server) else { return true }
            let weight = weight(table + server, now: now)
            let credit = table[server].credit + weight
            if isTurn { table[server].credit = credit }
            total += weight
            if found == nil || credit > most { (found, most) = (server, credit) }
            return true
        }
        if isTurn, let found { table[found].credit -= total }
        return found
    }

    private func leastLoaded<Server: ChosenServer>(
        _ table: UnsafeMutablePointer<Server>, now: Instant, where isOffered: (Int) -> Bool
    ) -> Int? {
        var found: Int?
        var least = 0.0
        inTurn { server in
            guard isOffered(server) else { return true }
            let load = Double(table[server].outstanding) / weight(table + server, now: now)
            if found == nil || load < least { (found, least) = (server, load) }
            return true
        }
        return found
    }

    /// Its weight, less while it starts slowly.
    private func weight<Server: ChosenServer>(_ server: UnsafeMutablePointer<Server>, now: Instant) -> Double {
        Double(server.pointee.weight) * max(0.01, slowPart(server, at: now))
    }

    /// How much of its limit and weight a server has, from 0 to 1.
    func slowPart<Server: ChosenServer>(_ server: UnsafeMutablePointer<Server>, at now: Instant) -> Double {
        guard server.pointee.slowSince != .distantPast, slowStart > .zero else { return 1 }
        return min(1, Double((now - server.pointee.slowSince).nanoseconds) / Double(slowStart.nanoseconds))
    }

    /// The server that a hash belongs to: weighted rendezvous hashing, so that a server that goes takes only its own along.
    func owner<Server: ChosenServer>(_ table: UnsafeMutablePointer<Server>, hash: UInt64, excluding: Int? = nil) -> Int? {
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
}
