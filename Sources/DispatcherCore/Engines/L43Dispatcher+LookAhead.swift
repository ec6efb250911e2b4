extension L43Dispatcher {
    /// A frame that will come soon: the flow that it is probably of.
    struct Outlook {
        enum Table: UInt8 {
            case none, clients, servers
        }

        var table = Table.none
        var hash: UInt64 = 0
    }

    /// Whether there are so many connections that `lookAhead` pays.
    public var looksAhead: Bool { connections.touched >= L73Dispatcher.connectionsToLookAhead }

    /// As in mode l7/3: first the place in the table is fetched, two frames later the connection's record, which is all there is.
    public mutating func lookAhead(_ frame: RawSpan, on side: Side) {
        outlookCount &+= 1
        outlooks[outlookCount & 3] = outlook(of: frame)
        let second = outlooks[(outlookCount &- 2) & 3]
        let index =
            switch second.table {
            case .none: nil as Int?
            case .clients: clientTable.guess(second.hash)
            case .servers: serverTable.guess(second.hash)
            }
        guard let index else { return }
        connections.fetchAhead(index)
        timers.fetchAhead(index)
    }

    private func outlook(of frame: RawSpan) -> Outlook {
        guard let (source, destination) = Frame.ends(of: frame) else { return Outlook() }
        if let listener = listener(at: destination) {
            let hash = clientHash(source, listener: listener)
            clientTable.fetchAhead(hash)
            return Outlook(table: .clients, hash: hash)
        }
        let hash = Self.serverHash(local: destination, server: source, hashKey)
        serverTable.fetchAhead(hash)
        return Outlook(table: .servers, hash: hash)
    }
}
