/// The servers of a pool as indices of the engine's table, in the order of the configuration. Plain memory, so that the packet path counts no
/// references: it belongs to the engine, which frees it with `free`.
struct ServerList: RandomAccessCollection {
    private let places: UnsafeMutablePointer<Int>
    let count: Int

    init(_ indices: [Int]) {
        places = .allocate(capacity: Swift.max(indices.count, 1))
        places.initialize(repeating: 0, count: Swift.max(indices.count, 1))
        for (place, index) in indices.enumerated() { places[place] = index }
        count = indices.count
    }

    func free() { places.deallocate() }

    var startIndex: Int { 0 }
    var endIndex: Int { count }

    @inline(__always) subscript(place: Int) -> Int { places[place] }
}
