import DispatcherCore
import Yams

extension Configuration {
    /// Reads and checks a file's text.
    /// - Parameter file: its name, for messages.
    /// - Throws: `ConfigurationError` with everything that is wrong with it.
    public init(yaml: String, file: String) throws(ConfigurationError) {
        let problems = ConfigurationProblems(file: file)
        self.init()
        if let node = Self.compose(yaml, problems) {
            var decoder = ConfigurationDecoder(problems: problems)
            self = decoder.decode(ConfigurationSection(node, path: "", line: 1, problems: problems))
        }
        guard problems.list.isEmpty else { throw ConfigurationError(problems: problems.sorted) }
    }

    private static func compose(_ yaml: String, _ problems: ConfigurationProblems) -> Node? {
        do {
            guard let node = try Yams.compose(yaml: yaml) else {
                problems.report(1, "the file is empty")
                return nil
            }
            return node
        } catch YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _)
        {
            problems.report(mark.line, "not YAML: \(problem)")
        } catch YamlError.duplicatedKeysInMapping(let duplicates, let context) {
            problems.report(context.mark.line, "this key is there twice: \(duplicates.joined(separator: ", "))")
        } catch {
            problems.report(1, "not YAML: \(error)")
        }
        return nil
    }
}

/// Turns sections into a `Configuration`. What is wrong is reported and replaced by a default, so that the reading goes on.
struct ConfigurationDecoder {
    let problems: ConfigurationProblems
    var result = Configuration()
    /// The names of the pools that services in mode l4/3 send to.
    var forwardedPools: Set<String> = []

    init(problems: ConfigurationProblems) { self.problems = problems }

    mutating func decode(_ top: ConfigurationSection) -> Configuration {
        decodeProcess(top)
        decodeSides(top)
        decodeTCP(top.section("tcp"))
        let pools = top.sections("pools")
        let services = top.sections("services")
        forwardedPools = Set(
            services.filter { $0.text("mode") == ServiceConfiguration.Mode.l43.rawValue }.flatMap { $0.sections("routes") }
                .map { $0.text("pool") })
        decodePools(pools)
        decodeServices(services)
        checkModes(services: services, pools: pools)
        checkAddresses(
            services: services, pools: pools, clientSide: top.section("client-side"), serverSide: top.section("server-side"))
        return result
    }

    private mutating func decodeProcess(_ top: ConfigurationSection) {
        result.user = top.text("user")
        let log = top.section("log")
        result.logLevel = log.text("level")
        switch log.text("access") {
        case "none": result.accessLog = .none
        case "stdout": result.accessLog = .stdout
        case let file: result.accessLog = .file(file)
        }
        if let listen = top.section("admin").endpoint("listen") { result.adminListen = listen }
        result.drain = top.section("stop").interval("drain")
        result.tunnelsPerSecond = top.section("stop").number("tunnels-per-second")
        decodeShards(top)
    }

    private mutating func decodeShards(_ top: ConfigurationSection) {
        let shards = top.text("shards")
        guard shards != "auto", !shards.isEmpty else {
            // A half of the cores is left to everything else.
            let cores = Configuration.cores
            result.shards = cores <= 2 ? 1 : min(64, cores / 2)
            return
        }
        guard let number = Int(shards), (1...64).contains(number) else {
            return problems.report(top.line(of: "shards"), "shards: \(shards) is not auto or a number from 1 to 64")
        }
        result.shards = number
    }

    private mutating func decodeSides(_ top: ConfigurationSection) {
        let client = top.section("client-side")
        let server = top.section("server-side")
        result.transmit = top.choice("transmit", Configuration.Transmit.self)
        result.replyTo = client.choice("reply-to", Configuration.ReplyTo.self)
        result.clientSide = .init(
            interface: interface(client), captureMemory: client.number("capture-memory"), gateways: gateways(client))
        result.serverSide = .init(
            interface: interface(server), captureMemory: server.number("capture-memory"), gateways: gateways(server))

        result.sourceIsKernels = server.flag("kernel-addresses")
        if result.serverSide.interface == Configuration.loopback, !result.sourceIsKernels {
            problems.report(
                server.line(of: "interface"),
                "server-side.interface: every address that answers on \(Configuration.loopback) is the kernel's; say kernel-addresses: true"
            )
        }
        decodeSourceAddresses(server)

        var ports = PortPlan(
            first: server.number("first-port"), last: server.number("last-port"), layers: server.number("layers"),
            servers: server.number("servers"), connections: server.number("connections-per-server"))
        ports.shards = result.shards
        result.ports = ports
        guard ports.fits else {
            let needed = ports.layers * ports.slots
            return problems.report(
                server.line(ofFirst: ["connections-per-server", "servers", "layers", "last-port", "first-port"]),
                "server-side: the ports \(ports.first) to \(ports.last) are \(max(0, ports.last - ports.first + 1)), but \(ports.layers) layers of \(ports.servers) servers with \(ports.connections) connections need \(needed); lower layers, servers or connections-per-server"
            )
        }
    }

