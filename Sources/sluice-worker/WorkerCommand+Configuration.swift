import ArgumentParser
import Foundation
import NIOCore
import PushService

extension WorkerCommand {
    /// What the options say; throws what is wrong with them.
    func workerConfiguration() throws -> WorkerConfiguration {
        let roles = try checkedRoles()
        var configuration = WorkerConfiguration(dataDirectory: try checkedData(for: roles), publicURL: try checkedPublicURL(for: roles))
        configuration.roles = roles
        guard IPAddress(listen) != nil else {
            throw ValidationError("--listen \(listen): must be a literal IPv4 or IPv6 address, for example 127.0.0.1 or 0.0.0.0")
        }
        configuration.listenAddress = listen
        configuration.userAgentPort = try checked(port: uaPort, option: "--ua-port")
        configuration.applicationServerPort = try checked(port: asPort, option: "--as-port")
        configuration.tokenKeysFile = tokenKeys
        configuration.trustedProxies = try networks(trustedProxy, option: "--trusted-proxy")
        configuration.wakeUpPort = try checked(port: wakeupPort, option: "--wakeup-port")
        configuration.wakeUpNetworks = try networks(wakeupNetwork, option: "--wakeup-network")
        configuration.wakesLoopback = wakeupLoopback
        if roles.contains(.wakeUp), wakeupNetwork.isEmpty {
            throw ValidationError("--roles wakeup needs --wakeup-network: the networks that it may send to")
        }
        if let operators { configuration.operators = try operatorTable(operators) }
        configuration.tokenRate = try rate(tokenRate, option: "--token-rate")
        configuration.notifyRate = try rate(notifyRate, option: "--notify-rate")
        configuration.ping = try checkedPing()
        configuration.tokenLifetime = try checkedLifetime()
        configuration.deviceRetention = try checkedRetention()
        configuration.replayProtection = replayProtection
        configuration.checksStore = checkStore
        configuration.tls = try checkedTLS(configuration.roles)
        configuration.admin = try checkedAdmin()
        configuration.messageLog = messageLog
        guard (0...3600).contains(drainTime) else { throw ValidationError("--drain-time \(drainTime): must be seconds in 0...3600") }
        configuration.drain = .seconds(Int64(drainTime))
        configuration.drainRate = try checkedDrainRate()
        return configuration
    }

    private func checkedTLS(_ roles: Set<WorkerRole>) throws -> TLSFiles? {
        switch (tlsPort, tlsCertificate, tlsKey) {
        case (nil, nil, nil): return nil
        case (let port?, let certificate?, let key?):
            guard roles.contains(.uaWS) || roles.contains(.applicationServers) else {
                throw ValidationError("--tls-port \(port): serves the roles ua-ws and as; give one of them, or leave the port out")
            }
            return TLSFiles(port: try checked(port: port, option: "--tls-port"), certificate: certificate, key: key)
        default: throw ValidationError("--tls-port, --tls-certificate and --tls-key go together: give all three, or none")
        }
    }

    private func checkedAdmin() throws -> AdminAddress? {
        guard let adminListen else { return nil }
        guard let colon = adminListen.lastIndex(of: ":"), let port = Int(adminListen[adminListen.index(after: colon)...]),
            (0...65535).contains(port)
        else { throw ValidationError("--admin-listen \(adminListen): must be ADDRESS:PORT, for example 127.0.0.1:9910 or [::1]:9910") }
        var address = adminListen[..<colon]
        let isBracketed = address.hasPrefix("[") && address.hasSuffix("]")
        if isBracketed { address = address.dropFirst().dropLast() }
        guard IPAddress(address) != nil, address.contains(":") == isBracketed else {
            throw ValidationError("--admin-listen \(adminListen): must begin with a literal address, an IPv6 one in brackets")
        }
        return AdminAddress(address: String(address), port: port)
    }

    /// Nil: all at once.
    private func checkedDrainRate() throws -> Double? {
        let text = drainRate.hasSuffix("/s") ? drainRate.dropLast(2) : drainRate[...]
        guard let rate = Double(text), rate.isFinite, rate >= 0, rate <= 1e9 else {
            throw ValidationError("--drain-rate \(drainRate): must be WebSockets a second, for example 1000/s, or 0 for all at once")
        }
        return rate == 0 ? nil : rate
    }

