import PushProtocol
import PushStore

extension DeviceSession {
    func perform(_ command: DeviceCommand) {
        switch (command, stage) {
        case (.registerUA(let token, let interface, let network), _): registerUA(token: token, interface: interface, network: network)
        case (.getAllMessages(let token), _): getAllMessages(token: token)
        case (.ack(let messageID), .polled(let device)), (.ack(let messageID), .registered(let device, _)):
            acknowledge(messageID, device: device)
        case (_, .registered(let device, _)): perform(command, for: device)
        default: refuse(.notRegistered(command.name))
        }
    }

    private func perform(_ command: DeviceCommand, for device: DeviceID) {
        switch command {
        case .registerWA(let token, let application):
            if isOwn(token, device: device, command: .registerWA) { registerWA(application, device: device) }
        case .unregisterWA(let token, let application):
            if isOwn(token, device: device, command: .unregisterWA) { unregisterWA(application, device: device) }
        case .getRegisteredWA: getRegisteredWA(device: device)
        case .unregisterUA: unregisterUA(device: device)
        case .registerUA, .getAllMessages, .ack: preconditionFailure("handled for every stage")
        }
    }

    /// A token may be left out; one that is there must be the device's.
    private func isOwn(_ token: String?, device: DeviceID, command: DeviceCommand.Name) -> Bool {
        guard let token else { return true }
        if let named = self.device(of: token), named == device { return true }
        refuse(.badToken(command, closing: false))
        return false
    }

    /// The device that a token names; nil, and counted, when it does not verify.
    private func device(of token: String) -> DeviceID? {
        do throws(TokenRefusal) {
            return try context.device(ofToken: token)
        } catch {
            context.counters.add(.deviceTokensRefused)
            return nil
        }
    }

    // MARK: registerUA

    private func registerUA(token: String, interface: DeviceInterface?, network: MobileNetwork?) {
        guard let device = device(of: token) else { return refuse(.badToken(.registerUA, closing: true)) }
        let wakeUp = wakeUpTarget(interface, network)
        if case .registered(let registered, let connection) = stage {
            guard device == registered else { return refuse(.badToken(.registerUA, closing: true)) }
            return registerAgain(device, connection, wakeUp, network: network)
        }
        let previous = context.sockets.claim(device, by: socket)
        stage = .registering(device)
        context.acknowledgements.flush()
        ask {
            context.store.connect(device, to: context.bus.name, wakeUp: wakeUp, then: $0)
        } then: { session, outcome in
            switch outcome {
            case .success(let connection):
                session.connected(device, connection, previous: previous, canBeWoken: wakeUp != nil, network: network)
            case .failure: session.notConnected(device, previous: previous)
            }
        }
    }

    /// registerUA once more: the interface is replaced.
    private func registerAgain(_ device: DeviceID, _ connection: DeviceConnection, _ wakeUp: WakeUpTarget?, network: MobileNetwork?) {
        guard wakeUp != nil || sleeps else { return answerRegistration(canBeWoken: false, network: network) }
        ask {
            context.store.setWakeUp(wakeUp, of: device, connection: connection.number, then: $0)
        } then: { session, outcome in
            switch outcome {
            case .success: session.answerRegistration(canBeWoken: wakeUp != nil, network: network)
            case .failure: session.refuse(.unavailable(.registerUA))
            }
        }
    }

    private func answerRegistration(canBeWoken: Bool, network: MobileNetwork?) {
        output?.setPinging(network == nil)
        reply(.registeredUA(pushMode: canBeWoken ? .udp : .ws))
        setSleeping(canBeWoken)
    }

    private func connected(
        _ device: DeviceID, _ connection: DeviceConnection, previous: DeviceSocket?, canBeWoken: Bool, network: MobileNetwork?
    ) {
        previous?.execute { $0.replaced(by: connection.number) }
        if let worker = connection.previousWorker, worker != context.bus.name {
            context.bus.send(.replaced(device: device, connection: connection.number), to: .worker(worker))
        }
        guard case .registering = stage else {
            // Closed while the store was asked.
            context.sockets.release(device, by: socket)
            context.noteDisconnected(device, connection: connection.number, sentThrough: 0)
            return
        }
        context.counters.add(.devicesRegistered)
        if connection.wasWoken { context.counters.add(.devicesWoken) }
        stage = .registered(device, connection)
        guard replacedBy <= connection.number else { return replaced(by: replacedBy) }
        answerRegistration(canBeWoken: canBeWoken, network: network)
        delivery.mayHaveMore = true
        deliver()
    }

