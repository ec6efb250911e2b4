import Lab
import PushProtocol

/// A device that stays connected: it comes back when the connection drops, later and later while that fails.
struct Listener {
    /// The first and the longest pause before a new attempt, in seconds.
    private static let pauses = 0.5...30.0
    /// How many message identifiers are remembered, to tell duplicates.
    private static let rememberedLimit = 4096

    let server: ServerURL
    let trust: ServerTrust
    let token: String
    let application: ApplicationPair
    /// End after so many messages.
    let limit: Int?
    let printer: EventPrinter
    /// What to do when the token is refused.
    let advice: String

    private var received = 0
    private var remembered: Set<String> = []
    private var rememberedOrder: [String] = []
    private var hasRegistered = false
    private var pause = pauses.lowerBound

    init(
        server: ServerURL, trust: ServerTrust, token: String, application: ApplicationPair, limit: Int?, printer: EventPrinter,
        advice: String
    ) {
        self.server = server
        self.trust = trust
        self.token = token
        self.application = application
        self.limit = limit
        self.printer = printer
        self.advice = advice
    }

    /// Returns when the wanted number of messages has come; throws when the server refuses the device, or the first attempt fails.
    mutating func run() async throws {
        while true {
            do {
                if try await listen() { return }
            } catch let error as LabError {
                guard hasRegistered else { throw error }
                printer.disconnected("\(error)", retryIn: pause)
            }
            try await Task.sleep(for: .seconds(pause))
            pause = min(pause * 2, Self.pauses.upperBound)
        }
    }

    /// One connection; true when the wanted number of messages has come.
    private mutating func listen() async throws -> Bool {
        let device = try await PushDevice.connect(to: server, trust: trust)
        let url: String
        do {
            try await device.register(token: token)
            url = try await device.registerApplication(watoken: application.watoken, pbkbase64: application.pbkbase64)
        } catch let error as LabError {
            await device.close()
            throw LabError("\(error)\(advice)")
        }
        if hasRegistered { printer.reconnected(url: url) } else { printer.registered(url: url) }
        hasRegistered = true
        pause = Self.pauses.lowerBound
        while let event = try await device.next(seconds: nil) {
            switch event {
            case .notification(let notification):
                if take(notification, on: device) {
                    await device.close()
                    return true
                }
            case .closed(CloseCode.replaced?):
                hasRegistered = false
                throw LabError("another connection with the same UAToken has taken over; use a --token-file of its own for each device")
            case .closed(let code):
                printer.disconnected("the connection was closed\(code.map { " with code \($0)" } ?? "")", retryIn: pause)
                return false
            case .answer(let object):
                Output.remark("the server says: \(String(decoding: JSONValue.object(object).bytes, as: UTF8.self))")
            }
        }
        return false
    }

    /// Prints and acknowledges; a duplicate is only acknowledged. True when it was the last one wanted.
    private mutating func take(_ notification: PushDevice.Notification, on device: PushDevice) -> Bool {
        device.acknowledge(notification.messageID)
        guard remembered.insert(notification.messageID).inserted else { return false }
        rememberedOrder.append(notification.messageID)
        if rememberedOrder.count > Self.rememberedLimit { remembered.remove(rememberedOrder.removeFirst()) }
        printer.message(notification)
        received += 1
        return received == limit
    }
}
