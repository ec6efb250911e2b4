/// Which pool a request goes to, and what a hashed balance goes by; both by the canonical head, as the server will see it.
extension L73Dispatcher {
    /// A canonical head taken apart as far as routes need it.
    private struct Line {
        var method: UnsafeRawBufferPointer
        /// Without the query.
        var path: UnsafeRawBufferPointer
        /// Where the first field begins.
        var fields: Int

        init?(_ head: UnsafeRawBufferPointer) {
            guard let first = head.firstIndex(of: HTTPBytes.space) else { return nil }
            var end = first + 1
            var pathEnd: Int?
            while end < head.count, head[end] != HTTPBytes.space {
                if pathEnd == nil, head[end] == HTTPBytes.question { pathEnd = end }
                end += 1
            }
            guard let lineEnd = head[end...].firstIndex(of: HTTPBytes.lineFeed) else { return nil }
            method = UnsafeRawBufferPointer(rebasing: head[0..<first])
            path = UnsafeRawBufferPointer(rebasing: head[first + 1..<(pathEnd ?? end)])
            fields = lineEnd + 1
        }
    }

    /// The pool of the first route all of whose conditions hold; nil = there is none.
    func route(_ front: FrontRef, _ request: RequestHead) -> Int? {
        let routes = routes[Int(front.pointee.service)]
        if let first = routes.first, first.isForAll { return first.pool }
        let head = front.pointee.output.bytes(0, count: Int(front.pointee.outputCount))
        guard let line = Line(head) else { return nil }
        for route in routes {
            if route.upgradesToWebSocket, !request.upgradesToWebSocket { continue }
            if !route.pathPrefix.isEmpty {
                guard line.path.count >= route.pathPrefix.count, line.path.prefix(route.pathPrefix.count).elementsEqual(route.pathPrefix)
                else { continue }
            }
            if !route.methods.isEmpty, !route.methods.contains(where: { line.method.elementsEqual($0) }) { continue }
            if !route.host.isEmpty {
                guard let host = HeadFields.value(of: .of("Host"), in: head, from: line.fields) else { continue }
                let name = UnsafeRawBufferPointer(rebasing: host[0..<HostSyntax.endOfName(host, 0, host.count)])
                guard HTTPBytes.equal(name, route.host) else { continue }
            }
            if !route.headerName.isEmpty {
                guard let value = HeadFields.value(of: route.headerName, in: head, from: line.fields) else { continue }
                guard route.headerValue.isEmpty || value.elementsEqual(route.headerValue) else { continue }
            }
            return route.pool
        }
        return nil
    }

    /// 0 = the balance of the pool is not hashed, or the request has nothing to go by.
    func balanceHash(_ front: FrontRef, pool: Int) -> UInt64 {
        switch pools[pool].settings.balance {
        case .roundRobin, .leastConnections: return 0
        case .hashOfSource: return ServerChooser.hash(of: front.pointee.client.address)
        case .hashOfPath:
            let head = front.pointee.output.bytes(0, count: Int(front.pointee.outputCount))
            return Line(head).map { ServerChooser.hash(of: $0.path) } ?? 0
        case .hashOfHeader(let name):
            let head = front.pointee.output.bytes(0, count: Int(front.pointee.outputCount))
            guard let line = Line(head) else { return 0 }
            return name.withUnsafeBytes { name in
                HeadFields.value(of: name, in: head, from: line.fields).map { ServerChooser.hash(of: $0) } ?? 0
            }
        }
    }
}