    private func checkedData(for roles: Set<WorkerRole>) throws -> String {
        guard roles != [.wakeUp] else { return data ?? "" }
        guard let data, !data.isEmpty else { throw ValidationError("--data must name a directory (only --roles wakeup needs none)") }
        return data
    }

    private func operatorTable(_ path: String) throws -> OperatorTable {
        do {
            return try OperatorTable(yaml: String(contentsOfFile: path, encoding: .utf8))
        } catch let error as OperatorTableError {
            throw ValidationError("--operators \(path): \(error)")
        } catch {
            throw ValidationError("--operators \(path): cannot be read: \(error.localizedDescription)")
        }
    }

    private func networks(_ texts: [String], option: String) throws -> [IPNetwork] {
        try texts.map { text in
            guard let network = IPNetwork(text) else {
                throw ValidationError("\(option) \(text): must be an address or ADDRESS/LENGTH with zeros past the length")
            }
            return network
        }
    }

    private func checkedPublicURL(for roles: Set<WorkerRole>) throws -> String {
        guard let publicUrl else {
            guard roles.isDisjoint(with: [.uaWS, .applicationServers]) else {
                throw ValidationError("--public-url is missing: what public URLs begin with, for example https://push.example.org")
            }
            return ""
        }
        guard let parts = URLComponents(string: publicUrl), ["http", "https"].contains(parts.scheme?.lowercased()), let host = parts.host,
            !host.isEmpty, publicUrl.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), parts.query == nil, parts.fragment == nil,
            parts.user == nil
        else { throw ValidationError("--public-url \(publicUrl): must be like https://push.example.org, without query and user") }
        return String(publicUrl.reversed().drop { $0 == "/" }.reversed())
    }

    private func checked(port: Int, option: String) throws -> Int {
        guard (0...65535).contains(port) else { throw ValidationError("\(option) \(port): must be in 0...65535") }
        return port
    }

    private func checkedRoles() throws -> Set<WorkerRole> {
        let names = roles.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmingCharacters(in: .whitespaces) }
        return Set(
            try names.map { name in
                guard let role = WorkerRole(rawValue: name) else {
                    let known = WorkerRole.allCases.map(\.rawValue).joined(separator: ", ")
                    throw ValidationError("--roles \(name): must be of \(known)")
                }
                return role
            })
    }

    private func rate(_ text: String, option: String) throws -> RateLimit? {
        if text == "0" { return nil }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Double($0) }
        guard parts.count == 2, let rate = parts[0], let burst = parts[1], rate.isFinite, burst.isFinite, rate > 0, burst >= 1 else {
            throw ValidationError(
                "\(option) \(text): must be RATE/BURST, for example 10/20, with a rate above 0 and a burst of at least 1; or 0")
        }
        return RateLimit(rate: rate, burst: burst)
    }

    private func checkedPing() throws -> TimeAmount? {
        if ping == "off" { return nil }
        guard let seconds = Int64(ping), (1...86400).contains(seconds) else {
            throw ValidationError("--ping \(ping): must be off, or seconds in 1...86400")
        }
        return .seconds(seconds)
    }

    /// In days.
    private func checkedRetention() throws -> Int? {
        if deviceRetention == "off" { return nil }
        guard deviceRetention.last == "d", let days = Int(deviceRetention.dropLast()), (1...36_500).contains(days) else {
            throw ValidationError("--device-retention \(deviceRetention): must be off, or days in 1d...36500d")
        }
        return days
    }

    /// In milliseconds.
    private func checkedLifetime() throws -> Int64? {
        guard let tokenLifetime else { return nil }
        let units: [Character: Int64] = ["s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
        let unit = tokenLifetime.last.flatMap { units[$0] }
        let digits = unit == nil ? tokenLifetime[...] : tokenLifetime.dropLast()
        guard let value = Int64(digits), (1...1_000_000_000).contains(value) else {
            throw ValidationError("--token-lifetime \(tokenLifetime): must be a time like 90d, 12h, 30m or 600s")
        }
        return value * (unit ?? 1000)
    }
}
