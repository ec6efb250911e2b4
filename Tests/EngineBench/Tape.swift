import DispatcherCore

/// Frames in the order in which an engine gets them, with their times: what a capture on both interfaces would hold, in memory.
///
/// Frames are appended by whoever sends them, are marked with a time when an engine gets them, and can be played to another engine.
struct Tape: ~Copyable {
    struct Entry {
        var offset: Int
        /// Bytes; 0 = no frame, time passes only.
        var length: Int
        var side: Side
        /// Whether the turn ends behind it: then timers fire and everything leaves.
        var endsTurn = false
        var at = Instant.distantPast
    }

    private let bytes: UnsafeMutableRawPointer
    private let capacity: Int
    private let entries: UnsafeMutablePointer<Entry>
    private let entryCapacity: Int
    private var used = 0
    private(set) var count = 0
    /// Entries that an engine has had.
    private(set) var played = 0

    init(bytes capacity: Int, entries entryCapacity: Int) {
        self.capacity = capacity
        self.entryCapacity = entryCapacity
        bytes = .allocate(byteCount: capacity, alignment: 64)
        entries = .allocate(capacity: entryCapacity)
        // What is measured must not wait for the system's pages.
        bytes.initializeMemory(as: UInt8.self, repeating: 0, count: capacity)
        entries.initialize(repeating: Entry(offset: 0, length: 0, side: .client), count: entryCapacity)
    }

    deinit {
        bytes.deallocate()
        entries.deallocate()
    }

    var waiting: Int { count - played }
    /// Whether it should be played and rewound before a further turn.
    var isNearlyFull: Bool { count > entryCapacity * 3 / 4 || used > capacity * 3 / 4 }

    /// Room for a frame.
    mutating func append(_ length: Int, on side: Side) -> UnsafeMutableRawPointer {
        precondition(count < entryCapacity && used + length + 8 <= capacity, "the tape is too short for one turn")
        entries[count] = Entry(offset: used, length: length, side: side)
        count += 1
        defer { used += (length + 7) & ~7 }
        return bytes + used
    }

    /// The oldest entry that no engine has had.
    mutating func next(at now: Instant, endsTurn: Bool) -> Entry {
        precondition(played < count)
        entries[played].at = now
        entries[played].endsTurn = endsTurn
        played += 1
        return entries[played - 1]
    }

    func entry(_ index: Int) -> Entry { entries[index] }

    func frame(_ entry: Entry) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: bytes + entry.offset, count: entry.length) }

    /// Forgets what was played; what waits moves to the front.
    mutating func rewind() {
        let first = played < count ? entries[played].offset : used
        (bytes).copyMemory(from: bytes + first, byteCount: used - first)
        for index in played..<count {
            entries[index - played] = entries[index]
            entries[index - played].offset -= first
        }
        count -= played
        used -= first
        played = 0
    }
}
