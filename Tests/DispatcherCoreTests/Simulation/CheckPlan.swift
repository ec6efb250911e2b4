import DispatcherCore

/// What a simulated server answers to a health check.
struct CheckPlan {
    /// What it does behind its answer.
    enum Ending { case close, stay, reset }

    var bytes: [UInt8]
    var delay = Interval.zero
    /// Written in pieces of so many bytes with `pause` between them; 0 = at once.
    var pieces = 0
    var pause = Interval.milliseconds(10)
    var ending = Ending.close

    init(bytes: [UInt8]) { self.bytes = bytes }

    static func answer(_ status: Int = 200, _ fields: [(String, String)] = [], body: String = "") -> CheckPlan {
        var head = "HTTP/1.1 \(status) Status\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n"
        for (name, value) in fields { head += "\(name): \(value)\r\n" }
        return CheckPlan(bytes: Array((head + "\r\n" + body).utf8))
    }

    /// Nothing, ever.
    static var silence: CheckPlan {
        var plan = CheckPlan(bytes: [])
        plan.ending = .stay
        return plan
    }

    func ending(_ ending: Ending) -> CheckPlan {
        var plan = self
        plan.ending = ending
        return plan
    }

    func after(_ delay: Interval) -> CheckPlan {
        var plan = self
        plan.delay = delay
        return plan
    }

    func inPieces(of bytes: Int, pause: Interval = .milliseconds(10)) -> CheckPlan {
        var plan = self
        (plan.pieces, plan.pause) = (bytes, pause)
        return plan
    }
}
