import Glibc

/// One value that stands for those that are not there. It is read like any other; its page cannot be written, so that what is meant for one
/// connection never reaches another.
struct Blank<Value>: ~Copyable {
    let pointer: UnsafeMutablePointer<Value>

    init(_ value: Value) {
        let memory = mmap(nil, MemoryLayout<Value>.stride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory, memory != MAP_FAILED else { fatalError("no memory for a page") }
        pointer = memory.bindMemory(to: Value.self, capacity: 1)
        pointer.initialize(to: value)
        mprotect(memory, MemoryLayout<Value>.stride, PROT_READ)
    }

    deinit { munmap(pointer, MemoryLayout<Value>.stride) }
}