    private func notConnected(_ device: DeviceID, previous: DeviceSocket?) {
        context.sockets.release(device, by: socket, to: previous)
        guard case .registering = stage else { return }
        stage = .anonymous
        refuse(.unavailable(.registerUA))
    }

    // MARK: Applications

    private func registerWA(_ application: ApplicationPair, device: DeviceID) {
        let (store, limit) = (context.store, context.configuration.applicationLimit)
        ask { then in
            guard hasAllApplications else { return store.register(application, for: device, limit: limit, then: then) }
            // What it has already may be registered again. To look for it costs less than to count what it has.
            store.application(application.appToken) { found in
                switch found {
                case .success(nil): then(.success(.tooMany))
                case .success: store.register(application, for: device, limit: limit, then: then)
                case .failure(let error): then(.failure(error))
                }
            }
        } then: { session, outcome in
            switch outcome {
            case .success(.registered):
                session.reply(.registeredWA(url: session.context.configuration.url(of: application.appToken), watoken: application.watoken))
            case .success(.appTokenInUse): session.refuse(.appTokenInUse)
            case .success(.tooMany):
                session.hasAllApplications = true
                session.refuse(.tooManyApplications)
            case .failure: session.refuse(.unavailable(.registerWA))
            }
        }
    }

    private func unregisterWA(_ application: ApplicationPair, device: DeviceID) {
        ask {
            context.store.unregister(application, for: device, then: $0)
        } then: { session, outcome in
            switch outcome {
            case .success(true):
                session.hasAllApplications = false
                session.delivery.forget(application.appToken)
                session.reply(.unregisteredWA(url: session.context.configuration.url(of: application.appToken)))
                session.deliver()
            case .success(false): session.refuse(.unknownApplication)
            case .failure: session.refuse(.unavailable(.unregisterWA))
            }
        }
    }

    private func getRegisteredWA(device: DeviceID) {
        ask {
            context.store.applications(of: device, then: $0)
        } then: { session, outcome in
            switch outcome {
            case .success(let tokens): session.reply(.applications(urls: tokens.map { session.context.configuration.url(of: $0) }))
            case .failure: session.refuse(.unavailable(.getRegisteredWA))
            }
        }
    }

    private func unregisterUA(device: DeviceID) {
        ask {
            context.store.forget(device, then: $0)
        } then: { session, outcome in
            switch outcome {
            case .success:
                session.reply(.unregisteredUA)
                session.end(CloseCode.normal)
            case .failure: session.refuse(.unavailable(.unregisterUA))
            }
        }
    }

    // MARK: Messages

    private func getAllMessages(token: String) {
        guard let device = device(of: token) else { return refuse(.badToken(.getAllMessages, closing: false)) }
        switch stage {
        case .registered(let registered, _):
            guard device == registered else { return refuse(.badToken(.getAllMessages, closing: false)) }
        case .anonymous, .polled: stage = .polled(device)
        case .registering, .closed: return
        }
        let query = PendingQuery(device: device, limit: context.configuration.allMessagesLimit, now: context.store.now)
        ask { then in
            // What the device has acknowledged a moment ago is not pending.
            context.acknowledgements.flush { [store = context.store] in store.pending(query, then: then) }
        } then: { session, outcome in
            switch outcome {
            case .success(let messages):
                session.context.counters.add(.notificationsSentOnRequest, messages.count)
                for message in messages {
                    session.context.note(.sentOnRequest, message.sequence, device: device, application: message.appToken)
                }
                session.send(DeviceReply.allMessages(messages.map { session.notification($0) }))
                if case .polled = session.stage { session.noteAwake(device) }
            case .failure: session.refuse(.unavailable(.getAllMessages))
            }
        }
    }

    private func acknowledge(_ text: String, device: DeviceID) {
        guard let messageID = MessageID(text), messageID.store == context.store.identity else {
            context.counters.add(.acknowledgementsUnknown)
            return
        }
        hasAcknowledged = true
        context.acknowledgements.add(Acknowledgement(device: device, sequence: messageID.sequence))
        let sent = delivery.acknowledged(messageID.sequence)
        if let sent, sent.accepted > 0 { context.acknowledgementTimes.add(seconds: Double(context.store.now - sent.accepted) / 1000) }
        context.note(.acknowledged, messageID.sequence, device: device, application: sent?.appToken)
        deliver()
    }
}
