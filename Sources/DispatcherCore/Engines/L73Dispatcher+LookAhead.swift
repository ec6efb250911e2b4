extension L73Dispatcher {
    /// A frame that will come soon: which connection it is probably for.
    struct Outlook {
        enum Kind: UInt8 {
            case nothing
            /// A client's; `key` is the hash of its flow.
            case front
            /// A server's in a tunnel, the same.
            case tunnel
            /// A server's on a pooled connection; `key` is its place.
            case back
        }

        var kind = Kind.nothing
        var key: UInt64 = 0
        /// The connection's place, once the table has told it.
        var place = UInt32.max
    }

    /// How many calls of `lookAhead` a frame's own should precede its `receive` by.
    public static var lookAheadDistance: Int { 6 }
    /// Below so many connections everything is in the caches anyway.
    static let connectionsToLookAhead = 4_096

    /// Whether there are so many connections that `lookAhead` pays.
    public var looksAhead: Bool { fronts.touched >= Self.connectionsToLookAhead }

    /// A frame is soon handed to `receive`, and others before it. With very many connections the memory that it will need is in no cache,
    /// and the waits for it, one behind the other, are most of what a packet costs: here the place in the table is fetched now, the
    /// connection's record two frames later, and the record of its other end two frames after that. Nothing depends on it: what is read of
    /// the frame is not checked.
    public mutating func lookAhead(_ frame: RawSpan, on side: Side) {
        outlookCount &+= 1
        outlooks[outlookCount & 7] = outlook(of: frame, on: side)
        let second = (outlookCount &- 2) & 7
        outlooks[second] = found(outlooks[second])
        fetchPartner(of: outlooks[(outlookCount &- 4) & 7])
    }

    private func outlook(of frame: RawSpan, on side: Side) -> Outlook {
        var outlook = Outlook()
        guard let (source, destination) = Frame.ends(of: frame) else { return outlook }
        if side == .server || configuration.sidesShareInterface && isToSource(destination) {
            if let place = configuration.ports.slot(of: destination.port) {
                outlook.kind = .back
                outlook.key = UInt64(place.slot)
                backs.fetchAhead(place.slot)
            } else {
                for server in 0..<serverCount where servers[server].endpoint == source {
                    outlook.kind = .tunnel
                    outlook.key = tunnelHash(server: server, port: destination.port)
                    tunnelTable.fetchAhead(outlook.key)
                    break
                }
            }
        } else {
            for index in 0..<listenerCount where listeners[index].endpoint == destination {
                outlook.kind = .front
                outlook.key = frontHash(source, listener: index)
                frontTable.fetchAhead(outlook.key)
                break
            }
        }
        return outlook
    }

    private func found(_ outlook: Outlook) -> Outlook {
        var outlook = outlook
        switch outlook.kind {
        case .nothing: break
        case .front:
            guard let index = frontTable.guess(outlook.key) else { return Outlook() }
            outlook.place = UInt32(index)
            fronts.fetchAhead(index)
            timers.fetchAhead(index)
        case .tunnel:
            guard let place = tunnelTable.guess(outlook.key) else { return Outlook() }
            outlook.place = UInt32(place)
            backs.fetchAhead(place)
            timers.fetchAhead(backTimer(place))
        case .back: outlook.place = UInt32(outlook.key)
        }
        return outlook
    }

    private func fetchPartner(of outlook: Outlook) {
        switch outlook.kind {
        case .nothing: break
        case .front:
            let back = fronts.pointer(Int(outlook.place)).pointee.back
            if back != FrontConnection.noIndex { backs.fetchAhead(Int(back)) }
        case .tunnel, .back:
            let front = backs.pointer(Int(outlook.place)).pointee.front
            if front != BackConnection.noIndex { fronts.fetchAhead(Int(front)) }
        }
    }
}
