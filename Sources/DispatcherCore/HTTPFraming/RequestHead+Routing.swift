extension RequestHead {
    /// Whether the path begins with `prefix`, byte by byte. An empty path counts as "/".
    ///
    /// - Parameter head: the head that this value was parsed from.
    public func pathHasPrefix(_ prefix: UnsafeRawBufferPointer, of head: UnsafeRawBufferPointer) -> Bool {
        let path = pathRange.isEmpty ? UnsafeRawBufferPointer.of("/") : pathRange.bytes(in: head)
        guard prefix.count <= path.count else { return false }
        for index in 0..<prefix.count where path[index] != prefix[index] { return false }
        return true
    }

    /// Whether the method is `name`; the case of letters matters.
    public func methodIs(_ name: UnsafeRawBufferPointer, of head: UnsafeRawBufferPointer) -> Bool {
        methodRange.bytes(in: head).elementsEqual(name)
    }

    /// The host without its port; brackets of an IPv6 address are part of it. Empty if the request has none.
    public func hostName(of head: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let host = hostRange.bytes(in: head)
        return UnsafeRawBufferPointer(rebasing: host[0..<HostSyntax.endOfName(host, 0, host.count)])
    }

    /// Whether the request is for the host `name`, whatever the port; the case of letters does not matter.
    public func hostIs(_ name: UnsafeRawBufferPointer, of head: UnsafeRawBufferPointer) -> Bool {
        HTTPBytes.equal(hostName(of: head), name)
    }

    /// The value of the first field line with this name, without the whitespace around it; nil if there is none.
    ///
    /// - Parameter name: the field's name; the case of letters does not matter.
    public func value(ofField name: UnsafeRawBufferPointer, of head: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        HeadFields.value(of: name, in: head, from: Int(fieldsStart))
    }
}

/// Looks a field up in a head that was judged.
enum HeadFields {
    static func value(of name: UnsafeRawBufferPointer, in head: UnsafeRawBufferPointer, from start: Int) -> UnsafeRawBufferPointer? {
        var next = start
        while case .field(let line) = FieldStep.read(head, at: next) {
            if HTTPBytes.equal(UnsafeRawBufferPointer(rebasing: head[line.nameStart..<line.nameEnd]), name) {
                return UnsafeRawBufferPointer(rebasing: head[line.valueStart..<line.valueEnd])
            }
            next = line.next
        }
        return nil
    }
}
