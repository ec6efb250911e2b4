/// What of the frames that come in is ours. An address that the kernel owns as well is ours for certain ports only; everything else
/// there is the kernel's business, and an answer of ours would be a second one (architecture.md, "Addresses").
extension L73Dispatcher {
    /// Whether an address is one of those that the dispatcher serves or sends from.
    func isOurs(_ address: IPAddress) -> Bool {
        if address == configuration.sourceAddress { return true }
        for index in 0..<listenerCount where listeners[index].endpoint.address == address { return true }
        return false
    }

    /// Whether the kernel owns an address of ours as well.
    func isKernels(_ address: IPAddress) -> Bool {
        if address == configuration.sourceAddress { return configuration.sourceIsKernels }
        for index in 0..<listenerCount where listeners[index].endpoint.address == address { return listeners[index].isKernels }
        return false
    }

    func isListenedAt(_ endpoint: Endpoint) -> Bool {
        for index in 0..<listenerCount where listeners[index].endpoint == endpoint { return true }
        return false
    }

    func isServer(_ endpoint: Endpoint) -> Bool {
        for index in 0..<serverCount where servers[index].endpoint == endpoint { return true }
        return false
    }

    /// Whether what goes to there goes to our end of a server's connection. Only a host with a single address serves clients at the
    /// address that it asks servers from; then the port decides.
    @inline(__always) func isToSource(_ destination: Endpoint) -> Bool {
        destination.address == configuration.sourceAddress && !(sourceIsListened && isListenedAt(destination))
    }

    /// The side that a frame belongs to by its destination, for sides that share an interface; nil when that says nothing.
    func side(of frame: Frame) -> Side? {
        switch frame {
        case .segment(let segment): return isToSource(segment.destination) ? .server : .client
        case .icmp(let message):
            // What an error quotes was sent by us: its source tells the leg.
            if case .aboutSegment(let error) = message.kind { return isToSource(error.source) ? .server : .client }
            return message.destination == configuration.sourceAddress ? .server : .client
        case .datagram, .arp, .bad: return nil
        }
    }

    /// Whether we sent a segment ourselves. Where the kernel owns the address, others on this host send from it too: a server asks and
    /// answers at other ports than ours.
    func isOurOwn(_ segment: Segment) -> Bool {
        guard isOurs(segment.source.address) else { return false }
        guard isKernels(segment.source.address) else { return true }
        if isListenedAt(segment.source) { return true }
        return configuration.sourceIsKernels && isSourcePort(segment.source) && isSourcePort(segment.destination)
    }

    private func isSourcePort(_ endpoint: Endpoint) -> Bool {
        let ports = configuration.ports
        return endpoint.address == configuration.sourceAddress && ports.first <= Int(endpoint.port) && Int(endpoint.port) <= ports.last
            && !isListenedAt(endpoint)
    }
}
