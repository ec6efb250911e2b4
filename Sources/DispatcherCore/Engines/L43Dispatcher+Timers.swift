extension L43Dispatcher {
    /// When something must be done about a connection, if nothing passes before.
    private func deadline(_ connection: Ref) -> Instant {
        switch connection.pointee.state {
        case .queued:
            let wait = connection.pointee.began + pools[Int(connection.pointee.pool)].settings.queue.wait
            // A client whose SYN we answered has nothing to repeat.
            return connection.pointee.isAnswered ? wait : min(wait, connection.pointee.seen + Self.patience)
        case .opening:
            return min(connection.pointee.seen + Self.patience, min(connection.pointee.answerBy, connection.pointee.repeatAt))
        case .open:
            return connection.pointee.progress + pools[Int(connection.pointee.pool)].settings.l4.idle
        case .closed:
            return connection.pointee.forgetAt
        }
    }

    @inline(__always) mutating func arm(_ connection: Ref, _ index: Int) {
        let deadline = deadline(connection)
        if deadline != .distantFuture { timers.arm(index, by: deadline) }
    }

    /// Lets time pass: every deadline up to `now` fires. Stops early when `egress` wants a flush; then `nextDeadline` is not later than `now`.
    public mutating func advance(to now: Instant, into egress: inout Egress) {
        while !egress.wantsFlush, let id = timers.next(at: now) {
            if id >= connections.capacity {
                fire(server: id - connections.capacity, at: now, into: &egress)
                continue
            }
            let connection = connections.pointer(id)
            if deadline(connection) <= now { fire(connection, id, at: now, into: &egress) }
            arm(connection, id)
        }
    }

    private mutating func fire(_ connection: Ref, _ index: Int, at now: Instant, into egress: inout Egress) {
        switch connection.pointee.state {
        case .queued:
            let waits = connection.pointee.began + pools[Int(connection.pointee.pool)].settings.queue.wait > now
            counters.refused(waits ? .clientGone : .queueWait)
            if !waits { resetClient(connection, into: &egress) }
            abandon(connection, index, cause: waits ? .client : .serverTimeout, at: now, into: &egress)
        case .opening:
            if connection.pointee.seen + Self.patience <= now {
                counters.halfOpenExpired &+= 1
                resetServer(connection, into: &egress)
                if connection.pointee.isAnswered { resetClient(connection, into: &egress) }
                let isClients = connection.pointee.hasServerNumbers
                abandon(
                    connection, index, cause: isClients ? .clientTimeout : .serverTimeout, failed: !isClients, at: now, into: &egress)
                return
            }
            if connection.pointee.repeatAt <= now {
                connection.pointee.repeatAfter = connection.pointee.repeatAfter * 2
                connection.pointee.repeatAt = now + connection.pointee.repeatAfter
                sendSYN(connection, again: true, into: &egress)
            }
            guard connection.pointee.answerBy <= now else { return }
            connection.pointee.answerBy = .distantFuture
            let pool = Int(connection.pointee.pool)
            if offerAnother(connection, index, at: now, into: &egress) { serveQueue(pool, at: now, into: &egress) }
        case .open:
            counters.idleExpired &+= 1
            resetClient(connection, into: &egress)
            resetServer(connection, into: &egress)
            abandon(connection, index, cause: .clientTimeout, at: now, into: &egress)
        case .closed:
            forget(index)
        }
    }
}
