/// What a connection has only while a request or a response is on it.
extension L73Dispatcher {
    func hasWork(_ front: FrontRef) -> Bool { front.pointee.work != blankFrontWork.pointer }
    func hasWork(_ back: BackRef) -> Bool { back.pointee.work != blankBackWork.pointer }

    mutating func takeWork(_ front: FrontRef) { front.pointee.work = frontWork.place(FrontWork()) }

    /// Gives back the memory that a request has.
    mutating func releaseWork(_ front: FrontRef) {
        buffers.give(&front.pointee.input)
        buffers.give(&front.pointee.head)
        buffers.give(&front.pointee.body)
        buffers.give(&front.pointee.output)
        releaseBody(front)
    }

    /// There is no request on it any more, and no byte of one.
    mutating func giveWork(_ front: FrontRef) {
        guard hasWork(front) else { return }
        releaseWork(front)
        frontWork.remove(front.pointee.work)
        front.pointee.work = blankFrontWork.pointer
    }

    /// No response is on it, and none will be. Its buffers were given back.
    mutating func giveWork(_ back: BackRef) {
        guard hasWork(back) else { return }
        backWork.remove(back.pointee.work)
        back.pointee.work = blankBackWork.pointer
    }
}