    private func interface(_ side: ConfigurationSection) -> String {
        let name = side.text("interface")
        if name.utf8.count > 15 { problems.report(side.line(of: "interface"), "\(side.path).interface: \(name) is longer than 15 bytes") }
        return name
    }

    private mutating func decodeSourceAddresses(_ server: ConfigurationSection) {
        let key = "server-side.source-addresses"
        for item in server.each("source-addresses") {
            guard case .address(let source) = item.value else { continue }
            requireUnicast(source, item.line, key, on: result.serverSide)
            if source.isLinkLocal {
                problems.report(
                    item.line, "\(key): \(source) holds on one link only; name an address that servers can answer to from anywhere")
            } else if result.sourceAddresses.contains(source) {
                problems.report(item.line, "\(key): \(source) is there twice")
            } else if result.sourceAddresses.contains(where: { $0.isIPv4 == source.isIPv4 }) {
                problems.report(item.line, "not supported yet: \(key) (\(source), a second one of \(Self.family(source)))")
            } else {
                result.sourceAddresses.append(source)
            }
        }
    }

    static func family(_ address: IPAddress) -> String { address.isIPv4 ? "IPv4" : "IPv6" }

    private func gateways(_ side: ConfigurationSection) -> [IPAddress] {
        var found: [IPAddress] = []
        let key = "\(side.path).gateway"
        for item in side.each("gateway") {
            guard case .text(let text) = item.value, text != "auto", !text.isEmpty else { continue }
            guard let address = IPAddress(text) else {
                problems.report(item.line, "\(key): \(text) is not auto or an IP address")
                continue
            }
            requireUnicast(address, item.line, key)
            if found.contains(where: { $0.isIPv4 == address.isIPv4 }) {
                problems.report(item.line, "\(key): \(address) is a second one of \(Self.family(address)); name at most one a family")
            }
            if result.transmit == .raw {
                problems.report(
                    item.line, "\(key): with transmit: raw the kernel finds the next hop; leave it out, or transmit: packet")
            }
            found.append(address)
        }
        return found
    }

    private mutating func decodeTCP(_ tcp: ConfigurationSection) {
        result.tcp.acknowledge = tcp.choice("acknowledge", TCPSettings.Acknowledge.self)
        result.tcp.options = tcp.choice("options", TCPSettings.Options.self)
        result.tcp.initialWindow = tcp.choice("initial-window", TCPSettings.InitialWindow.self)
        result.tcp.timeWait = tcp.interval("time-wait")
        result.tcp.serverTimeWait = tcp.interval("server-time-wait")
        result.tcp.tailCustody = tcp.number("tail-custody")
        result.tcp.stagingMemory = tcp.number("staging-memory")
        let mss = tcp.text("server-mss")
        if mss != "auto" {
            if let number = Int(mss), (536...65_495).contains(number) {
                result.tcp.serverMSS = number
            } else {
                problems.report(tcp.line(of: "server-mss"), "tcp.server-mss: \(mss) is not auto or a number from 536 to 65495")
            }
        }
    }

    // MARK: Shared checks

    /// Names stand in metrics, in the log and in URLs.
    func name(_ section: ConfigurationSection) -> String {
        let name = section.text("name")
        let allowed = name.utf8.allSatisfy {
            (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45 || $0 == 46 || $0 == 95
        }
        if !allowed {
            problems.report(
                section.line(of: "name"), "\(section.path).name: \(name) may only have the letters a to z, digits, and the signs - . _")
        }
        return name
    }

    /// - Parameter side: where it is used; a host's own end may be a loopback address there.
    func requireUnicast(_ address: IPAddress, _ line: Int, _ key: String, on side: Configuration.SideSettings? = nil) {
        if address.isUnicastSource || address.isLoopback && side?.interface == Configuration.loopback { return }
        problems.report(line, "\(key): \(address) is not an address that a host can have")
    }

    /// Times that cannot be nothing.
    func positive(_ section: ConfigurationSection, _ key: String) -> Interval {
        let interval = section.interval(key)
        if interval == .zero { problems.report(section.line(of: key), "\(section.path).\(key): 0 leaves no time; it must be more") }
        return interval
    }
}
